"""Training on several processes: each plays its own batches, and their gradients are averaged.

`accelerate` starts the processes (`accelerate launch -m medsam2_engine finetune ...`) and says which one this is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import nn

from medsam2_engine.errors import MissingPackages


class Team(Protocol):
    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None: ...

    def mean(self, value: float) -> float:
        """Over all processes, and the same in each: whoever decides by it decides as the others do."""
        ...


class Alone:
    """One process, nothing to share."""

    rank = 0
    size = 1

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        pass

    def mean(self, value: float) -> float:
        return value


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
        """In one exchange. Which parameters a clip passes through differs, so one without a gradient has zeros."""
        grads = []
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            grads.append(parameter.grad)
        averaged = self._accelerator.reduce(torch.cat([grad.ravel() for grad in grads]), reduction="mean")
        for grad, part in zip(grads, averaged.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def mean(self, value: float) -> float:
        own = torch.tensor(value, device=self._accelerator.device)
        return float(self._accelerator.reduce(own, reduction="mean"))


def find_team() -> Team:
    """The team that this process was started in; alone without one.

    Raises:
        MissingPackages: started as one of several, but accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Alone()
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise MissingPackages(
            'Several processes need accelerate (`pip install "medsam2slicer-engine[finetune]"`).'
        ) from error
    return Accelerated(Accelerator())
