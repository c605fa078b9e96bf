"""One command in the background: a QProcess, the lines it writes, and its end.

Lifetime as in `WorkerRun`: nothing waits, and a run stays referenced until Qt has reported its end, because destroying
a QProcess that still runs would block Slicer.
"""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from typing import Any, Callable, Optional

import qt

from MedSAM2SlicerLib.InstallPlan import Attempt
from MedSAM2SlicerLib.ProcessTree import killTree

ENGINE_SIGN = "medsam2: "  # before a sentence of the engine's for people


@dataclass(frozen=True)
class CommandEnd:
    """How a command ended. `output` is what it wrote to stdout, `text` that and stderr as they came."""

    exitCode: int
    output: str
    text: str
    couldNotStart: bool = False
    hasCrashed: bool = False

    @property
    def hasSucceeded(self) -> bool:
        return self.exitCode == 0 and not self.couldNotStart and not self.hasCrashed

    @property
    def sentence(self) -> str:
        """The last one that the engine wrote for people; "" if it wrote none."""
        return next((line[len(ENGINE_SIGN) :] for line in reversed(self._lines()) if line.startswith(ENGINE_SIGN)), "")

    @property
    def lastLine(self) -> str:
        """Whatever was written last."""
        return next(reversed(self._lines()), "")

    def _lines(self) -> list[str]:
        return [line.strip() for line in self.text.splitlines() if line.strip()]


def toldBy(line: str) -> Optional[dict[str, Any]]:
    """What a line for programs says; None of any other line."""
    if not line.startswith("{"):
        return None
    try:
        return json.loads(line)
    except ValueError:
        return None


class CommandRun:
    """Started once, ends once. `onLine` hears every line, `onEnded` the end; after `abandon` neither hears anything."""

    # Runs whose process has not ended yet; see the module's rule.
    alive: list[CommandRun] = []  # noqa: RUF012

    def __init__(self, onLine: Callable[[str], None], onEnded: Callable[[CommandEnd], None]) -> None:
        self._onLine = onLine
        self._onEnded = onEnded
        self._hasEnded = False
        self._output: list[str] = []
        self._text: list[str] = []
        self._rest = {"out": "", "error": ""}
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in self._rest}
        self._process = qt.QProcess()
        self._process.connect("readyReadStandardOutput()", self.onOutput)
        self._process.connect("readyReadStandardError()", self.onErrorOutput)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self.onProcessError)
        self._process.connect("finished(int,QProcess::ExitStatus)", self.onFinished)

    def start(self, attempt: Attempt, folder: str) -> None:
        """`folder` is where it runs: uv looks for settings from there upwards."""
        environment = qt.QProcessEnvironment()
        for name, value in attempt.environment.items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        self._process.setWorkingDirectory(folder)
        CommandRun.alive.append(self)
        self._process.start(attempt.program, list(attempt.arguments))

    def endInput(self) -> None:
        """Close its standard input: for a command that takes this as the wish to stop."""
        if not self._hasEnded:
            self._process.closeWriteChannel()

    def abandon(self) -> None:
        """End it with everything it started; nobody is told."""
        self._onLine, self._onEnded = (lambda line: None), (lambda end: None)
        if not self._hasEnded:
            killTree(self._process)

    def onOutput(self) -> None:
        self._receive("out", self._process.readAllStandardOutput().data())

    def onErrorOutput(self) -> None:
        self._receive("error", self._process.readAllStandardError().data())

    def onProcessError(self, error) -> None:
        if error == qt.QProcess.FailedToStart:
            why = str(self._process.errorString())
            self._text.append(why)
            self._onLine(why)
            self._end(-1, couldNotStart=True)

    def onFinished(self, exitCode, _exitStatus) -> None:
        self.onOutput()
        self.onErrorOutput()
        for name in self._rest:
            self._receive(name, b"\n" if self._rest[name] else b"")
        self._end(int(exitCode), hasCrashed=self._process.exitStatus() == qt.QProcess.CrashExit)

    def _receive(self, name: str, data: bytes) -> None:
        text = self._rest[name] + self._decoders[name].decode(data)
        *lines, self._rest[name] = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            self._text.append(line)
            if name == "out":
                self._output.append(line)
            if line.strip():
                self._onLine(line)

    def _end(self, exitCode: int, couldNotStart: bool = False, hasCrashed: bool = False) -> None:
        if self._hasEnded:
            return
        self._hasEnded = True
        if self in CommandRun.alive:
            CommandRun.alive.remove(self)
        # Not now: Qt is still inside a signal of this very object.
        qt.QTimer.singleShot(0, self._release)
        self._onEnded(CommandEnd(exitCode, "\n".join(self._output), "\n".join(self._text), couldNotStart, hasCrashed))

    def _release(self) -> None:
        self._process = None
