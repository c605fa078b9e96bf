"""How far two models are apart: the largest difference of logits, and the pixels that differ."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


class Comparison:
    """Over everything that was added; pixels are counted at `size`, the edge of the frame."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.difference = 0.0
        self.flipped = 0
        self.pixels = 0

    def add(self, ours: Tensor, theirs: Tensor) -> None:
        assert ours.shape == theirs.shape
        self.difference = max(self.difference, float((ours - theirs).abs().max()))
        full = [F.interpolate(x[None, None], (self.size,) * 2, mode="bilinear")[0, 0] > 0 for x in (ours, theirs)]
        self.flipped += int((full[0] != full[1]).sum())
        self.pixels += full[0].numel()

    @property
    def alike(self) -> float:
        return 1 - self.flipped / self.pixels
