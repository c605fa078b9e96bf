"""The input contract of the embedded model, against a plain computation written from its description."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from medsam2_engine.frames import FrameGrid, SliceStack
from medsam2_engine.object_crop import (
    ObjectCropFrames,
    box_in_frame,
    crop_grid,
    frames_of_box,
    frames_of_point,
    square_grid,
)
from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window
from phantoms import Phantom, a_phantom

S = 128
INDEX = 9
BOX = (21.5, 12.25, 44.0, 30.0)  # x0, y0, x1, y1


@dataclass(frozen=True)
class Expected:
    """What the description asks for, written out step by step for one slice and one box."""

    u: np.ndarray
    lower: float
    upper: float
    median: float
    half_width: float
    log_odds: np.ndarray

    @property
    def channels(self) -> np.ndarray:
        window = np.clip((self.u - self.median) / (2 * self.half_width) + 0.5, 0, 1)
        odds = self.log_odds[bins(self.u)] / 6 + 0.5
        return (np.stack([self.u, window, odds]) - 0.5) / 0.25


def expected(
    image: np.ndarray, corner: np.ndarray, extent: np.ndarray, objects: list[np.ndarray], outside: np.ndarray
) -> Expected:
    raw, inside = bilinear(image, corner, extent)
    lower, upper = np.percentile(raw[inside], [1, 99])
    u = np.where(inside, np.clip((raw - lower) / (upper - lower), -0.25, 1.25), 0)
    core, body = objects
    median = np.median(u[core])
    mad = 1.4826 * np.median(np.abs(u[core] - median))
    outside = outside & inside & (np.abs(u) >= 0.005)
    odds = np.log(share(u[body]) + 1e-3) - np.log(share(u[outside]) + 1e-3)
    return Expected(u, lower, upper, median, np.clip(2.5 * mad, 0.12, 0.5), np.clip(odds, -3, 3))


def bilinear(image: np.ndarray, corner: np.ndarray, extent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The crop at S x S pixel centres, and which of them lie inside the slice."""
    rows, columns = image.shape
    x, y = (corner[n] + (np.arange(S) + 0.5) * extent[n] / S for n in (0, 1))
    is_inside = np.outer((y > -0.5) & (y < rows - 0.5), (x > -0.5) & (x < columns - 0.5))
    x, y = x.clip(0, columns - 1), y.clip(0, rows - 1)
    left, top = np.minimum(x.astype(int), columns - 2), np.minimum(y.astype(int), rows - 2)
    fx, fy = x - left, (y - top)[:, None]
    upper = image[np.ix_(top, left)] * (1 - fx) + image[np.ix_(top, left + 1)] * fx
    lower = image[np.ix_(top + 1, left)] * (1 - fx) + image[np.ix_(top + 1, left + 1)] * fx
    return upper * (1 - fy) + lower * fy, is_inside


def bins(u: np.ndarray) -> np.ndarray:
    return ((u + 0.25) / 1.5 * 64).astype(int).clip(0, 63)


def share(u: np.ndarray) -> np.ndarray:
    """Histogram of 64 bins, smoothed by a Gaussian of 2 bins that sees the ends mirrored."""
    histogram = np.bincount(bins(u), minlength=64).astype(float)
    mirrored = np.concatenate([histogram[:8][::-1], histogram, histogram[-8:][::-1]])
    weights = np.exp(-0.5 * (np.arange(-8, 9) / 2.0) ** 2)
    smooth = np.array([(mirrored[n : n + 17] * weights).sum() for n in range(64)])
    return smooth / smooth.sum()


def expected_of_box(slices: SliceStack, index: int) -> Expected:
    x0, y0, x1, y1 = BOX
    dx, dy = slices.spacing_xy
    side = 2.5 * max((x1 - x0 + 1) * dx, (y1 - y0 + 1) * dy)
    extent = np.array([side / dx, side / dy])
    corner = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) - extent / 2
    left, top = ((np.array([x0, y0]) - 0.5) - corner) * S / extent
    right, bottom = ((np.array([x1, y1]) + 0.5) - corner) * S / extent - 1
    y, x = np.indices((S, S))
    cx, cy, rx, ry = (left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2
    objects = [((x - cx) / (part * rx)) ** 2 + ((y - cy) / (part * ry)) ** 2 <= 1 for part in (0.7, 0.8)]
    outside = (x < left) | (x > right) | (y < top) | (y > bottom)
    return expected(slices.slice(index), corner, extent, objects, outside)


@pytest.fixture(params=[(1.0, 1.0, 1.0), (0.7, 1.1, 4.0)], ids=["isotropic", "anisotropic"])
def slices(request: pytest.FixtureRequest) -> SliceStack:
    return SliceStack(a_phantom(spacing=request.param).volume, "K")


@pytest.fixture
def frames(slices: SliceStack) -> ObjectCropFrames:
    return frames_of_box(slices, INDEX, BOX, S, None)


# ---- the crop


def test_the_crop_is_a_square_of_two_and_a_half_boxes() -> None:
    grid = crop_grid((10, 20, 29, 29), (0.5, 2.0), S)  # 20 x 10 voxels, 10 x 20 mm
    assert grid.extent_xy == pytest.approx((100, 25))  # 50 mm


def test_the_crop_lies_around_the_middle_of_the_box() -> None:
    grid = crop_grid((10, 20, 29, 29), (0.5, 2.0), S)
    assert grid.to_slice(((S - 1) / 2, (S - 1) / 2)) == pytest.approx((19.5, 24.5))


def test_a_tiny_box_gets_a_crop_of_ten_voxels() -> None:
    assert crop_grid((5, 5, 6, 6), (1.0, 1.0), S).extent_xy == (10, 10)


def test_a_square_around_a_point_has_its_side_in_millimetres() -> None:
    assert square_grid((20, 30), 60.0, (0.5, 2.0), S) == FrameGrid(S, (-40.0, 15.0), (120.0, 30.0))


def test_the_box_in_the_frame_reaches_from_its_first_pixel_to_its_last() -> None:
    grid = FrameGrid(S, (-0.5, -0.5), (64, 64))  # two pixels a voxel
    assert box_in_frame((10, 20, 12, 20), grid) == (20, 40, 25, 41)


# ---- what is measured on the prompted slice


def test_intensities_are_normalised_between_the_percentiles_of_the_crop(
    frames: ObjectCropFrames, slices: SliceStack
) -> None:
    wanted = expected_of_box(slices, INDEX)
    assert (frames.appearance.lower, frames.appearance.upper) == pytest.approx((wanted.lower, wanted.upper), rel=1e-4)


def test_the_objects_window_is_its_median_and_spread(frames: ObjectCropFrames, slices: SliceStack) -> None:
    wanted = expected_of_box(slices, INDEX)
    found = (frames.appearance.median, frames.appearance.half_width)
    assert found == pytest.approx((wanted.median, wanted.half_width), abs=1e-4)


def test_the_log_odds_compare_object_and_surroundings(frames: ObjectCropFrames, slices: SliceStack) -> None:
    wanted = expected_of_box(slices, INDEX).log_odds / 6 + 0.5
    assert frames.appearance.log_odds == pytest.approx(wanted, abs=0.02)  # a pixel on the edge of a bin


def test_the_object_is_likely_where_it_is(frames: ObjectCropFrames) -> None:
    odds = frames.pixels(INDEX)[0, 2].numpy() * 0.25 + 0.5
    assert odds[S // 2, S // 2] > 0.9
    assert odds[4, S // 2] < 0.1


def test_the_channels_are_those_of_the_description(frames: ObjectCropFrames, slices: SliceStack) -> None:
    difference = np.abs(frames.pixels(INDEX)[0].numpy() - expected_of_box(slices, INDEX).channels)
    assert np.quantile(difference, 0.999) < 0.05
    assert difference[:2].max() < 1e-2


def test_other_slices_are_seen_with_the_constants_of_the_prompted_one(
    frames: ObjectCropFrames, slices: SliceStack
) -> None:
    prompted = expected_of_box(slices, INDEX)
    grid = frames.grid
    raw, inside = bilinear(slices.slice(12), np.array(grid.corner_xy), np.array(grid.extent_xy))
    u = np.where(inside, ((raw - prompted.lower) / (prompted.upper - prompted.lower)).clip(-0.25, 1.25), 0)
    difference = np.abs(frames.pixels(12)[0].numpy() - replace(prompted, u=u).channels)
    assert np.quantile(difference, 0.999) < 0.05


def test_the_frame_is_what_the_network_takes(frames: ObjectCropFrames) -> None:
    assert frames.pixels(INDEX).shape == (1, 3, S, S)


def test_outside_the_volume_the_intensity_is_zero(phantom: Phantom) -> None:
    frames = frames_of_box(SliceStack(phantom.volume, "K"), INDEX, (0, 0, 15, 15), S, None)
    u = frames.pixels(INDEX)[0, 0].numpy() * 0.25 + 0.5
    assert np.abs(u[:30, :30]).max() < 1e-6


def test_a_chosen_window_replaces_the_percentiles(slices: SliceStack) -> None:
    frames = frames_of_box(slices, INDEX, BOX, S, Window(-50, 300))
    assert (frames.appearance.lower, frames.appearance.upper) == (-50, 300)


def test_another_unit_of_intensity_is_the_same_input(phantom: Phantom) -> None:
    doubled = phantom.with_voxels(phantom.volume.voxels_kji * 2)
    one, two = (frames_of_box(SliceStack(p.volume, "K"), INDEX, BOX, S, None).pixels(INDEX) for p in (phantom, doubled))
    assert np.array_equal(one, two)


def test_a_slice_of_one_value_has_channels(phantom: Phantom) -> None:
    flat = Volume(np.full(phantom.volume.shape_kji, 7, np.int16), np.eye(4))
    assert np.isfinite(frames_of_box(SliceStack(flat, "K"), INDEX, BOX, S, None).pixels(INDEX).numpy()).all()


def test_a_box_of_one_voxel_has_channels(slices: SliceStack) -> None:
    assert np.isfinite(frames_of_box(slices, INDEX, (30, 20, 30, 20), S, None).pixels(INDEX).numpy()).all()


# ---- points


def test_a_point_takes_five_pixels_for_object_and_what_is_beyond_thirty_for_the_rest(slices: SliceStack) -> None:
    point = (33.0, 21.0)
    grid = square_grid(point, 60.0, slices.spacing_xy, S)
    px, py = grid.to_frame(point)
    y, x = np.indices((S, S))
    squared = (x - px) ** 2 + (y - py) ** 2
    objects = [squared <= 5.0**2, squared <= (5.0 * 0.8 / 0.7) ** 2]
    corner, extent = np.array(grid.corner_xy), np.array(grid.extent_xy)
    wanted = expected(slices.slice(INDEX), corner, extent, objects, squared > 30.0**2)
    found = frames_of_point(slices, INDEX, point, grid, None).appearance
    assert (found.median, found.half_width) == pytest.approx((wanted.median, wanted.half_width), abs=1e-4)
    assert found.log_odds == pytest.approx(wanted.log_odds / 6 + 0.5, abs=0.02)


# ---- keys


def test_the_same_box_has_the_same_key(frames: ObjectCropFrames, slices: SliceStack) -> None:
    assert frames_of_box(slices, INDEX, BOX, S, None).key == frames.key


@pytest.mark.parametrize("change", ["box", "slice", "window"])
def test_another_input_has_another_key(frames: ObjectCropFrames, slices: SliceStack, change: str) -> None:
    other = frames_of_box(
        slices,
        INDEX + (change == "slice"),
        (20, 12, 44, 30) if change == "box" else BOX,
        S,
        Window(0, 200) if change == "window" else None,
    )
    assert other.key != frames.key
