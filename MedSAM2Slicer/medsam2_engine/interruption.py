"""Ctrl+C as a wish that is granted between two slices."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Within it, Ctrl+C only makes the yielded function true; pressed again, it raises KeyboardInterrupt at once."""
    wanted = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal wanted
        wanted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print("\nStopping after this slice. Press Ctrl+C again to stop at once.", file=sys.stderr)

    previous = signal.signal(signal.SIGINT, remember)
    try:
        yield lambda: wanted
    finally:
        signal.signal(signal.SIGINT, previous)
