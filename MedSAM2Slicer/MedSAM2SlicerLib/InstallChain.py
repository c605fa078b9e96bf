"""Runs the phases of a plan one after another, each with its attempts, until all are done or one fails.

Everything comes by signals of QProcess on Slicer's main thread; the end is told exactly once, unless `abandon` came
first, after which nothing is told any more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Optional

import qt

from MedSAM2SlicerLib.CommandRun import CommandEnd, CommandRun
from MedSAM2SlicerLib.InstallErrors import FailedCommand, Trouble
from MedSAM2SlicerLib.InstallLog import InstallLog
from MedSAM2SlicerLib.InstallPlan import UV, UV_OLDEST, Attempt, InstallPlan, Phase, freeBytes
from MedSAM2SlicerLib.InstallProgress import InstallProgress

_LOOK_AT_DISK_EVERY_MS = 500


@dataclass(frozen=True)
class ChainEnd:
    """`last` is the end of the last command. At most one of `failed` and `trouble` is there: why it went no further."""

    last: CommandEnd
    failed: Optional[FailedCommand] = None
    trouble: Optional[Trouble] = None


class InstallChain:
    """Started once, ends once. `onPhase` is called before each phase and may return why it must not start."""

    def __init__(
        self,
        plan: InstallPlan,
        phases: list[Phase],
        log: InstallLog,
        onProgress: Callable[[float, str], None],
        onEnded: Callable[[ChainEnd], None],
        onPhase: Callable[[Phase], Optional[Trouble]] = lambda phase: None,
    ) -> None:
        self._plan = plan
        self._phases = list(phases)
        self._log = log
        self._onProgress = onProgress
        self._onEnded = onEnded
        self._onPhase = onPhase
        self._progress = InstallProgress(plan.size.disk)
        self._uv = ""
        self._phase = phases[0]
        self._attempts: list[Attempt] = []
        self._texts: list[str] = []
        self._run: Optional[CommandRun] = None
        self._timer = qt.QTimer()
        self._timer.connect("timeout()", self.onTimer)

    def start(self) -> None:
        self._timer.start(_LOOK_AT_DISK_EVERY_MS)
        self._nextPhase(CommandEnd(0, "", ""))

    def abandon(self) -> None:
        """Kill what runs, with everything it has started."""
        self._timer.stop()
        if self._run is not None:
            self._run.abandon()

    def onTimer(self) -> None:
        self._progress.onDisk(freeBytes(self._plan.folder.root))
        self._report()

    def onLine(self, line: str) -> None:
        self._log.write(line)
        self._progress.onLine(line)
        self._report()

    def onCommandEnded(self, command: Attempt, end: CommandEnd) -> None:
        self._run = None
        self._texts.append(end.text)
        if not self._phase.isRequired or (end.hasSucceeded and _isUsable(command, end)):
            self._uv = command.uv or self._uv
            self._progress.onPhaseEnded()
            self._nextPhase(end)
        elif self._attempts:
            self._log.write(f"(exit code {end.exitCode}: another way is tried)")
            self._nextAttempt()
        else:
            self._log.write(f"(exit code {end.exitCode})")
            self._end(ChainEnd(end, failed=self._failure(command, end)))

    def _nextPhase(self, last: CommandEnd) -> None:
        if not self._phases:
            self._end(ChainEnd(last))
            return
        self._phase = self._phases.pop(0)
        trouble = self._onPhase(self._phase)
        if trouble is not None:
            self._end(ChainEnd(last, trouble=trouble))
            return
        self._attempts, self._texts = list(self._phase.attempts), []
        self._progress.startPhase(self._phase.name, self._phase.title, freeBytes(self._plan.folder.root))
        self._report()
        self._nextAttempt()

    def _nextAttempt(self) -> None:
        attempt = self._attempts.pop(0)
        program = self._uv if attempt.program == UV else attempt.program
        command = Attempt(program, attempt.arguments, attempt.environment, attempt.uv)
        self._log.write("$ " + " ".join([command.program, *command.arguments]))
        self._run = CommandRun(self.onLine, lambda end: self.onCommandEnded(command, end))
        root = self._plan.folder.root
        self._run.start(command, str(root if root.is_dir() else root.parent))

    def _failure(self, command: Attempt, end: CommandEnd) -> FailedCommand:
        text = "\n".join(self._texts)
        return FailedCommand(
            self._phase.name, command.program, text, self._plan.isOffline, end.couldNotStart, end.hasCrashed
        )

    def _end(self, end: ChainEnd) -> None:
        self._timer.stop()
        self._report()
        self._onEnded(end)

    def _report(self) -> None:
        self._onProgress(self._progress.fraction, self._progress.text)


def _isUsable(command: Attempt, end: CommandEnd) -> bool:
    """A uv that was already there has to be new enough."""
    if command.arguments != ("--version",):
        return True
    found = re.search(r"\buv (\d+)\.(\d+)", end.output)
    return found is not None and (int(found.group(1)), int(found.group(2))) >= UV_OLDEST
