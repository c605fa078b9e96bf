"""The host's end of the wire, without any process, socket or thread of its own.

`EngineClient` is told what bytes arrived (`receive`) and given a way to send some (`Transport`). Whoever owns the
process decides when that happens, so the same client serves Slicer's QProcess and the command line's pipe.

What it promises to whoever makes a request: the events of that request in their order, then exactly one end. A worker
that dies, speaks another protocol or talks nonsense ends everything pending as `Failed`. Nothing ends twice, and
nothing is heard of a request after its end.
"""

from __future__ import annotations

import itertools
import json
from collections import deque
from dataclasses import dataclass, replace
from typing import Callable, Protocol

from medsam2_protocol.messages import (
    PROTOCOL,
    Cancel,
    Cancelled,
    Done,
    End,
    Event,
    Failed,
    Hello,
    Message,
    Ping,
    Pong,
    Request,
)
from medsam2_protocol.tagged import MalformedMessage, from_json, to_json

OnEvent = Callable[[Event], None]
OnEnd = Callable[[End], None]


class Transport(Protocol):
    """One way out. Called with whole lines."""

    def send(self, data: bytes) -> None: ...


@dataclass(frozen=True)
class _Pending:
    on_event: OnEvent
    on_end: OnEnd


class EngineClient:
    """Requests out, events and ends in."""

    def __init__(self, transport: Transport) -> None:
        self.hello: Hello | None = None
        self.on_hello: Callable[[Hello], None] = _ignore
        self._transport = transport
        self._numbers = itertools.count(1)
        self._pending: dict[str, _Pending] = {}
        self._waiting: list[bytes] = []
        self._partial = b""
        self._lines: deque[bytes] = deque()
        self._broken: Failed | None = None
        self._last_pong = 0

    @property
    def is_busy(self) -> bool:
        return bool(self._pending)

    @property
    def last_pong(self) -> int:
        """Number of the last `Ping` that was answered."""
        return self._last_pong

    def request(self, message: Request, on_event: OnEvent, on_end: OnEnd) -> str:
        """Send a request under a new id (its own is replaced) and return that id.

        Before `Hello` it waits; after the worker's end it is answered at once as `Failed`.
        """
        request_id = f"r{next(self._numbers)}"
        if self._broken is not None:
            on_end(replace(self._broken, id=request_id))
            return request_id
        self._pending[request_id] = _Pending(on_event, on_end)
        self._post(replace(message, id=request_id))  # type: ignore[type-var]
        return request_id

    def cancel(self, request_id: str) -> None:
        """Ask for the end of a request. Its end still arrives: `Cancelled`, or `Done` if it was faster."""
        if request_id in self._pending:
            self._post(Cancel(request_id))

    def ping(self, number: int) -> None:
        self._post(Ping(number))

    def receive(self, data: bytes) -> None:
        """Bytes from the worker, cut anywhere. If a listener raises, the lines after it are heard the next time."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._lines.extend(lines)
        while self._lines:
            line = self._lines.popleft()
            if line.strip() and self._broken is None:
                self._on_line(line)

    def end_all(self, code: str, message: str) -> None:
        """The worker is gone or cannot be used: everything pending, and everything to come, is `Failed`."""
        if self._broken is None:
            self._broken = Failed("", code, message)
        self._waiting = []
        pending, self._pending = self._pending, {}
        for request_id, one in pending.items():
            one.on_end(Failed(request_id, code, message))

    def _post(self, message: Message) -> None:
        data = to_json(message).encode("utf-8") + b"\n"
        if self.hello is None:
            self._waiting.append(data)
        else:
            self._transport.send(data)

    def _on_line(self, line: bytes) -> None:
        if self.hello is None and not self._speaks_our_protocol(line):
            return
        try:
            message = from_json(line, Message)
        except MalformedMessage as error:
            self.end_all("worker_died", f"The engine sent something that is no message ({error}). Restart it.")
            return
        self._dispatch(message)

    def _dispatch(self, message: Message) -> None:
        if isinstance(message, Hello):
            self._on_hello(message)
        elif isinstance(message, Pong):
            self._last_pong = message.number
        elif isinstance(message, (Done, Failed, Cancelled)):
            self._on_end(message)
        elif isinstance(message, Event) and message.id in self._pending:
            self._pending[message.id].on_event(message)

    def _on_hello(self, hello: Hello) -> None:
        self.hello = hello
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._transport.send(data)
        self.on_hello(hello)

    def _on_end(self, end: Done | Failed | Cancelled) -> None:
        pending = self._pending.pop(end.id, None)
        if pending is not None:
            pending.on_end(end)

    def _speaks_our_protocol(self, line: bytes) -> bool:
        """Look at the number alone: a newer `Hello` may have fields that we cannot read."""
        theirs = _protocol_of(line)
        if theirs == PROTOCOL:
            return True
        self.end_all(
            "protocol_mismatch",
            f"The engine speaks protocol {theirs}, this program speaks protocol {PROTOCOL}. Update the older one: "
            "reinstall the engine from the module that uses it.",
        )
        return False


def _protocol_of(line: bytes) -> object:
    try:
        hello = json.loads(line)
    except ValueError:
        return "unknown"
    return hello.get("protocol", "unknown") if isinstance(hello, dict) else "unknown"


def _ignore(hello: Hello) -> None:
    return None
