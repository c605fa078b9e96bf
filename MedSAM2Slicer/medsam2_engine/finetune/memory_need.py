"""How much memory a training will need, found out by counting what one slice keeps for its gradients.

Weights, their gradients, Adam's two moments, the moving average and the best weights are counted exactly; activations
are counted by playing one slice and scaled to the slices of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medsam2_engine.errors import TooLittleMemory
from medsam2_engine.finetune.losses import LossWeights
from medsam2_engine.finetune.network import Points
from medsam2_engine.finetune.playing import Play, played
from medsam2_engine.finetune.samples import BOX, Batch
from medsam2_engine.finetune.statistics import Statistics
from medsam2_engine.free_memory import free_memory
from medsam2_engine.model.sam2 import Sam2

BASE_BYTES = 600_000_000  # Python, torch and the volumes of a small folder
COPIES_OF_TRAINED = 6  # gradient, two moments, average, best, and the copy made for a validation
SLACK = 1.3  # what is freed late, and what backward computes between


@dataclass(frozen=True)
class MemoryNeed:
    """In bytes."""

    weights: int
    trained: int
    activations: int

    @property
    def total(self) -> int:
        return BASE_BYTES + self.weights + self.trained + int(SLACK * self.activations)

    def __str__(self) -> str:
        return (
            f"about {_gb(self.total)} (weights {_gb(self.weights)}, optimiser {_gb(self.trained)}, "
            f"activations {_gb(self.activations)})"
        )


def memory_need(model: Sam2, parameters: Sequence[Tensor], slices: int) -> MemoryNeed:
    """Of a training with micro-batches of that many slices; the model is on the CPU, its parameters as they will be."""
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    trained = COPIES_OF_TRAINED * sum(p.numel() * p.element_size() for p in parameters)
    return MemoryNeed(weights, trained, slices * _kept_for_gradients(model))


def require_memory(need: MemoryNeed, device: str) -> None:
    """
    Raises:
        TooLittleMemory: the device has less free memory than that.
    """
    free = free_memory(device)
    if free is not None and need.total > free:
        raise TooLittleMemory(
            f"This training needs {need}, but only {_gb(free)} are free. Close other programs, choose a smaller model, "
            "or let less of it learn (`--train head`)."
        )


def _kept_for_gradients(model: Sam2) -> int:
    """Bytes kept by playing a clip of two slices, per slice."""
    seen: set[int] = set()
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = 0

    def pack(tensor: Tensor) -> Any:
        nonlocal kept
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen | own:
            seen.add(storage.data_ptr())
            kept += storage.nbytes()
        return tensor

    size = model.config.image_size
    points = Points(torch.tensor([[[size / 4] * 2, [size / 2] * 2]]), torch.tensor([[2, 3]]))
    truth = torch.zeros(1, 2, size, size)
    truth[:, :, size // 4 : size // 2, size // 4 : size // 2] = 1
    batch = Batch(BOX, torch.zeros(1, 2, 3, size, size), truth, points, torch.ones(1, 2))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = played(model, batch, Play(), LossWeights(), np.random.default_rng(0), Statistics())
    del loss
    return kept // 2


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
