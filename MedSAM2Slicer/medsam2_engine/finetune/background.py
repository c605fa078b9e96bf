"""A training that another program has started: it steps back behind everything else, and ends when that program says
so or is gone.

Standard input is the sign: nothing is read from it, and its end, which no system keeps back when a program dies, is the
wish to stop after the present step.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable

NICENESS = 10
BELOW_NORMAL = 0x4000  # BELOW_NORMAL_PRIORITY_CLASS of the Windows API


def never() -> bool:
    return False


def step_back() -> None:
    """Let programs that somebody waits for go first."""
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(NICENESS)
    elif hasattr(ctypes, "windll"):
        kernel = getattr(ctypes, "windll").kernel32  # noqa: B009
        kernel.SetPriorityClass(ctypes.c_void_p(kernel.GetCurrentProcess()), BELOW_NORMAL)


def end_of_input() -> Callable[[], bool]:
    """Whether standard input has ended; watched by a thread that keeps nobody alive.

    Python's own reader of it would: its lock is held while it waits, and an interpreter that ends then aborts.
    """
    ended = threading.Event()
    source = sys.stdin.fileno()

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(source, 4096):
                pass
        ended.set()

    threading.Thread(target=watch, daemon=True, name="end of stdin").start()
    return ended.is_set
