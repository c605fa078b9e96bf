"""What a person reads about a training: before it starts, while it runs, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slicer.i18n import tr as _

from MedSAM2SlicerLib.CaseExport import ExportEnd
from MedSAM2SlicerLib.CaseFolder import FEWEST_SUBJECTS, KeptCase, casesText, subjectsOf
from MedSAM2SlicerLib.InstallText import PlanText
from MedSAM2SlicerLib.TrainingRecord import DONE, TrainingRecord

SHORT, NORMAL, LONG = 100, 300, 1000  # steps
AUTO, HEAD, LORA, ALL = "auto", "head", "lora", "all"


def durations() -> list[tuple[str, int]]:
    return [
        (_("Short ({steps} steps, to see whether it helps)").format(steps=SHORT), SHORT),
        (_("Normal ({steps} steps)").format(steps=NORMAL), NORMAL),
        (_("Long ({steps} steps, for ten cases and more)").format(steps=LONG), LONG),
    ]


def learners() -> list[tuple[str, str]]:
    return [
        (_("As it suits the model"), AUTO),
        (_("What draws and remembers; the image encoder stays"), HEAD),
        (_("A small adapter (LoRA)"), LORA),
        (_("Everything"), ALL),
    ]


def defaultTitle(cases: int) -> str:
    return _("Improved on {count} cases").format(count=cases)


def whyNot(cases: tuple[KeptCase, ...]) -> str:
    """Why nothing can be learnt from these cases yet; empty if it can."""
    if not cases:
        return _("No case is kept yet. Approve lesions that are right, and add them here.")
    if subjectsOf(cases) < FEWEST_SUBJECTS:
        return _(
            "There are cases of one patient only. One patient is kept apart, to see whether the model gets better: add "
            "approved lesions of at least one more."
        )
    return ""


def startText(title: str, base: str, cases: tuple[KeptCase, ...], folder: str) -> PlanText:
    lines = (
        _("Begins with: {base}, which stays as it is.").format(base=base),
        _("Learns from: {cases} A fifth of the patients is kept apart to measure it.").format(cases=casesText(cases)),
        _(
            "It becomes better at what it learns from, and may become worse at other structures: keep each kind in a "
            "folder of its own."
        ),
        _("Result: a new model “{title}” in the list. Nothing leaves this computer.").format(title=title),
        _("It runs in the background, on what the computer has to spare. State and report: {folder}.").format(
            folder=folder
        ),
    )
    return PlanText(_("Start the training?"), lines, _("Start now"))


def exportText(end: ExportEnd) -> str:
    if not end.lesions:
        return end.sentence
    text = _("{lesions} approved lesions of {volumes} volumes are in the folder. {rest}")
    return text.format(lesions=end.lesions, volumes=end.volumes, rest=end.sentence).strip()


def phaseText(name: str, done: int, total: int) -> str:
    return _PHASES.get(name, lambda: _("Working: {done} of {total}…"))().format(done=done + 1, total=total)


def stepText(told: Mapping[str, Any], memory: int) -> str:
    text = _("Step {step} of {steps}, loss {loss:.2f}, {left}.").format(
        step=told["step"], steps=told["steps"], loss=float(told.get("loss") or 0), left=timeLeft(told["seconds_left"])
    )
    return text + (" " + memoryText(memory) if memory else "")


def memoryText(memory: int) -> str:
    return _("It takes about {memory:.1f} GB of memory.").format(memory=memory / 1e9)


def timeLeft(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 60:
        return _("less than a minute left")
    if minutes < 100:
        return _("about {minutes} minutes left").format(minutes=max(1, minutes))
    return _("about {hours:.1f} hours left").format(hours=minutes / 60)


def recordText(record: TrainingRecord) -> str:
    """What is known of the last training while none runs."""
    if record.state == DONE:
        return doneText(record)
    if record.step:
        text = _("“{title}” stopped at step {step} of {steps}, and can go on from there.")
        return text.format(title=record.title, step=record.step, steps=record.steps)
    return _("“{title}” was stopped before its first step was kept, and can go on.").format(title=record.title)


def doneText(record: TrainingRecord) -> str:
    """One line, with what it was like before."""
    facts = record.facts
    if "before" not in facts:
        return _(
            "“{title}” is in the model list. No case was kept apart, so nobody knows whether it is better."
        ).format(title=record.title)
    text = _(
        "“{title}”: Dice {before:.3f} before, {after:.3f} after (change {change:+.3f} ± {spread:.3f}, {count} "
        "structures kept apart)."
    )
    line = text.format(
        title=record.title,
        before=facts["before"],
        after=facts["after"],
        change=facts["change"],
        spread=facts["spread"],
        count=facts["count"],
    )
    if facts["change"] <= 0:
        return line + " " + _("It is no better: more cases may help.")
    return line


_PHASES = {
    "labelling": lambda: _("Filling in slices that nobody looked at: {done} of {total}…"),
    "before": lambda: _("Measuring the model as it is: {done} of {total}…"),
    "after": lambda: _("Measuring the result: {done} of {total}…"),
}
