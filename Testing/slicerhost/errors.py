"""Exceptions nobody caught: what Slicer would have printed to its console and forgotten.

PythonQt prints an exception raised in a slot and goes on; VTK does the same for an observer, and PySide for an
overridden C++ method. A test cannot see any of that, so the host also writes them down here, and the fixture
``scene`` asserts that the list is empty. Observers and overrides end in ``PyErr_Print``, which calls
``sys.excepthook``: that is where they are caught.
"""

import sys
import traceback
from collections.abc import Callable
from typing import Any

slot_errors: list[tuple[Callable[..., Any] | None, BaseException]] = []
"""(the slot, or None where VTK or Qt called; the exception), oldest first. Clear it in place."""


def record(slot: Callable[..., Any] | None, error: BaseException) -> None:
    """Write down ``error`` and print its traceback, as PythonQt does."""
    slot_errors.append((slot, error))
    traceback.print_exception(type(error), error, error.__traceback__)


def call_slot(slot: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``slot`` as Qt would: an exception is recorded, never raised into the emitter."""
    try:
        return slot(*arguments)
    except Exception as error:
        record(slot, error)


def watch_unraised() -> None:
    """Also record what VTK observers and overridden Qt methods raise; call once."""
    previous = sys.excepthook

    def hook(kind: type, error: BaseException, trace: Any) -> None:
        if isinstance(error, Exception):
            slot_errors.append((None, error))
        previous(kind, error, trace)

    sys.excepthook = hook
