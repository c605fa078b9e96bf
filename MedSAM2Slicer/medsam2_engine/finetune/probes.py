"""Two linear readings that exist in training only, and make a memory worth looking at within a few hundred steps.

A remembered token has to tell the mask of its own place, 8 x 8 parts of it; and the frame's features after a look at
the memories have to tell the present mask. Without them the loss falls for a long while without any use of the memory.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from medsam2_engine.model.config import MEMORY_CHANNELS

PARTS = 8  # along a side of a token's place
MEMORY_WEIGHT, FRAME_WEIGHT = 1.0, 1.5


class Probes(nn.Module):
    """Their losses are to be added to that of the answers."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.memory = nn.Linear(MEMORY_CHANNELS, PARTS**2)
        self.frame = nn.Linear(hidden, PARTS**2)

    def of_memory(self, tokens: Tensor, remembered: Tensor) -> Tensor:
        """tokens (B, n * n, 64), remembered (B, S, S) in 0..1; a scalar."""
        return MEMORY_WEIGHT * F.binary_cross_entropy_with_logits(self.memory(tokens), by_place(remembered, tokens))

    def of_frame(self, frame: Tensor, truth: Tensor) -> Tensor:
        """frame (B, hidden, n, n) after memory attention, truth (B, S, S); a scalar."""
        tokens = frame.flatten(2).transpose(1, 2)
        return FRAME_WEIGHT * F.binary_cross_entropy_with_logits(self.frame(tokens), by_place(truth, tokens))


def by_place(masks: Tensor, tokens: Tensor) -> Tensor:
    """(B, S, S) as the shares of the 8 x 8 parts of every token's place: (B, n * n, 64), places by rows."""
    grid = round(tokens.shape[1] ** 0.5)
    parts = F.adaptive_avg_pool2d(masks[:, None], grid * PARTS)[:, 0]
    cut = parts.view(-1, grid, PARTS, grid, PARTS).transpose(2, 3)
    return cut.reshape(len(masks), grid * grid, PARTS**2)
