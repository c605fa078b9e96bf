"""Stopping in the middle of a slice: long computations ask, whoever started them answers.

`stoppable` says for the code within it who knows whether the result is still wanted; `stop_if_unwanted`, called
between the blocks of an encoder, ends the computation with `Stopped`. Outside `stoppable` it does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopped(Exception):
    """Nobody wants the result any more. Not an error: whoever said so catches it."""


def _always() -> bool:
    return True


_is_wanted: ContextVar[Callable[[], bool]] = ContextVar("is_wanted", default=_always)


@contextmanager
def stoppable(is_wanted: Callable[[], bool]) -> Iterator[None]:
    """Within it, on this thread, computations end with `Stopped` once `is_wanted` is false."""
    token = _is_wanted.set(is_wanted)
    try:
        yield
    finally:
        _is_wanted.reset(token)


def stop_if_unwanted() -> None:
    """Raises Stopped when nobody wants the result any more."""
    if not _is_wanted.get()():
        raise Stopped
