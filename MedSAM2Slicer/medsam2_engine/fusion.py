"""One mask from two: what a slice between two anchors looks like when it was reached from both.

With a voxel's logit l and the slice's object score s and predicted IoU q, as seen from either side at distance d (in
slices) from its anchor, each side has the weight

    w = q * sigmoid(s) / d,    both divided by their sum,

and the voxel belongs to the object where the weighted mean of sigmoid(l) exceeds a half. Near an anchor its own
direction decides, half way both do, and a direction that has lost the object gives way: between two slices that hold it
an object is lost more often than gone. It is absent where both directions say so and the range is not known. The
slice's object score and predicted IoU are the means of the two, weighted by 1 / d alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from medsam2_engine.frames import FrameStack, Mask
from medsam2_engine.model.frame import FrameMask

SMALLEST_WEIGHT = 1e-6


@dataclass(frozen=True)
class View:
    """A slice as it was reached from one anchor, `distance` slices away."""

    frames: FrameStack
    answer: FrameMask
    distance: int
    mask: Mask  # as it would stand alone


@dataclass(frozen=True)
class Fused:
    """The slice as both see it; `agreement` is the Dice of their masks, 1 for two empty ones."""

    mask: Mask
    object_score: float
    predicted_iou: float
    agreement: float


def fuse(one: View, other: View, shape: tuple[int, int], gated: bool) -> Fused:
    """shape: rows and columns of the slice. gated: nothing at all where the object is absent."""
    views = (one, other)
    nearness = _shares([1 / view.distance for view in views])
    score = sum(share * view.answer.object_score for share, view in zip(nearness, views, strict=True))
    iou = sum(share * view.answer.predicted_iou for share, view in zip(nearness, views, strict=True))
    agreement = dice(one.mask, other.mask)
    if gated and not any(view.answer.is_present for view in views):
        return Fused(np.zeros(shape, bool), score, iou, agreement)
    weights = _shares([_weight(view) for view in views])
    inside = sum(
        weight * view.frames.grid.logits_on_slice(view.answer.logits.cpu(), shape).sigmoid()
        for weight, view in zip(weights, views, strict=True)
    )
    return Fused(np.asarray((torch.as_tensor(inside) > 0.5).numpy()), score, iou, agreement)


def dice(one: Mask, other: Mask) -> float:
    """2 |A and B| / (|A| + |B|)."""
    total = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / total if total else 1.0


def _weight(view: View) -> float:
    answer = view.answer
    presence = float(torch.sigmoid(torch.tensor(answer.object_score)))
    return max(answer.predicted_iou * presence, SMALLEST_WEIGHT) / view.distance


def _shares(values: list[float]) -> list[float]:
    return [value / sum(values) for value in values]
