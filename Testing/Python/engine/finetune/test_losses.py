from __future__ import annotations

import pytest
import torch

from medsam2_engine.finetune.losses import AnswerLoss, LossWeights, answer_loss

TRUTH = torch.zeros(1, 32, 32)
TRUTH[0, 8:20, 8:20] = 1
RIGHT = (TRUTH * 2 - 1) * 8
SEEN, UNSEEN = torch.tensor([5.0]), torch.tensor([-5.0])


def loss(
    logits: torch.Tensor, iou: float = 1.0, score: torch.Tensor = SEEN, truth: torch.Tensor = TRUTH, trust: float = 1.0
) -> AnswerLoss:
    candidates = logits[:, None] if logits.ndim == 3 else logits
    ious = torch.full(candidates.shape[:2], iou)
    return answer_loss(candidates, ious, score, truth, torch.tensor([trust]), LossWeights(), is_prompted=False)


def test_the_right_mask_costs_less_than_a_shifted_one() -> None:
    assert loss(RIGHT).total < loss(RIGHT.roll(4, 2)).total


def test_a_wrong_guess_of_the_own_overlap_costs() -> None:
    assert loss(RIGHT, iou=1.0).total < loss(RIGHT, iou=0.3).total


def test_an_absent_object_is_pulled_to_an_empty_mask_and_a_negative_score() -> None:
    nothing = torch.zeros_like(TRUTH)
    empty = torch.full_like(TRUTH, -8.0)
    assert loss(empty, score=UNSEEN, truth=nothing).total < loss(RIGHT, score=UNSEEN, truth=nothing).total
    assert loss(empty, score=UNSEEN, truth=nothing).total < loss(empty, score=SEEN, truth=nothing).total


def test_only_the_best_of_three_masks_is_pulled() -> None:
    three = torch.stack((RIGHT.roll(6, 2), RIGHT, -RIGHT), dim=1).requires_grad_()
    found = loss(three)
    found.total.backward()
    assert found.best.tolist() == [1]
    assert three.grad is not None
    assert three.grad[:, 1].abs().sum() > 0
    assert three.grad[:, [0, 2]].abs().sum() == 0


def test_slices_that_are_not_trusted_count_less() -> None:
    wrong = RIGHT.roll(4, 2)
    assert loss(wrong, trust=0.25).total.item() == pytest.approx(0.25 * loss(wrong).total.item(), rel=1e-5)


def test_dice_and_overlap_are_those_of_the_mask() -> None:
    found = loss(RIGHT.roll(4, 2))
    assert found.true_iou.item() == pytest.approx(8 * 12 / (16 * 12))
    assert found.dice.item() == pytest.approx(2 * 8 / 24)
