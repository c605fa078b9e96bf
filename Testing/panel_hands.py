"""What the tests of the panel do again and again, on the entered module and its ball."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def idle(module: Any) -> Callable[[], bool]:
    return lambda: not module.controller.isBusy


def box(module: Any, wait_until: Callable[..., None], index: int = 10) -> None:
    """A box around the ball, and its preview."""
    from medsam2_protocol.prompts import BoxPrompt

    module.controller.onBoxPlaced(BoxPrompt("K", index, (10.0, 8.0), (34.0, 32.0)))
    wait_until(idle(module))
