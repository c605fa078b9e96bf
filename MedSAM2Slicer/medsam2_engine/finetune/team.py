"""Training on several processes: each plays its own batches, and their gradients are averaged.

`accelerate` starts the processes (`accelerate launch -m medsam2_engine finetune ...`) and says which one this is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Protocol

from torch import nn

from medsam2_engine.errors import BadRequest


class Team(Protocol):
    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None: ...


class Alone:
    """One process, nothing to share."""

    rank = 0
    size = 1

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        pass


class Accelerated:
    """The processes that `accelerate launch` started."""

    def __init__(self, accelerator: Any) -> None:
        self._accelerator = accelerator

    @property
    def rank(self) -> int:
        return int(self._accelerator.process_index)

    @property
    def size(self) -> int:
        return int(self._accelerator.num_processes)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.copy_(self._accelerator.reduce(parameter.grad, reduction="mean"))


def find_team() -> Team:
    """The team that this process was started in; alone without one.

    Raises:
        BadRequest: started as one of several, but accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Alone()
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise BadRequest('Several processes need accelerate: pip install "medsam2slicer-engine[finetune]".') from error
    return Accelerated(Accelerator())
