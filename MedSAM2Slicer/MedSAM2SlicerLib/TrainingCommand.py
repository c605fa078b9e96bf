"""`medsam2 finetune` in the background: a process of the engine's Python that tells by lines of JSON how it goes.

Nothing here waits. Ending its standard input asks it to stop after the present step; it writes its state and ends. It
ends with exactly one `TrainingEnd`, unless `stop` came first, which kills it: then the last minutes are lost, no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable, Optional

from slicer.i18n import tr as _

from MedSAM2SlicerLib.CaseFolder import CaseFolder
from MedSAM2SlicerLib.CommandRun import CommandEnd, CommandRun, toldBy
from MedSAM2SlicerLib.Environment import EngineEnvironment, EngineNotInstalled, cleanEnvironment
from MedSAM2SlicerLib.InstallPlan import Attempt
from MedSAM2SlicerLib.Sentences import withoutCommands
from MedSAM2SlicerLib.TrainingRecord import TrainingRecord

DONE, INTERRUPTED = "done", "interrupted"
NOT_INSTALLED, DIED, FAILED = "not_installed", "died", "failed"


@dataclass(frozen=True)
class TrainingEnd:
    """`kind` is one of those above, or the engine's code of an error, which `sentence` tells."""

    kind: str
    sentence: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class TrainingCommand:
    """`environment` knows the engine's Python.

    `onTold(facts)` hears every line, see the engine's `finetune/telling.py`; `onEnded(end)` the end.
    """

    def __init__(self, environment: EngineEnvironment, packageFolder) -> None:
        self.onTold: Callable[[dict], None] = lambda facts: None
        self.onEnded: Callable[[TrainingEnd], None] = lambda end: None
        self.isStopping = False
        self._environment = environment
        self._packageFolder = packageFolder
        self._run: Optional[CommandRun] = None
        self._last: dict[str, Any] = {}

    @property
    def isRunning(self) -> bool:
        return self._run is not None

    def start(self, record: TrainingRecord, folder: CaseFolder) -> None:
        if self.isRunning:
            return
        try:
            python = self._environment.python()
        except EngineNotInstalled as error:
            self.onEnded(TrainingEnd(NOT_INSTALLED, str(error)))
            return
        self._last, self.isStopping = {}, False
        self._run = CommandRun(self.onLine, self.onCommandEnded)
        arguments = record.arguments(folder.cases, folder.trainings)
        command = ("-u", "-m", "medsam2_engine", "finetune", *arguments)
        self._run.start(Attempt(python, command, cleanEnvironment(self._packageFolder)), str(folder.root))

    def askToStop(self) -> None:
        """After the present step; the state is written."""
        if self._run is not None:
            self.isStopping = True
            self._run.endInput()

    def stop(self) -> None:
        """At once, without a word."""
        run, self._run = self._run, None
        self.isStopping = False
        if run is not None:
            run.abandon()

    # ---- slots

    def onLine(self, line: str) -> None:
        said = toldBy(line)
        if said is None:
            return
        if "end" in said:
            self._last = said
        else:
            self.onTold(said)

    def onCommandEnded(self, end: CommandEnd) -> None:
        self._run, self.isStopping = None, False
        self.onEnded(_endOf(end, self._last))


def _endOf(end: CommandEnd, last: Mapping[str, Any]) -> TrainingEnd:
    kind = str(last.get("end", ""))
    if kind == DONE and end.exitCode == 0:
        return TrainingEnd(DONE, facts=last)
    if kind == INTERRUPTED:
        return TrainingEnd(INTERRUPTED, facts=last)
    if kind and kind != DONE:
        return TrainingEnd(kind, withoutCommands(str(last.get("text", ""))))
    if end.hasCrashed:
        sentence = _(
            "The training was ended from outside; the computer may have run out of memory. What it had learnt is kept: "
            "close other programs, and let it go on."
        )
        return TrainingEnd(DIED, sentence)
    why = end.sentence or end.lastLine or _("it wrote nothing")
    return TrainingEnd(FAILED, _("The training failed: {why}").format(why=withoutCommands(why)))
