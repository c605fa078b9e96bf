"""The input of the embedded model: a square crop around the object, in three channels that depend on the prompt.

The channels hand the network what the prompted slice says about the object: the intensity, the intensity in the
object's own window, and the log odds that a pixel of this intensity belongs to the object. All constants are measured
once, on the prompted slice, and kept for every slice. This is a contract with the checkpoint (docs/models/embedded.md):
a number changed here is another input than the network was trained on.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from medsam2_engine.frames import FrameGrid, Image, Mask, SliceStack
from medsam2_protocol.messages import Window

CROP_OVER_BOX = 2.5  # side of the crop over the long side of the box
SMALLEST_CROP_VOXELS = 10.0
BINS = 64
LOWEST, HIGHEST = -0.25, 1.25  # range of the normalised intensity u
SMOOTHING_BINS = 2.0
LARGEST_LOG_ODDS = 3.0
PERCENTILES = (1.0, 99.0)
POINT_OBJECT_PX, POINT_BACKGROUND_PX = 5.0, 30.0
STROKE_OBJECT_VOXELS = 1.0, 1.5  # around a scribble: core and body of the object
STROKE_SAMPLES = 64
DARKEST = 0.005  # of u: an exactly black background is no tissue either
CORE, BODY = 0.7, 0.8  # ellipses, as parts of the box, that are taken for object

Box = tuple[float, float, float, float]  # x0, y0, x1, y1: outermost voxel centres, slice coordinates


@dataclass(frozen=True)
class Appearance:
    """What the prompted slice says about the object; intensities are normalised: u = (I - lower) / (upper - lower)."""

    lower: float
    upper: float
    median: float
    half_width: float
    log_odds: tuple[float, ...]  # BINS values in 0..1, 0.5 is undecided


@dataclass(frozen=True)
class ObjectCropFrames:
    """The slices of a volume in a crop around one object."""

    slices: SliceStack
    grid: FrameGrid
    appearance: Appearance

    @property
    def key(self) -> Hashable:
        return ("crop", self.slices.axis, self.grid, self.appearance)

    def pixels(self, index: int) -> Tensor:
        u = normalised(self.slices.slice(index), self.grid, self.appearance)
        return channels(u, self.appearance)[None]


def crop_grid(box: Box, spacing_xy: tuple[float, float], size: int) -> FrameGrid:
    """The square crop (in mm) around a box of slice coordinates."""
    x0, y0, x1, y1 = box
    dx, dy = spacing_xy
    side = max(CROP_OVER_BOX * max((x1 - x0 + 1) * dx, (y1 - y0 + 1) * dy), SMALLEST_CROP_VOXELS * min(dx, dy))
    return square_grid(((x0 + x1) / 2, (y0 + y1) / 2), side, spacing_xy, size)


def square_grid(
    centre_xy: tuple[float, float], side_mm: float, spacing_xy: tuple[float, float], size: int
) -> FrameGrid:
    """A square of `side_mm` around a point of slice coordinates."""
    width, height = side_mm / spacing_xy[0], side_mm / spacing_xy[1]
    return FrameGrid(size, (centre_xy[0] - width / 2, centre_xy[1] - height / 2), (width, height))


def box_in_frame(box: Box, grid: FrameGrid) -> Box:
    """The box in frame pixels as the network was trained: from its first pixel to its last, edges of voxels counted."""
    x0, y0, x1, y1 = box
    (left, top), (right, bottom) = grid.to_frame([(x0 - 0.5, y0 - 0.5), (x1 + 0.5, y1 + 0.5)])
    return float(left + 0.5), float(top + 0.5), float(right - 0.5), float(bottom - 0.5)


def frames_of_box(slices: SliceStack, index: int, box: Box, size: int, window: Window | None) -> ObjectCropFrames:
    """The crop and the channels for an object inside `box` on slice `index`."""
    grid = crop_grid(box, slices.spacing_xy, size)
    x0, y0, x1, y1 = box_in_frame(box, grid)
    centre, radii = ((x0 + x1) / 2, (y0 + y1) / 2), ((x1 - x0) / 2, (y1 - y0) / 2)
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    outside = (x < x0) | (x > x1) | (y < y0) | (y > y1)
    samples = ObjectSamples(_ellipse(size, centre, radii, CORE), _ellipse(size, centre, radii, BODY), outside)
    return _frames(slices, index, grid, samples, window)


def frames_of_point(
    slices: SliceStack, index: int, point_xy: tuple[float, float], grid: FrameGrid, window: Window | None
) -> ObjectCropFrames:
    """The channels for an object of unknown size under a point, in a given crop."""
    px, py = grid.to_frame(point_xy)
    x, y = np.meshgrid(np.arange(grid.size), np.arange(grid.size))
    far = (x - px) ** 2 + (y - py) ** 2 > POINT_BACKGROUND_PX**2
    radius = POINT_OBJECT_PX / CORE
    discs = (_ellipse(grid.size, (px, py), (radius, radius), part) for part in (CORE, BODY))
    return _frames(slices, index, grid, ObjectSamples(next(discs), next(discs), far), window)


def frames_of_stroke(
    slices: SliceStack, index: int, stroke: Mask, grid: FrameGrid, window: Window | None
) -> ObjectCropFrames:
    """The channels for an object of unknown size under a scribble (rows, columns), in a given crop."""
    rows, columns = np.nonzero(stroke)
    few = np.linspace(0, len(rows) - 1, min(len(rows), STROKE_SAMPLES)).astype(int)
    drawn = grid.to_frame(np.stack([columns[few], rows[few]], axis=-1))
    x, y = np.meshgrid(np.arange(grid.size), np.arange(grid.size))
    distance = np.sqrt(np.min([(x - px) ** 2 + (y - py) ** 2 for px, py in drawn], axis=0))
    reach = np.array(STROKE_OBJECT_VOXELS) * max(grid.scale_xy)
    core, body = (distance <= max(one, 1.0) for one in reach)
    return _frames(slices, index, grid, ObjectSamples(core, body, distance > POINT_BACKGROUND_PX), window)


@dataclass(frozen=True)
class ObjectSamples:
    """Pixels of the prompted frame that are taken for the object (its core, its body) and for what it is not."""

    core: Mask
    body: Mask
    outside: Mask


def _frames(
    slices: SliceStack, index: int, grid: FrameGrid, samples: ObjectSamples, window: Window | None
) -> ObjectCropFrames:
    appearance = measure_appearance(slices.slice(index), grid, samples, window, slices.volume.padding)
    return ObjectCropFrames(slices, grid, appearance)


def measure_appearance(
    image: Image, grid: FrameGrid, samples: ObjectSamples, window: Window | None, padding: float | None
) -> Appearance:
    """Measure the constants of the channels on the prompted slice; voxels of value `padding` are left out."""
    raw = grid.sample(image).numpy()
    inside = grid.covers((image.shape[0], image.shape[1])) & ~_padded(image, grid, padding)
    lower, upper = _intensity_range(raw[inside], window)
    u = np.where(inside, np.clip((raw - lower) / (upper - lower), LOWEST, HIGHEST), 0).astype(np.float32)
    core = u[samples.core & inside]
    if core.size < 5:
        return Appearance(lower, upper, 0.5, 0.5, (0.0,) * BINS)
    median = float(np.median(core))
    spread = 1.4826 * float(np.median(np.abs(core - median)))
    elsewhere = samples.outside & inside & (np.abs(u) >= DARKEST)
    odds = _log_odds(u, samples.body & inside, elsewhere)
    return Appearance(lower, upper, median, float(np.clip(2.5 * spread, 0.12, 0.5)), odds)


def _padded(image: Image, grid: FrameGrid, padding: float | None) -> Mask:
    """(S, S): pixels that show more padding than patient."""
    if padding is None:
        return np.zeros((grid.size, grid.size), bool)
    return np.asarray(grid.sample((image == padding).astype(np.float32)).numpy() > 0.5)


def normalised(image: Image, grid: FrameGrid, appearance: Appearance) -> Tensor:
    """The slice in the frame, (S, S), as u; 0 outside the volume."""
    u = ((grid.sample(image) - appearance.lower) / (appearance.upper - appearance.lower)).clamp(LOWEST, HIGHEST)
    return torch.where(torch.from_numpy(grid.covers((image.shape[0], image.shape[1]))), u, torch.zeros(()))


def channels(u: Tensor, appearance: Appearance) -> Tensor:
    """(S, S) to (3, S, S): intensity, object window, log odds."""
    windowed = ((u - appearance.median) / (2 * appearance.half_width) + 0.5).clamp(0, 1)
    odds = torch.tensor(appearance.log_odds)[_bin(u)]
    return (torch.stack([u, windowed, odds]) - 0.5) / 0.25


def _intensity_range(values: npt.NDArray[np.float32], window: Window | None) -> tuple[float, float]:
    if window is not None:
        return window.lower, window.upper
    lower, upper = (float(v) for v in np.percentile(values, PERCENTILES)) if values.size else (0.0, 1.0)
    return lower, max(upper, lower + 1e-3)


def _log_odds(u: npt.NDArray[np.float32], body: Mask, outside: Mask) -> tuple[float, ...]:
    bins = _bin(torch.from_numpy(u)).numpy().astype(np.int64)
    object_share, other_share = (_smoothed_share(bins[where]) for where in (body, outside))
    odds = np.clip(np.log(object_share + 1e-3) - np.log(other_share + 1e-3), -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
    return tuple((odds / (2 * LARGEST_LOG_ODDS) + 0.5).tolist())


def _smoothed_share(bins: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Histogram smoothed by a Gaussian, mirrored at its ends, as shares of all samples."""
    histogram = np.bincount(bins, minlength=BINS).astype(np.float64)
    reach = int(4 * SMOOTHING_BINS + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHING_BINS) ** 2)
    smooth = np.convolve(np.pad(histogram, reach, mode="symmetric"), kernel / kernel.sum(), mode="valid")
    return smooth / max(float(smooth.sum()), 1.0)


def _bin(u: Tensor) -> Tensor:
    return ((u - LOWEST) / (HIGHEST - LOWEST) * BINS).long().clamp(0, BINS - 1)


def _ellipse(size: int, centre: tuple[float, float], radii: tuple[float, float], part: float) -> Mask:
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    rx, ry = (max(radius * part, 2.5) for radius in radii)
    return np.asarray(((x - centre[0]) / rx) ** 2 + ((y - centre[1]) / ry) ** 2 <= 1)
