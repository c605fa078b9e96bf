"""One life of the worker: a QProcess, the client that talks to it, and its end.

Lifetime: Qt tells of the process by signals on Slicer's main thread, so nothing here waits. A run that was killed stays
referenced until Qt has reported its end; before that its QProcess must not be destroyed, for that would block.

What the worker said is worked on for `PASS_S` at a time: while Slicer renders many slices may have come, and all at
once would hold up the next picture. Lines are heard in their order, and all of them before the end of the process.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import AbstractContextManager, nullcontext
from typing import Callable

import qt

from medsam2_protocol.client import EngineClient
from medsam2_protocol.messages import Hello
from MedSAM2SlicerLib.Environment import EngineCommand

LOG_LINES = 2000
PASS_S = 0.015


class WorkerRun:
    """Started once, ends once. `onHello` and `onEnded` are told; `client` carries the requests."""

    # Runs whose process has not ended yet; see the module's rule.
    alive: list[WorkerRun] = []  # noqa: RUF012

    def __init__(
        self,
        onHello: Callable[[Hello], None],
        onEnded: Callable[[WorkerRun], None],
        together: Callable[[], AbstractContextManager] = nullcontext,
    ) -> None:
        """`together` is entered around everything that is heard in one pass."""
        self.client = EngineClient(self)
        self.client.on_hello = onHello
        self.startedAt_s = time.monotonic()
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.couldNotStart = False
        self._onEnded = onEnded
        self._hasEnded = False
        self._isKilled = False
        self._together = together
        self._heard = b""  # a line that is not complete yet
        self._lines: deque[bytes] = deque()
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.connect("timeout()", self.onRest)
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
        self._rest.stop()
        self._lines.clear()
        if not self._hasEnded:
            self._process.kill()

    def onOutput(self) -> None:
        *lines, self._heard = (self._heard + self._process.readAllStandardOutput().data()).split(b"\n")
        self._lines.extend(lines)
        if not self._rest.active:
            self.onRest()

    def onRest(self) -> None:
        """Lines that wait, as many as there is time for."""
        self._listen(time.perf_counter() + PASS_S)
        if self._lines:
            self._rest.start(0)

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
            self.onErrorOutput()
            self.onOutput()
            self._listen(float("inf"))
        self._end()

    def _listen(self, until_s: float) -> None:
        with self._together():
            while self._lines:
                self.client.receive(self._lines.popleft() + b"\n")
                if time.perf_counter() > until_s:
                    break

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
