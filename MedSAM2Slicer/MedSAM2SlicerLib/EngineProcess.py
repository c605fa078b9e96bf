"""The engine as the rest of the module sees it: requests go in, events and exactly one end come out.

What happens to the worker stays in here: it is started with the first request, watched while it is busy, killed if it
hangs or ignores Cancel, and a new one takes its place with the next request. When a worker is gone, everything pending
ends as `Failed` with one of the codes not_started, worker_died, worker_stuck, protocol_mismatch. A request is repeated
by whoever made it, because a new worker knows no volume.
"""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Callable, Optional

import qt
from slicer.i18n import tr as _

from medsam2_protocol.messages import End, Event, Failed, Hello, Request
from MedSAM2SlicerLib.Environment import EngineNotInstalled
from MedSAM2SlicerLib.WorkerRun import WorkerRun

STOPPED, STARTING, READY = "stopped", "starting", "ready"

# What the client itself says of a worker that is still there but talks nonsense.
_UNUSABLE = ("protocol_mismatch", "worker_died")


@dataclass(frozen=True)
class EngineLimits:
    """How long the worker may be silent. The first import of PyTorch from a slow disk takes long, hence `start_s`."""

    start_s: float = 120.0
    pong_s: float = 20.0
    cancel_s: float = 5.0
    stop_s: float = 3.0
    ping_every_ms: int = 2000


class EngineProcess:
    """Owner of the worker. `environment` has a method `command()`; see `Environment`."""

    def __init__(self, environment, limits: Optional[EngineLimits] = None) -> None:
        self.environment = environment
        self.limits = limits or EngineLimits()
        self.hello: Optional[Hello] = None
        self.onChanged: Callable[[], None] = lambda: None
        self.together: Callable[[], AbstractContextManager] = nullcontext  # entered while messages are handled
        self.trouble = ""  # why the last worker ended, if that was not asked for
        self.generation = 0  # number of workers lost so far: what one worker knows, the next does not
        self._run: Optional[WorkerRun] = None
        self._lastLog: list[str] = []
        self._lastPing = 0
        self._lastPong_s = 0.0
        self._cancelledAt_s: dict[str, float] = {}
        self._watch = qt.QTimer()
        self._watch.connect("timeout()", self.onWatch)

    @property
    def state(self) -> str:
        if self._run is None:
            return STOPPED
        return STARTING if self._run.client.hello is None else READY

    @property
    def isBusy(self) -> bool:
        return self._run is not None and self._run.client.is_busy

    @property
    def pid(self) -> int:
        """Of the running worker; 0 if there is none."""
        return self._run.pid if self._run is not None else 0

    def log(self) -> list[str]:
        """The last lines that the current worker, or the one before it, wrote to stderr."""
        return list(self._run.log) if self._run is not None else self._lastLog

    def start(self) -> None:
        """
        Raises:
            EngineNotInstalled: there is nothing to start.
        """
        if self._run is not None:
            return
        command = self.environment.command()
        self._lastPong_s = time.monotonic()
        self._run = run = WorkerRun(self.onHello, self.onRunEnded, self.together)
        self._watch.start(self.limits.ping_every_ms)
        run.start(command)  # may have ended already: Windows says at once that it cannot start a file
        self.onChanged()

    def request(self, message: Request, onEvent: Callable[[Event], None], onEnd: Callable[[End], None]) -> str:
        """Send a request, starting the worker if there is none; returns the request's id."""
        onEvent, onEnd = _guarded(onEvent), _guarded(onEnd)
        try:
            self.start()
        except EngineNotInstalled as error:
            onEnd(Failed("", "not_started", str(error)))
            return ""
        run = self._run
        if run is None:
            onEnd(Failed("", "not_started", self.trouble))
            return ""
        if not run.client.is_busy:
            self._lastPong_s = time.monotonic()
        request_id = run.client.request(message, onEvent, lambda end: self._onEnd(run, end, onEnd))
        self.onChanged()
        return request_id

    def cancel(self, request_id: str) -> None:
        if self._run is not None:
            self._run.client.cancel(request_id)
            self._cancelledAt_s.setdefault(request_id, time.monotonic())

    def stop(self) -> None:
        """Close the worker's input; kill it if it has not gone after the time of grace."""
        run = self._forget()
        if run is not None:
            run.closeInput()
            qt.QTimer.singleShot(int(self.limits.stop_s * 1000), run.kill)
            run.client.end_all("worker_died", _("The engine was stopped."))

    def kill(self) -> None:
        """End the worker at once, without a word to whoever waits for it."""
        run = self._forget()
        if run is not None:
            run.kill()

    def onHello(self, hello: Hello) -> None:
        self.hello = hello
        self._lastPong_s = time.monotonic()
        self.onChanged()

    def onRunEnded(self, run: WorkerRun) -> None:
        if run is not self._run:
            return
        if run.couldNotStart:
            sentence = _(
                "The engine's Python could not be started ({why}). Install the engine, or choose another Python, in "
                "the section Engine."
            )
            self._abandon("not_started", sentence.format(why=run.log[-1]))
        elif run.client.hello is None:
            self._abandon("not_started", _startFailure(run.log))
        else:
            self._abandon("worker_died", _("The engine stopped unexpectedly."))

    def onWatch(self) -> None:
        run, now_s = self._run, time.monotonic()
        if run.client.hello is None:
            if now_s - run.startedAt_s > self.limits.start_s:
                self._abandon(
                    "not_started", _("The engine did not start in time. Look at its log in the section Engine.")
                )
            return
        if any(now_s - at_s > self.limits.cancel_s for at_s in self._cancelledAt_s.values()):
            self._abandon("worker_stuck", _("The engine did not answer Cancel and was stopped."))
        elif run.client.is_busy:
            self._watchPongs(now_s)

    def _watchPongs(self, now_s: float) -> None:
        client = self._run.client
        if client.last_pong == self._lastPing:
            self._lastPong_s = now_s
            self._lastPing += 1
            client.ping(self._lastPing)
        elif now_s - self._lastPong_s > self.limits.pong_s:
            self._abandon("worker_stuck", _("The engine hung and was stopped."))

    def _onEnd(self, run: WorkerRun, end: End, onEnd: Callable[[End], None]) -> None:
        if run is self._run:
            self._cancelledAt_s.pop(end.id, None)
            if isinstance(end, Failed) and end.code in _UNUSABLE:
                self.trouble = end.message
                self.kill()
        onEnd(end)
        self.onChanged()

    def _abandon(self, code: str, sentence: str) -> None:
        """The worker is of no use any more: end it and tell everybody who waits."""
        run = self._forget()
        self.trouble = sentence
        run.kill()
        run.client.end_all(code, sentence)
        self.onChanged()

    def _forget(self) -> Optional[WorkerRun]:
        run, self._run = self._run, None
        self._watch.stop()
        self._lastPing = 0
        self._cancelledAt_s = {}
        if run is not None:
            self.generation += 1
            self._lastLog = list(run.log)
            run.client.on_hello = lambda hello: None
        return run


def _startFailure(log) -> str:
    last = log[-1] if log else _("it wrote nothing")
    return _("The engine ended while it started ({why}). Check the Engine Python in the section Engine.").format(
        why=last
    )


def _guarded(handler: Callable) -> Callable:
    """An exception in a handler must not swallow the worker's next messages."""

    def call(message) -> None:
        try:
            handler(message)
        except Exception:
            logging.exception("MedSAM2Slicer: a message of the engine could not be handled")

    return call
