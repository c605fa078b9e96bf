"""Where the time of the main thread goes: every call of the module's own code, every render, and the gaps in between.

Clocks: `wall` is what a person waits; `cpu` is what this thread computed, which other programs on a busy machine do not
lengthen. Neither is known of time in which nothing of ours and no render runs: Qt, painting, or another program.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FunctionType, ModuleType
from typing import Any

PACKAGES = ("MedSAM2SlicerLib", "medsam2_protocol")
BEAT_MS = 5
WORTH_NAMING_MS = 1.0


@dataclass
class Call:
    """One call, and the longer ones that it made. Seconds."""

    name: str
    start: float = 0.0
    wall: float = 0.0
    cpu: float = 0.0
    rendering: float = 0.0
    calls: list[Call] = field(default_factory=list)

    def tree(self, depth: int = 0, least_ms: float = 4.0) -> Iterator[str]:
        """CPU milliseconds and names, calls below their callers; passed over are those that only call one other."""
        worth = [call for call in self.calls if call.cpu * 1000 >= least_ms]
        is_passed_over = depth > 0 and len(worth) == 1 and worth[0].cpu > 0.9 * self.cpu
        if not is_passed_over:
            yield f"{'  ' * depth}{1000 * self.cpu:.0f} {self.name}"
        for call in worth:
            yield from call.tree(depth + (not is_passed_over), least_ms)


class Trace:
    """Calls from outside into our code, in their order; renders; what was going on at the time."""

    def __init__(self) -> None:
        self.stage = ""
        self.ours: list[tuple[str, Call]] = []
        self.renders: list[tuple[str, Call]] = []
        self._open: list[Call] = []

    def wrap(self, function: Callable[..., Any], name: str, is_render: bool = False) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            call = Call(name, time.perf_counter())
            cpu = time.thread_time()
            self._open.append(call)
            try:
                return function(*arguments, **named)
            finally:
                self._open.pop()
                call.wall = time.perf_counter() - call.start
                call.cpu = time.thread_time() - cpu
                self._close(call, is_render)

        return timed

    def _close(self, call: Call, is_render: bool) -> None:
        if is_render:
            self.renders.append((self.stage, call))
            for outer in self._open:
                outer.rendering += call.wall
        elif not self._open:
            self.ours.append((self.stage, call))
        elif call.wall * 1000 >= WORTH_NAMING_MS:
            self._open[-1].calls.append(call)

    @contextmanager
    def at(self, stage: str) -> Iterator[None]:
        self.stage = stage
        try:
            yield
        finally:
            self.stage = ""


class Heartbeat:
    """A timer on the main thread: when it comes late, something held the thread. Gaps in seconds, by stage."""

    def __init__(self, trace: Trace) -> None:
        import qt

        self._trace = trace
        self._last: float | None = None
        self.gaps: list[tuple[str, float, float]] = []  # stage, end, seconds
        self._timer = qt.QTimer()
        self._timer.setTimerType(qt.Qt.PreciseTimer)
        self._timer.connect("timeout()", self._beat)
        self._timer.start(BEAT_MS)

    def _beat(self) -> None:
        now = time.perf_counter()
        if self._last is not None:
            self.gaps.append((self._trace.stage, now, now - self._last))
        self._last = now


def watch_module(trace: Trace) -> None:
    """Every method of every class of ours, before any object is made. Import after the host was started."""
    for package in PACKAGES:
        for found in pkgutil.iter_modules(importlib.import_module(package).__path__):
            _watch(trace, importlib.import_module(f"{package}.{found.name}"))


def watch_renders(trace: Trace) -> None:
    from slicerhost.views import vtk_view

    view = vtk_view.ctkVTKAbstractView
    view.forceRender = trace.wrap(view.forceRender, "render", is_render=True)
    view._pixels = trace.wrap(view._pixels, "read pixels", is_render=True)


def watch_class(trace: Trace, owner: type) -> None:
    for name, value in list(vars(owner).items()):
        if isinstance(value, FunctionType) and not name.startswith("__"):
            setattr(owner, name, trace.wrap(value, f"{owner.__name__}.{name}"))


def _watch(trace: Trace, module: ModuleType) -> None:
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            watch_class(trace, value)
        elif isinstance(value, FunctionType) and value.__module__ == module.__name__:
            setattr(module, name, trace.wrap(value, name))
