"""One life of the worker: a QProcess, the client that talks to it, and its end.

Lifetime: Qt tells of the process by signals on Slicer's main thread, so nothing here waits. A run that was killed stays
referenced until Qt has reported its end; before that its QProcess must not be destroyed, for that would block.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Callable

import qt

from medsam2_protocol.client import EngineClient
from medsam2_protocol.messages import Hello
from MedSAM2SlicerLib.Environment import EngineCommand

LOG_LINES = 2000


class WorkerRun:
    """Started once, ends once. `onHello` and `onEnded` are told; `client` carries the requests."""

    # Runs whose process has not ended yet; see the module's rule.
    alive: list[WorkerRun] = []  # noqa: RUF012

    def __init__(self, onHello: Callable[[Hello], None], onEnded: Callable[[WorkerRun], None]) -> None:
        self.client = EngineClient(self)
        self.client.on_hello = onHello
        self.startedAt_s = time.monotonic()
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.couldNotStart = False
        self._onEnded = onEnded
        self._hasEnded = False
        self._isKilled = False
        self._process = qt.QProcess()
        self._process.connect("readyReadStandardOutput()", self.onOutput)
        self._process.connect("readyReadStandardError()", self.onErrorOutput)
        self._process.connect("errorOccurred(QProcess::ProcessError)", self.onProcessError)
        self._process.connect("finished(int,QProcess::ExitStatus)", self.onFinished)

    def start(self, command: EngineCommand) -> None:
        environment = qt.QProcessEnvironment()
        for name, value in command.environment.items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        WorkerRun.alive.append(self)
        self._process.start(command.program, list(command.arguments))

    @property
    def pid(self) -> int:
        return int(self._process.processId())

    def send(self, data: bytes) -> None:
        """`Transport` of the client."""
        if not self._hasEnded:
            self._process.write(data)

    def closeInput(self) -> None:
        """The polite end: a worker whose input closes exits."""
        if not self._hasEnded:
            self._process.closeWriteChannel()

    def kill(self) -> None:
        self._isKilled = True
        if not self._hasEnded:
            self._process.kill()

    def onOutput(self) -> None:
        self.client.receive(self._process.readAllStandardOutput().data())

    def onErrorOutput(self) -> None:
        text = self._process.readAllStandardError().data().decode("utf-8", "replace")
        self.log.extend(line for line in text.splitlines() if line.strip())

    def onProcessError(self, error) -> None:
        if error == qt.QProcess.FailedToStart:
            self.couldNotStart = True
            self.log.append(self._process.errorString())
            self._end()

    def onFinished(self, _exitCode, _exitStatus) -> None:
        if not self._isKilled:
            self.onOutput()
            self.onErrorOutput()
        self._end()

    def _end(self) -> None:
        if self._hasEnded:
            return
        self._hasEnded = True
        if self in WorkerRun.alive:
            WorkerRun.alive.remove(self)
        # Not now: Qt is still inside a signal of this very object.
        qt.QTimer.singleShot(0, self._release)
        self._onEnded(self)

    def _release(self) -> None:
        self._process = None
