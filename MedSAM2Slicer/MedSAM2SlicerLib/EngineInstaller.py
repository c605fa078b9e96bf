"""Installing, checking and removing the engine's own environment: a chain of processes on Slicer's main thread.

Nothing happens in the constructor, and nothing is started before somebody asked for it. Qt tells by signals how the
processes go, so nothing here waits. One run at a time; it ends with exactly one `Outcome`.

Whatever ends an installation early (Cancel, an error, the end of Slicer) leaves a state from which `install` goes on:
uv's downloads are kept, a half-made environment lacks its record and is made anew, and the environment that was there
before comes back.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.CommandRun import CommandRun
from MedSAM2SlicerLib.EngineFolder import EngineFolder
from MedSAM2SlicerLib.Environment import (
    EngineEnvironment,
    EngineNotInstalled,
    NamedPython,
    enginePython,
    setEnginePython,
)
from MedSAM2SlicerLib.EnvironmentCheck import CheckReport, readReport
from MedSAM2SlicerLib.HostMachine import HostMachine, hostMachine
from MedSAM2SlicerLib.InstallChain import ChainEnd, InstallChain
from MedSAM2SlicerLib.InstallErrors import Trouble, diagnose
from MedSAM2SlicerLib.InstallLog import InstallLog
from MedSAM2SlicerLib.InstallObstacles import inUse, obstacle, unwritable
from MedSAM2SlicerLib.InstallPlan import (
    AUTOMATIC,
    CHECK,
    MAKE_PYTHON,
    InstallOptions,
    InstallPlan,
    Phase,
    checkPhase,
    engineFolderFor,
    engineVersion,
    tidyPhase,
)
from MedSAM2SlicerLib.InstallText import PlanText, installText, partsText, removalText

# States.
MISSING, UNFINISHED, READY, WRONG, WORKING = "missing", "unfinished", "ready", "wrong", "working"
# Kinds of outcome.
INSTALLED, CHECKED, REMOVED, CANCELLED, FAILED = "installed", "checked", "removed", "cancelled", "failed"

SETTINGS = {
    "backend": "MedSAM2Slicer/EngineBackend",
    "wheelFolder": "MedSAM2Slicer/EngineWheelFolder",
    "proxy": "MedSAM2Slicer/EngineProxy",
    "folder": "MedSAM2Slicer/EngineFolder",
}


@dataclass(frozen=True)
class Outcome:
    """The end of a run. `code` names what went wrong (see `InstallErrors`), `sentence` is for the user."""

    kind: str
    sentence: str
    code: str = ""


class EngineInstaller:
    """`packageFolder` holds the extension's packages and Resources; `describe` is asked whenever the machine matters.

    Callbacks: `onChanged` when `state` or an option may have changed; `onProgress(fraction, text)`, the fraction being
    negative where it is unknown; `onFinished(outcome)`; `onAboutToChange` before files of the environment are touched,
    when whoever runs the engine has to stop it.
    """

    def __init__(self, packageFolder: Path, describe: Callable[[], HostMachine] = hostMachine) -> None:
        self.onChanged: Callable[[], None] = lambda: None
        self.onProgress: Callable[[float, str], None] = lambda fraction, text: None
        self.onFinished: Callable[[Outcome], None] = lambda outcome: None
        self.onAboutToChange: Callable[[], None] = lambda: None
        self.lastOutcome: Optional[Outcome] = None
        self._packageFolder = packageFolder
        self._environment = EngineEnvironment(packageFolder)
        self._describe = describe
        self._log = InstallLog()
        self._chain: Optional[InstallChain] = None
        self._plan: Optional[InstallPlan] = None
        self._isCancellable = False
        self._sweeper: Optional[CommandRun] = None

    # ---- what there is

    @property
    def state(self) -> str:
        """Of the engine that would be started now, whoever named its Python. WRONG: it is named, and not there."""
        if self._chain is not None:
            return WORKING
        folder, python = self.folder(), self.python
        isOwn = python is not None and Path(python.path) == folder.python
        if python is not None and python.exists and (folder.isReady or not isOwn):
            return READY
        if folder.isUnfinished:
            return UNFINISHED
        return WRONG if python is not None and not isOwn else MISSING

    @property
    def python(self) -> Optional[NamedPython]:
        """What runs the engine, or would if it were there; None if nobody named anything."""
        return self._environment.named()

    def whyNot(self) -> str:
        """Why the engine cannot be started, in a sentence; empty if it can."""
        try:
            self._environment.python()
        except EngineNotInstalled as error:
            return str(error)
        return ""

    @property
    def isCancellable(self) -> bool:
        """A removal is not: stopping it would only leave some of the files."""
        return self._chain is not None and self._isCancellable

    @property
    def isOutdated(self) -> bool:
        """The engine runs with the environment of another version of this extension."""
        folder, python = self.folder(), Path(enginePython() or os.devnull)
        return python.is_relative_to(folder.root) and python != folder.python

    @property
    def canRemove(self) -> bool:
        return self._chain is None and self.folder().isOurs

    def folder(self) -> EngineFolder:
        return engineFolderFor(self._describe(), self.options(), engineVersion(self._packageFolder))

    def options(self) -> InstallOptions:
        values = {name: str(slicer.app.settings().value(key, "") or "") for name, key in SETTINGS.items()}
        return InstallOptions(**{**values, "backend": values["backend"] or AUTOMATIC})

    def setOption(self, name: str, value: str) -> None:
        slicer.app.settings().setValue(SETTINGS[name], value.strip())
        self.onChanged()

    def installText(self) -> PlanText:
        return installText(self._newPlan())

    def partsText(self) -> PlanText:
        return partsText(self._newPlan())

    def removalText(self) -> PlanText:
        return removalText(self.folder())

    def logText(self) -> str:
        return self._log.text(self.folder().log)

    # ---- what can be done, each for the moment after the user agreed

    def install(self) -> None:
        """Also repairs: a new environment takes the place of the old one when it has passed the check."""
        if self._chain is not None:
            return
        plan = self._begin(_("Installation"))
        trouble = obstacle(plan)
        if trouble is not None:
            self._fail(trouble)
            return
        phases = plan.phases(shutil.which("uv", path=_searchPath(plan.machine.startup)))
        self._run(phases, self._onInstallEnded, self._onInstallPhase)

    def addParts(self) -> None:
        """What training needs beside the engine, into the environment that was installed, and into no other."""
        if self._chain is not None:
            return
        plan, python = self._begin(_("Parts for training")), self.python
        if python is None or Path(python.path) != plan.folder.python or not plan.folder.isReady:
            sentence = _("{python} is taken care of by somebody else: let them install {packages} into it.")
            named = python.path if python is not None else _("No Python")
            self._fail(Trouble("not_ours", sentence.format(python=named, packages=_namesIn(plan.parts))))
            return
        phases = plan.partsPhases(shutil.which("uv", path=_searchPath(plan.machine.startup)))
        self._run(phases, self._onPartsEnded)

    def useExisting(self, python: str) -> None:
        """Let the engine run with a Python that somebody else takes care of, and see what it can do."""
        if self._chain is None:
            self.onAboutToChange()
            setEnginePython(python)
            self.check()

    def useOwn(self) -> None:
        """Back from an existing Python to the environment that was installed, if there is one."""
        if self._chain is None:
            self.onAboutToChange()
            setEnginePython(str(self.folder().python) if self.folder().isReady else "")
            self.lastOutcome = None
            self.onChanged()

    def check(self) -> None:
        """Compute with the Python that is used."""
        python = self.python
        if self._chain is None and python is not None:
            plan = self._begin(_("Check of {python}").format(python=python.path))
            self._run([checkPhase(plan.machine, Path(python.path), self._packageFolder)], self._onCheckEnded)

    def remove(self) -> None:
        """Delete the folder that an installation made, and nothing else."""
        if self._chain is not None:
            return
        plan = self._begin(_("Removal"))
        if not plan.folder.isOurs:
            sentence = _("{folder} was not made by this extension; nothing was deleted.").format(
                folder=plan.folder.root
            )
            self._fail(Trouble("not_ours", sentence))
            return
        self.onAboutToChange()
        try:
            doomed = plan.folder.detach()
        except OSError as error:
            self._fail(inUse(plan.folder, error))
            return
        self._forgetPython(plan.folder.root)
        self._run([tidyPhase(plan.machine, doomed)], lambda end: self._onRemoved(doomed), isCancellable=False)

    def cancel(self) -> None:
        """End what is going on, at once. The environment from before an installation comes back."""
        if self.isCancellable:
            self.stop()
            self._finish(
                Outcome(CANCELLED, _("Cancelled. What was downloaded completely is kept and used the next time."))
            )

    def stop(self) -> None:
        """As `cancel`, but without a word: the module is about to go."""
        if self._sweeper is not None:
            self._sweeper.abandon()
        chain, self._chain = self._chain, None
        if chain is not None:
            chain.abandon()
            self._bringBack()

    # ---- an installation

    def _onInstallPhase(self, phase: Phase) -> Optional[Trouble]:
        if phase.name == MAKE_PYTHON:
            self.onAboutToChange()
            try:
                self._plan.folder.setAside()
            except OSError as error:
                return inUse(self._plan.folder, error)
            self._forgetPython(self._plan.folder.environment)
        return None

    def _onInstallEnded(self, end: ChainEnd) -> None:
        plan = self._plan
        if end.trouble is not None:
            self._failInstall(end.trouble)
        elif end.failed is not None and end.failed.phase != CHECK:
            self._failInstall(diagnose(end.failed))
        else:
            report = readReport(end.last, plan.machine, plan.backend)
            if report.isUsable:
                self._completeInstall(report)
            else:
                self._failInstall(Trouble("check_failed", report.sentence))

    def _completeInstall(self, report: CheckReport) -> None:
        plan = self._plan
        try:
            plan.folder.finish(_noted(plan, report))
        except OSError as error:
            self._failInstall(unwritable(plan.folder, error))
            return
        setEnginePython(str(plan.folder.python))
        self._finish(Outcome(INSTALLED, report.sentence))
        self._sweep(plan)

    def _sweep(self, plan: InstallPlan) -> None:
        """Delete what is left of earlier environments. Nobody waits for it; what it misses is swept the next time."""
        doomed = plan.folder.doomed()
        if doomed:
            self._sweeper = CommandRun(lambda line: None, lambda end: None)
            self._sweeper.start(tidyPhase(plan.machine, doomed).attempts[0], str(plan.folder.root.parent))

    def _failInstall(self, trouble: Trouble) -> None:
        self._bringBack()
        self._fail(trouble)

    def _bringBack(self) -> None:
        """The environment from before an installation that came to nothing, if there was one."""
        folder = self._plan.folder
        if folder.isReady:
            return
        try:
            folder.bringBack()
        except OSError as error:
            self._log.write(f"the previous environment could not be brought back: {error}")
        if folder.isReady and not enginePython():
            setEnginePython(str(folder.python))

    def _forgetPython(self, folder: Path) -> None:
        """The engine's Python in `folder` is about to go."""
        if Path(enginePython() or os.devnull).is_relative_to(folder):
            setEnginePython("")

    # ---- the other runs

    def _onCheckEnded(self, end: ChainEnd) -> None:
        noted = self._plan.folder.record() or {}
        report = readReport(end.last, self._plan.machine, str(noted.get("backend", "")))
        if report.isUsable:
            self._finish(Outcome(CHECKED, report.sentence))
        else:
            self._fail(Trouble("check_failed", report.sentence))

    def _onPartsEnded(self, end: ChainEnd) -> None:
        if end.failed is not None:
            self._fail(diagnose(end.failed))
        else:
            self._finish(Outcome(INSTALLED, _("What training needs is installed.")))

    def _onRemoved(self, doomed: list[Path]) -> None:
        left = [str(path) for path in doomed if path.exists()]
        if left:
            sentence = _("Some files could not be deleted: {folders}. Restart Slicer and delete them by hand.")
            self._fail(Trouble("in_use", sentence.format(folders=", ".join(left))))
        else:
            self._finish(Outcome(REMOVED, _("The engine was removed.")))

    # ---- any run

    def _begin(self, title: str) -> InstallPlan:
        self.lastOutcome = None
        self._plan = plan = self._newPlan()
        machine, folder = plan.machine, plan.folder
        self._log.begin(folder.log, f"{title}: {machine.system} {machine.architecture}, Slicer in {machine.slicerHome}")
        self._log.write(f"engine {folder.version} into {folder.root}, {plan.options}, PyTorch backend {plan.backend}")
        return plan

    def _run(
        self,
        phases: list[Phase],
        onEnded: Callable[[ChainEnd], None],
        onPhase: Callable[[Phase], Optional[Trouble]] = lambda phase: None,
        isCancellable: bool = True,
    ) -> None:
        isInstallation = len(phases) > 1
        self._isCancellable = isCancellable
        self._chain = InstallChain(
            self._plan,
            phases,
            self._log,
            lambda fraction, text: self.onProgress(fraction if isInstallation else -1.0, text),
            onEnded,
            onPhase,
        )
        self.onChanged()
        self._chain.start()

    def _fail(self, trouble: Trouble) -> None:
        self._finish(Outcome(FAILED, trouble.sentence, trouble.code))

    def _finish(self, outcome: Outcome) -> None:
        self._chain = None
        self.lastOutcome = outcome
        self._log.write(f"{outcome.kind} {outcome.code}: {outcome.sentence}")
        self.onFinished(outcome)
        self.onChanged()

    def _newPlan(self) -> InstallPlan:
        machine, options = self._describe(), self.options()
        folder = engineFolderFor(machine, options, engineVersion(self._packageFolder))
        return InstallPlan(machine, options, folder, self._packageFolder)


def _noted(plan: InstallPlan, report: CheckReport) -> dict[str, str]:
    return {
        "engine": plan.folder.version,
        "backend": plan.backend,
        "device": report.device,
        "torch": report.torch,
        "requirements": hashlib.sha256(plan.requirements.read_bytes()).hexdigest(),
        "installed": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }


def _namesIn(requirements: Path) -> str:
    lines = [line.strip() for line in requirements.read_text(encoding="utf-8").splitlines()]
    return ", ".join(line for line in lines if line and not line.startswith("#"))


def _searchPath(environment: dict[str, str]) -> str:
    return next((value for name, value in environment.items() if name.upper() == "PATH"), "")
