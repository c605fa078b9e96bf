"""What a model is shown of a slice, and where the prompts lie in it."""

from __future__ import annotations

import numpy as np
import pytest

from medsam2_engine.frames import FrameStack, SliceStack, WholeSliceFrames
from medsam2_engine.framing import ObjectFraming, WholeSliceFraming
from medsam2_engine.intensity import default_window
from medsam2_engine.object_crop import ObjectCropFrames
from medsam2_engine.slice_prompts import Click, SlicePrompts
from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window
from phantoms import Phantom

BOX = (21.0, 12.0, 44.0, 30.0)
BOXED = SlicePrompts(box=BOX)
CLICKED = SlicePrompts(clicks=(Click(3, 5, False), Click(33, 21, True)))


@pytest.fixture
def slices(phantom: Phantom) -> SliceStack:
    return SliceStack(phantom.volume, "K")


@pytest.fixture
def whole() -> WholeSliceFraming:
    return WholeSliceFraming(512)


@pytest.fixture
def cropped() -> ObjectFraming:
    return ObjectFraming(128)


def look(
    framing: WholeSliceFraming | ObjectFraming, slices: SliceStack, prompts: SlicePrompts = BOXED, index: int = 9
) -> FrameStack:
    """The only frames there are to look at."""
    (frames,) = framing.looks(slices, index, prompts, None)
    return frames


def mask_of(slices: SliceStack, rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(slices.shape, bool)
    mask[rows, columns] = True
    return mask


# ---- whole slices


def test_all_prompts_share_the_frames_of_a_whole_slice(whole: WholeSliceFraming, slices: SliceStack) -> None:
    assert look(whole, slices).key == look(whole, slices, CLICKED, 12).key


def test_a_whole_slice_is_shown_in_the_volumes_own_window(whole: WholeSliceFraming, slices: SliceStack) -> None:
    frames = look(whole, slices)
    assert isinstance(frames, WholeSliceFrames)
    assert frames.window == default_window(slices.volume)


def test_a_chosen_window_is_kept(whole: WholeSliceFraming, slices: SliceStack) -> None:
    (frames,) = whole.looks(slices, 9, BOXED, Window(0, 200))
    assert isinstance(frames, WholeSliceFrames)
    assert frames.window == Window(0, 200)


def test_prompts_are_scaled_like_sam_2_scales_them(whole: WholeSliceFraming, slices: SliceStack) -> None:
    """Index times frame size over slice size: 512 / 56 along x, 512 / 48 along y."""
    grid = look(whole, slices).grid
    points = whole.points(grid, BOX, (Click(7, 6, True),))
    assert points.points_xy.numpy() == pytest.approx(np.array([[192, 128], [402.2857, 320], [64, 64]]), rel=1e-5)


# ---- crops around an object


def test_the_crop_lies_around_the_box(cropped: ObjectFraming, slices: SliceStack) -> None:
    grid = look(cropped, slices).grid
    assert grid.to_slice((63.5, 63.5)) == pytest.approx((32.5, 21.0))


def test_the_crop_of_a_mask_lies_around_its_voxels(cropped: ObjectFraming, slices: SliceStack) -> None:
    masked = SlicePrompts(mask=mask_of(slices, slice(12, 31), slice(21, 45)))
    assert look(cropped, slices, masked).key == look(cropped, slices).key


def test_a_clicked_object_is_looked_at_in_crops_of_many_sizes(cropped: ObjectFraming, slices: SliceStack) -> None:
    """From one and a half times the shorter side of the slice to about twenty voxels."""
    sides = [frames.grid.extent_xy[0] for frames in cropped.looks(slices, 9, CLICKED, None)]
    assert sides == pytest.approx([72, 48, 32, 21.33], abs=0.01)


def test_all_looks_at_a_clicked_object_lie_around_the_first_positive_click(
    cropped: ObjectFraming, slices: SliceStack
) -> None:
    for frames in cropped.looks(slices, 9, CLICKED, None):
        assert frames.grid.to_slice((63.5, 63.5)) == pytest.approx((33, 21))


def test_a_slice_one_voxel_wide_can_be_looked_at(cropped: ObjectFraming) -> None:
    ribbon = SliceStack(Volume(np.zeros((1, 48, 56), np.int16), np.eye(4)), "I")
    assert len(cropped.looks(ribbon, 9, SlicePrompts(clicks=(Click(21, 0, True),)), None)) == 1


def test_the_constants_come_from_the_prompted_slice(cropped: ObjectFraming, slices: SliceStack) -> None:
    here, there = (look(cropped, slices, index=index) for index in (9, 12))
    assert isinstance(here, ObjectCropFrames)
    assert isinstance(there, ObjectCropFrames)
    assert here.appearance != there.appearance


def test_an_object_in_the_middle_keeps_its_crop(cropped: ObjectFraming, slices: SliceStack) -> None:
    frames = look(cropped, slices)
    assert cropped.refocused(frames, slices, 10, mask_of(slices, slice(12, 31), slice(21, 45)), None) is None


def test_an_object_that_grows_gets_a_larger_crop(cropped: ObjectFraming, slices: SliceStack) -> None:
    frames = look(cropped, slices)
    grown = cropped.refocused(frames, slices, 10, mask_of(slices, slice(5, 38), slice(15, 51)), None)
    assert grown is not None
    assert grown.grid.extent_xy == pytest.approx((90, 90))


def test_a_whole_slice_needs_no_other_crop(whole: WholeSliceFraming, slices: SliceStack) -> None:
    assert whole.refocused(look(whole, slices), slices, 10, mask_of(slices, slice(0, 4), slice(0, 4)), None) is None


def test_an_object_that_is_about_to_leave_its_crop_gets_another(cropped: ObjectFraming, slices: SliceStack) -> None:
    small = SlicePrompts(box=(20, 20, 27, 27))
    frames = look(cropped, slices, small)
    moved = cropped.refocused(frames, slices, 10, mask_of(slices, slice(20, 28), slice(25, 33)), None)
    assert moved is not None
    assert moved.grid.to_slice((63.5, 63.5)) == pytest.approx((28.5, 23.5), abs=1.0)


@pytest.mark.parametrize("framing", [WholeSliceFraming(512), ObjectFraming(128)], ids=["whole", "crop"])
def test_corners_are_labelled_2_and_3_and_clicks_1_and_0(
    framing: WholeSliceFraming | ObjectFraming, slices: SliceStack
) -> None:
    grid = look(framing, slices).grid
    assert framing.points(grid, BOX, CLICKED.clicks).labels.tolist() == [2, 3, 0, 1]


def test_clicks_alone_have_no_corners(cropped: ObjectFraming, slices: SliceStack) -> None:
    grid = look(cropped, slices).grid
    assert cropped.points(grid, None, CLICKED.clicks).labels.tolist() == [0, 1]


def test_a_click_lies_on_its_voxel_in_the_frame(cropped: ObjectFraming, slices: SliceStack) -> None:
    grid = look(cropped, slices).grid
    points = cropped.points(grid, None, (Click(30, 25, True),))
    assert grid.to_slice(points.points_xy.numpy()[0]) == pytest.approx((30, 25), abs=1e-4)
