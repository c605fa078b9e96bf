"""How many frames a device computes at once, and what happens when they turn out too many."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from medsam2_engine.errors import is_out_of_memory
from medsam2_engine.free_memory import free_memory
from medsam2_engine.model.config import Sam2Config

logger = logging.getLogger(__name__)
MOST = 8  # more frames gain nothing on today's GPUs, and are encoded in vain where an object ends
SHARE_OF_FREE = 0.25
WORKING_MAPS = 24  # maps of the first stage that the encoder holds at its peak: queries, perceptron, sums

T = TypeVar("T")
R = TypeVar("R")


def frames_at_once(device: str, config: Sam2Config) -> int:
    """Frames to encode together on a device ("cpu", "cuda", "mps"); 1 where nobody has found that it gains."""
    if device != "cuda":
        return 1
    free = free_memory(device)
    per_frame = 4 * WORKING_MAPS * config.hiera.dims[0] * (config.image_size // 4) ** 2
    return 1 if free is None else max(1, min(MOST, int(SHARE_OF_FREE * free / per_frame)))


class Batches:
    """Runs work in batches of `size`, and in smaller ones from then on where memory runs out.

    What fails with one alone is raised: then the device is too small for the model.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, work: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
        """The results of all items, in their order."""
        done: list[R] = []
        while len(done) < len(items):
            batch = items[len(done) : len(done) + self.size]
            try:
                done += work(batch)
            except Exception as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                self._shrink(len(batch))
        return done

    def _shrink(self, failed: int) -> None:
        self.size = failed // 2
        logger.warning("%d frames at once are too many for the memory; %d from now on", failed, self.size)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
