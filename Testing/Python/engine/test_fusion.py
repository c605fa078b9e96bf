"""One mask from two directions: nearness, confidence, and a direction that has lost the object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from medsam2_engine.frames import FrameGrid, whole_slice_grid
from medsam2_engine.fusion import View, dice, fuse
from medsam2_engine.model.frame import FrameMask

SHAPE = (16, 16)


WHOLE = whole_slice_grid(SHAPE, 16)


@dataclass(frozen=True)
class Frames:
    """Frames of which only the grid is looked at."""

    grid: FrameGrid = WHOLE
    key: str = "frames"


def square(start: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[4:12, start : start + 6] = True
    return mask


def view(mask: np.ndarray, distance: int, score: float = 4.0, iou: float = 0.9, certainty: float = 4.0) -> View:
    logits = torch.from_numpy(np.where(mask, certainty, -certainty)).float()
    answer = FrameMask(logits, score, iou, torch.zeros(1))
    return View(Frames(), answer, distance, mask & (score > 0))  # type: ignore[arg-type]


def test_two_equal_masks_are_one_and_the_same() -> None:
    fused = fuse(view(square(3), 2), view(square(3), 7), SHAPE, gated=True)
    assert np.array_equal(fused.mask, square(3))
    assert fused.agreement == 1


@pytest.mark.parametrize(("distances", "expected"), [((1, 5), square(2)), ((5, 1), square(6))])
def test_the_direction_of_the_nearer_anchor_decides(distances: tuple[int, int], expected: np.ndarray) -> None:
    fused = fuse(view(square(2), distances[0]), view(square(6), distances[1]), SHAPE, gated=True)
    assert np.array_equal(fused.mask, expected)


def test_half_way_the_surer_voxels_decide() -> None:
    sure, unsure = view(square(2), 4, certainty=6.0), view(square(6), 4, certainty=0.5)
    assert np.array_equal(fuse(sure, unsure, SHAPE, gated=True).mask, square(2))


def test_half_way_the_better_mask_decides() -> None:
    good, poor = view(square(2), 4, iou=0.95), view(square(6), 4, iou=0.3)
    assert np.array_equal(fuse(good, poor, SHAPE, gated=True).mask, square(2))


def test_a_direction_that_has_lost_the_object_gives_way() -> None:
    lost = view(np.zeros(SHAPE, bool), 3, score=-4.0)
    assert np.array_equal(fuse(lost, view(square(6), 4, score=6.0), SHAPE, gated=True).mask, square(6))


def test_what_neither_direction_sees_is_not_there() -> None:
    fused = fuse(view(square(2), 3, score=-3.0), view(square(2), 4, score=-1.0), SHAPE, gated=True)
    assert not fused.mask.any()
    assert fused.agreement == 1


def test_in_a_known_range_doubtful_masks_are_fused_all_the_same() -> None:
    fused = fuse(view(square(2), 3, score=-3.0), view(square(2), 4, score=-1.0), SHAPE, gated=False)
    assert np.array_equal(fused.mask, square(2))


def test_the_order_of_the_two_does_not_matter() -> None:
    one, other = view(square(2), 3, 1.0, 0.7, 2.0), view(square(5), 4, 3.0, 0.8, 1.0)
    first, second = fuse(one, other, SHAPE, gated=True), fuse(other, one, SHAPE, gated=True)
    assert np.array_equal(first.mask, second.mask)
    assert first.object_score == pytest.approx(second.object_score)


def test_the_agreement_is_the_dice_of_both() -> None:
    fused = fuse(view(square(2), 3), view(square(5), 3), SHAPE, gated=True)
    assert fused.agreement == pytest.approx(dice(square(2), square(5))) == pytest.approx(0.5)


def test_a_voxel_outside_both_crops_is_outside_the_object() -> None:
    small = Frames(FrameGrid(16, (3.5, 3.5), (8.0, 8.0)))
    everything = FrameMask(torch.full((16, 16), 9.0), 5.0, 0.9, torch.zeros(1))
    one, other = (View(small, everything, n, square(4)) for n in (2, 3))  # type: ignore[arg-type]
    assert fuse(one, other, SHAPE, gated=True).mask.sum() == 64
