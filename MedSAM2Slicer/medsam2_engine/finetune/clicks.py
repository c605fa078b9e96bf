"""Corrective clicks, where a person would put them: at the deepest place of the larger kind of error."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST_ERROR = 4  # pixels; below it the click lands in the object, or beside it where there is none


@torch.no_grad()
def clicks_on_errors(predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """For masks (B, S, S) bool: places (B, 2) float32 in frame pixels, and labels (B,): 1 to add, 0 to take away."""
    missed, surplus = truth & ~predicted, predicted & ~truth
    adds = missed.flatten(1).sum(1) >= surplus.flatten(1).sum(1)
    where = torch.where(adds[:, None, None], missed, surplus)
    nothing = where.flatten(1).sum(1) < SMALLEST_ERROR
    has_object = truth.flatten(1).any(1)
    adds = torch.where(nothing, has_object, adds)
    instead = torch.where(has_object[:, None, None], truth, ~truth)
    where = torch.where(nothing[:, None, None], instead, where)
    places = deepest(where).flip(1).float()
    return places, adds.long()


def deepest(masks: Tensor) -> Tensor:
    """Row and column (B, 2) of the pixel furthest from the outside, in steps of a 3 x 3 square; masks are not empty."""
    depth = torch.zeros_like(masks, dtype=torch.float32)
    left = masks.float()[:, None]
    while bool(left.any()):
        depth += left[:, 0]
        left = -F.max_pool2d(F.pad(-left, (1, 1, 1, 1), value=0.0), 3, 1)
    flat = depth.flatten(1).argmax(1)
    return torch.stack((flat // masks.shape[2], flat % masks.shape[2]), dim=1)
