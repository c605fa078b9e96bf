"""Slices padded to a square, as SAM 1 was trained, and slices from 0 to 1, as MedSAM was."""

from __future__ import annotations

import pytest
import torch

from medsam2_engine.frames import SliceStack, WholeSliceFrames
from medsam2_engine.slice_prompts import Click, SlicePrompts
from medsam2_engine.whole_slice import IMAGENET, UNIT, PaddedSliceFrames, PlainSliceFraming
from medsam2_protocol.messages import Window
from phantoms import Phantom, a_phantom

WINDOW = Window(0.0, 200.0)
BLACK = [-mean / deviation for mean, deviation in zip(*IMAGENET, strict=True)]


@pytest.fixture
def flat() -> Phantom:
    """Slices of 30 rows and 60 columns."""
    return a_phantom(shape_kji=(8, 30, 60), center_kji=(4.0, 15.0, 30.0), radii_kji=(3.0, 6.0, 9.0))


@pytest.fixture
def padded(flat: Phantom) -> PaddedSliceFrames:
    return PaddedSliceFrames(SliceStack(flat.volume, "K"), WINDOW, 120, *IMAGENET)


def test_proportions_are_kept_and_the_rest_is_black_after_normalisation(padded: PaddedSliceFrames) -> None:
    pixels = padded.pixels(4)
    assert pixels.shape == (1, 3, 120, 120)
    assert (pixels[:, :, 60:] == 0).all()
    assert pixels[0, 0, :60].min() >= BLACK[0] - 1e-6
    assert not (pixels[0, 0, :60] == 0).any()


def test_a_voxel_is_where_the_grid_says(padded: PaddedSliceFrames) -> None:
    assert padded.grid.to_frame((29.5, 14.5)).tolist() == [59.5, 29.5]


def test_a_mask_comes_back_to_the_slice(padded: PaddedSliceFrames) -> None:
    logits = torch.full((30, 30), -1.0)
    logits[:15, 15:] = 1.0  # the right half of the slice
    on_slice = padded.grid.logits_on_slice(logits, (30, 60)) > 0
    assert on_slice[:, 31:].all()
    assert not on_slice[:, :29].any()


def test_points_are_scaled_by_the_longer_side(padded: PaddedSliceFrames) -> None:
    prompt = PlainSliceFraming(120, True, *IMAGENET).points(padded.grid, None, (Click(30.0, 10.0, True),))
    assert prompt.points_xy.tolist() == [[60.0, 20.0]]


def test_unit_slices_run_from_0_to_1_in_three_equal_channels(flat: Phantom) -> None:
    framing = PlainSliceFraming(64, False, *UNIT)
    (frames,) = framing.looks(SliceStack(flat.volume, "K"), 4, SlicePrompts(clicks=(Click(1, 1, True),)), WINDOW)
    pixels = frames.pixels(4)
    assert isinstance(frames, WholeSliceFrames)
    assert 0 <= pixels.min() < pixels.max() <= 1
    assert torch.equal(pixels[0, 0], pixels[0, 2])
