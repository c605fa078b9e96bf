"""What is minimised on every answer.

SAM 2 (Ravi et al., arXiv:2408.00714, appendix D.2) and MedSAM2 (Ma et al., arXiv:2504.03600) weigh focal : Dice : IoU :
object score as 20 : 1 : 1 : 1, where of several candidate masks only the best is pulled, the IoU guess of each is
compared with its real one (L1), and the mask of an absent object is not supervised. Three things differ, each because
models trained without it failed: an absent object's mask is pulled to empty; the object score counts `absent` times as
much where the object is absent, which is rare; and it hardly counts on prompted frames, where the object always is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PRESENT_PIXELS = 8  # of the frame; fewer are nothing


@dataclass(frozen=True)
class LossWeights:
    """`focal_gamma` 0 makes the focal loss plain binary cross entropy."""

    mask: float = 20.0
    focal_gamma: float = 2.0
    dice: float = 1.0
    iou: float = 1.0
    object_score: float = 1.0
    absent: float = 3.0
    prompted_object_score: float = 0.1


CROSS_ENTROPY = LossWeights(mask=2.0, focal_gamma=0.0)  # what models of object crops, where half is object, learn from


@dataclass(frozen=True)
class AnswerLoss:
    """`total` is a scalar with gradients. The rest is for statistics: per object, without."""

    total: Tensor
    best: Tensor  # (B,) index of the best candidate
    dice: Tensor  # (B,) Dice of that candidate's mask
    true_iou: Tensor  # (B,) IoU of that candidate's mask
    present: Tensor  # (B,) bool


def answer_loss(
    logits: Tensor,
    ious: Tensor,
    object_score: Tensor,
    truth: Tensor,
    trust: Tensor,
    weights: LossWeights,
    is_prompted: bool,
) -> AnswerLoss:
    """The loss of the answers to B objects on one frame.

    logits (B, C, S, S), ious (B, C), object_score (B,), truth (B, S, S) 0 or 1, trust (B,) 0 to 1.
    """
    present = truth.flatten(1).sum(1) > PRESENT_PIXELS
    masks = _mask_loss(logits, truth, weights)
    best = masks.detach().argmin(1)
    rows = torch.arange(len(best), device=best.device)
    empty = weights.mask * _focal(logits, torch.zeros_like(logits), weights.focal_gamma).mean(1)
    overlaps = overlap(logits.detach() > 0, truth > 0.5)
    guesses = (ious - overlaps).abs().mean(1) * weights.iou
    per_object = torch.where(present, masks[rows, best] + guesses, empty)
    seen = F.binary_cross_entropy_with_logits(object_score, present.to(object_score), reduction="none")
    share = torch.where(present, 1.0, weights.absent) if not is_prompted else weights.prompted_object_score
    per_object = per_object + weights.object_score * share * seen
    chosen = overlaps[rows, best]
    dice = 2 * chosen / (1 + chosen)
    return AnswerLoss((per_object * trust).mean(), best, dice, chosen, present)


def overlap(masks: Tensor, truth: Tensor) -> Tensor:
    """IoU (B, C) of masks (B, C, S, S) with truth (B, S, S), all bool."""
    truth = truth[:, None]
    both = (masks & truth).flatten(2).sum(2).float()
    return both / (masks | truth).flatten(2).sum(2).clamp(min=1).float()


def _mask_loss(logits: Tensor, truth: Tensor, weights: LossWeights) -> Tensor:
    """(B, C): focal and Dice loss of every candidate."""
    expected = truth[:, None].expand_as(logits)
    sure = logits.sigmoid().flatten(2)
    flat = expected.flatten(2)
    dice = 1 - (2 * (sure * flat).sum(2) + 1) / (sure.sum(2) + flat.sum(2) + 1)
    return weights.mask * _focal(logits, expected, weights.focal_gamma) + weights.dice * dice


def _focal(logits: Tensor, expected: Tensor, gamma: float) -> Tensor:
    """(B, C), mean over pixels (Lin et al., arXiv:1708.02002), without its class weight."""
    entropy = F.binary_cross_entropy_with_logits(logits, expected, reduction="none")
    if gamma:
        entropy = entropy * (1 - torch.exp(-entropy)) ** gamma
    return entropy.flatten(2).mean(2)
