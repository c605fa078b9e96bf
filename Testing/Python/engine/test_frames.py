"""Slices and the frames laid over them: every pixel and every voxel in its place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2_engine.frames import FrameGrid, SliceStack, WholeSliceFrames, whole_slice_grid
from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window

SHAPE_KJI = (5, 7, 9)
SPACING = (0.3, 0.9, 5.0)
S = 32


@pytest.fixture
def volume() -> Volume:
    """The voxel (i, j, k) has the value 100 k + 10 j + i."""
    k, j, i = np.indices(SHAPE_KJI)
    return Volume(100.0 * k + 10.0 * j + i, np.diag([*SPACING, 1.0]))


@st.composite
def grids(draw: st.DrawFn) -> FrameGrid:
    corner = draw(st.tuples(st.floats(-50, 50), st.floats(-50, 50)))
    extent = draw(st.tuples(st.floats(2, 300), st.floats(2, 300)))
    return FrameGrid(draw(st.sampled_from([16, 32, 128])), corner, extent)


def ramps(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Slices whose value is the x, or the y coordinate of the voxel."""
    y, x = np.indices((rows, columns), dtype=np.float32)
    return x, y


# ---- slices along the three axes


@pytest.mark.parametrize(("axis", "count"), [("I", 9), ("J", 7), ("K", 5)])
def test_an_axis_has_as_many_slices_as_voxels(volume: Volume, axis: str, count: int) -> None:
    assert SliceStack(volume, axis).count == count


@pytest.mark.parametrize(("axis", "shape"), [("I", (5, 7)), ("J", (5, 9)), ("K", (7, 9))])
def test_columns_run_along_the_earlier_remaining_axis(volume: Volume, axis: str, shape: tuple[int, int]) -> None:
    stack = SliceStack(volume, axis)
    assert stack.shape == stack.slice(1).shape == shape


@pytest.mark.parametrize(("axis", "value"), [("I", 432), ("J", 423), ("K", 243)])
def test_a_pixel_of_a_slice_is_its_voxel(volume: Volume, axis: str, value: float) -> None:
    """Row 4, column 3 of slice 2."""
    assert SliceStack(volume, axis).slice(2)[4, 3] == value


@pytest.mark.parametrize(("axis", "spacing"), [("I", (0.9, 5.0)), ("J", (0.3, 5.0)), ("K", (0.3, 0.9))])
def test_the_spacing_of_a_slice_is_that_of_its_columns_and_rows(
    volume: Volume, axis: str, spacing: tuple[float, float]
) -> None:
    assert SliceStack(volume, axis).spacing_xy == pytest.approx(spacing)


@pytest.mark.parametrize(("axis", "spacing"), [("I", 0.3), ("J", 0.9), ("K", 5.0)])
def test_slices_have_a_distance(volume: Volume, axis: str, spacing: float) -> None:
    assert SliceStack(volume, axis).spacing_mm == pytest.approx(spacing)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64, bool, ">i2"])
def test_a_slice_is_float32_whatever_the_voxels_are(dtype: np.typing.DTypeLike) -> None:
    stack = SliceStack(Volume(np.ones(SHAPE_KJI, dtype), np.eye(4)), "K")
    assert (stack.slice(0).dtype, stack.slice(0).max()) == (np.float32, 1)


def test_a_slice_is_a_copy() -> None:
    voxels = np.zeros(SHAPE_KJI, np.float32)
    SliceStack(Volume(voxels, np.eye(4)), "K").slice(0)[:] = 7
    assert not voxels.any()


def test_voxels_that_are_no_numbers_are_zero_in_a_slice() -> None:
    voxels = np.ones(SHAPE_KJI, np.float32)
    voxels[0, 0, :3] = np.nan, np.inf, -np.inf
    assert SliceStack(Volume(voxels, np.eye(4)), "K").slice(0)[0].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]


# ---- the grid


@given(grids(), st.tuples(st.floats(-500, 500), st.floats(-500, 500)))
def test_a_point_comes_back_from_the_frame(grid: FrameGrid, point: tuple[float, float]) -> None:
    assert grid.to_slice(grid.to_frame(point)) == pytest.approx(point, abs=1e-6)


@given(grids())
def test_the_frame_reaches_from_corner_to_corner(grid: FrameGrid) -> None:
    low, high = grid.to_slice([(-0.5, -0.5), (grid.size - 0.5, grid.size - 0.5)])
    assert low == pytest.approx(grid.corner_xy, abs=1e-9)
    assert high == pytest.approx(np.add(grid.corner_xy, grid.extent_xy), abs=1e-9)


def test_the_scale_is_frame_pixels_per_voxel() -> None:
    assert FrameGrid(32, (0, 0), (16, 64)).scale_xy == (2.0, 0.5)


def test_the_whole_slice_fills_the_frame() -> None:
    assert whole_slice_grid((7, 9), S) == FrameGrid(S, (-0.5, -0.5), (9.0, 7.0))


@given(grids())
def test_a_ramp_shows_the_coordinates_of_every_pixel(grid: FrameGrid) -> None:
    x, y = ramps(60, 90)
    expected = grid.to_slice(np.stack(np.meshgrid(np.arange(grid.size), np.arange(grid.size)), -1))
    expected = expected.clip(0, [89, 59])
    assert np.abs(grid.sample(x).numpy() - expected[..., 0]).max() < 1e-3
    assert np.abs(grid.sample(y).numpy() - expected[..., 1]).max() < 1e-3


def test_beyond_the_border_the_border_is_repeated() -> None:
    x, _ = ramps(10, 10)
    assert FrameGrid(8, (-20, 2), (8, 8)).sample(x).tolist() == [[0.0] * 8] * 8


def test_pixels_beyond_the_border_are_not_covered() -> None:
    covered = FrameGrid(8, (-2.5, 1.5), (8, 8)).covers((6, 20))
    assert np.array_equal(covered, np.outer([True] * 4 + [False] * 4, [False] * 2 + [True] * 6))


# ---- masks back on the slice


@given(grids())
def test_logits_on_the_slice_undo_the_sampling(grid: FrameGrid) -> None:
    """A frame that holds its own slice coordinates gives every voxel inside its coordinates, within half a pixel."""
    rows, columns = 60, 90
    centres = grid.to_slice(np.stack(np.meshgrid(np.arange(grid.size), np.arange(grid.size)), -1))
    for n, ramp in enumerate(ramps(rows, columns)):
        found = grid.logits_on_slice(torch.from_numpy(centres[..., n]), (rows, columns)).numpy()
        inside = np.isfinite(found)
        assert np.abs(found - ramp)[inside].max(initial=0) <= 0.5 / grid.scale_xy[n] + 1e-3


@given(grids())
def test_voxels_outside_the_frame_are_minus_infinity(grid: FrameGrid) -> None:
    found = grid.logits_on_slice(torch.ones(grid.size, grid.size), (60, 90)).numpy()
    frame_xy = grid.to_frame(np.stack(np.meshgrid(np.arange(90), np.arange(60)), -1))
    inside = (np.abs(frame_xy - (grid.size - 1) / 2) <= grid.size / 2).all(axis=-1)
    assert np.array_equal(np.isneginf(found), ~inside)


def test_logits_of_a_coarser_map_lie_on_the_same_voxels() -> None:
    """A map of a quarter of the frame, as SAM 2's masks: its pixel centres are those of 4 x 4 frame pixels."""
    grid = FrameGrid(32, (3.5, 1.5), (16, 8))
    coarse = torch.zeros(8, 8)
    coarse[2, 5] = 1
    peak = np.unravel_index(int(grid.logits_on_slice(coarse, (30, 40)).argmax()), (30, 40))
    centre = grid.to_slice((5 * 4 + 1.5, 2 * 4 + 1.5))
    assert np.abs(np.array(peak[::-1]) - centre).max() <= 0.5


@pytest.mark.parametrize("axis", ["I", "J", "K"])
@pytest.mark.parametrize("extent", [(14.0, 14.0), (10.0, 30.0)], ids=["isotropic", "anisotropic"])
def test_a_mask_survives_the_frame(axis: str, extent: tuple[float, float]) -> None:
    shape = SliceStack(Volume(np.zeros((20, 24, 28), np.uint8), np.eye(4)), axis).shape
    mask = np.zeros(shape, bool)
    mask[6:10, 5:12] = True
    grid = FrameGrid(128, (1.25, 1.75), extent)
    back = grid.logits_on_slice(grid.mask_in_frame(mask).float() - 0.5, shape) > 0
    assert np.array_equal(back.numpy(), mask)


def test_a_mask_at_the_border_does_not_run_over_it() -> None:
    grid = FrameGrid(16, (-8.5, -8.5), (16, 16))
    assert int(grid.mask_in_frame(np.ones((20, 20), bool)).sum()) == 8 * 8


# ---- whole slices for SAM 2


@pytest.fixture
def whole_frames(volume: Volume) -> WholeSliceFrames:
    return WholeSliceFrames(SliceStack(volume, "K"), Window(0, 500), S)


def test_a_frame_has_three_channels_of_the_models_size(whole_frames: WholeSliceFrames) -> None:
    assert (whole_frames.pixels(2).shape, whole_frames.pixels(2).dtype) == ((1, 3, S, S), torch.float32)


def test_the_channels_are_normalised_as_sam_2_was_trained(whole_frames: WholeSliceFrames) -> None:
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    grey = whole_frames.pixels(2)[0] * deviation[:, None, None] + mean[:, None, None]
    assert torch.allclose(grey[0], grey[1], atol=1e-6)
    assert torch.allclose(grey[0], grey[2], atol=1e-6)
    assert 0.4 < float(grey[0].min()) < float(grey[0].max()) < 0.6  # 200 to 268 of 500


def test_the_first_column_is_left_and_the_first_row_is_up(whole_frames: WholeSliceFrames) -> None:
    frame = whole_frames.pixels(2)[0, 0]
    assert frame[0, 0] < frame[0, -1] < frame[-1, 0] < frame[-1, -1]


def test_another_window_is_another_key(whole_frames: WholeSliceFrames) -> None:
    assert replace(whole_frames, window=Window(0, 400)).key != whole_frames.key


def test_another_axis_is_another_key(whole_frames: WholeSliceFrames, volume: Volume) -> None:
    assert replace(whole_frames, slices=SliceStack(volume, "J")).key != whole_frames.key


def test_equal_frames_have_equal_keys(whole_frames: WholeSliceFrames, volume: Volume) -> None:
    assert WholeSliceFrames(SliceStack(volume, "K"), Window(0, 500), S).key == whole_frames.key
