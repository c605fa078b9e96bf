"""How many threads compute: all cores but one, and fewer while other programs keep them busy.

Threads that work on one product wait for the slowest of them. If that one has lost its core to another program, all
stand still: two threads on one free core are several times slower than one. Slicer's own thread is such a program.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch

STEPS = 3  # steps whose median is taken for a speed
STARVED = 0.6  # of the time that all threads would compute if nobody disturbed them
CONTENT_STEPS = 48  # before a number that was found best is doubted


class ThreadGovernor:
    """Tries half the threads when they starve, more when they do not, and keeps what was faster."""

    def __init__(self) -> None:
        self._ceiling = torch.get_num_threads()
        self._walls: list[float] = []
        self._shares: list[float] = []
        self._content = 0
        self._before: tuple[int, float] | None = None  # threads and median time that are being challenged

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Around one step of a job whose steps are alike."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.note(time.perf_counter() - wall, time.process_time() - cpu)

    def note(self, wall_s: float, cpu_s: float) -> None:
        """One step took this long, and this much of all cores."""
        self._walls.append(wall_s)
        self._shares.append(cpu_s / max(wall_s, 1e-9) / torch.get_num_threads())
        self._content -= 1
        if len(self._walls) == STEPS:
            self._decide(median(self._walls), is_starved=max(self._shares) < STARVED)
            self._walls.clear()
            self._shares.clear()

    def _decide(self, wall_s: float, is_starved: bool) -> None:
        threads = torch.get_num_threads()
        if self._before is not None:
            challenged, before_s = self._before
            self._before = None
            self._content = CONTENT_STEPS
            if wall_s > before_s:
                torch.set_num_threads(challenged)
        elif is_starved and threads > 1 and self._content <= 0:
            self._challenge(threads, wall_s, max(1, threads // 2))
        elif not is_starved and threads < self._ceiling and self._content <= 0:
            self._challenge(threads, wall_s, min(self._ceiling, threads * 2))

    def _challenge(self, threads: int, wall_s: float, others: int) -> None:
        self._before = (threads, wall_s)
        torch.set_num_threads(others)
