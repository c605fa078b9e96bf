"""How a model sees a volume: slices along one axis, each brought into a square frame of the model's size.

Two coordinate systems meet here, both 2D and (x, y) with x along the columns:
* slice coordinates: voxels, the centre of a voxel at an integer (so a slice of W columns reaches from -0.5 to W - 0.5);
* frame coordinates: pixels of the frame, the centre of a pixel at an integer, which is what SAM 2 is given.

A slice is the 2D array `np.take(voxels_kji, k, axis)`: its columns run along the earlier of the two remaining IJK axes,
its rows along the later one.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from medsam2_engine.intensity import apply_window
from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import axis_ijk, axis_kji

Image: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]


class FrameStack(Protocol):
    """A volume, or a crop of it, seen along one slice axis, as input of a model."""

    @property
    def grid(self) -> FrameGrid: ...

    @property
    def key(self) -> Hashable:
        """Equal for stacks whose frames are equal; features may be shared under it."""

    def pixels(self, index: int) -> Tensor:
        """Frame of slice `index`: (1, 3, S, S) float32, normalised as the model was trained."""


@dataclass(frozen=True)
class SliceStack:
    """The slices of a volume along one axis."""

    volume: Volume
    axis: str

    @property
    def count(self) -> int:
        return self.volume.shape_kji[axis_kji(self.axis)]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a slice."""
        rows, columns = (size for n, size in enumerate(self.volume.shape_kji) if n != axis_kji(self.axis))
        return rows, columns

    @property
    def spacing_xy(self) -> tuple[float, float]:
        """Millimetres between the centres of neighbouring columns, and of neighbouring rows."""
        x, y = (self.volume.spacing_mm[n] for n in range(3) if n != axis_ijk(self.axis))
        return x, y

    @property
    def spacing_mm(self) -> float:
        """Millimetres between neighbouring slices, measured along their axis."""
        return self.volume.spacing_mm[axis_ijk(self.axis)]

    def slice(self, index: int) -> Image:
        """A float32 copy of slice `index`, (rows, columns), free of NaN and infinities."""
        values = np.array(np.take(self.volume.voxels_kji, index, axis=axis_kji(self.axis)), dtype=np.float32)
        return values if np.isfinite(values).all() else np.nan_to_num(values, posinf=0.0, neginf=0.0)


@dataclass(frozen=True)
class FrameGrid:
    """A square frame of `size` pixels laid over the rectangle of a slice that starts at `corner_xy` and measures
    `extent_xy` (voxels; the corner is the outer corner of the first pixel, in slice coordinates)."""

    size: int
    corner_xy: tuple[float, float]
    extent_xy: tuple[float, float]

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Frame pixels per voxel."""
        return self.size / self.extent_xy[0], self.size / self.extent_xy[1]

    def to_frame(self, points_xy: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Slice coordinates (..., 2) to frame coordinates."""
        points = np.asarray(points_xy, dtype=np.float64)
        return (points - self.corner_xy) * self.scale_xy - 0.5

    def to_slice(self, points_xy: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Frame coordinates (..., 2) to slice coordinates."""
        points = np.asarray(points_xy, dtype=np.float64)
        return (points + 0.5) / self.scale_xy + self.corner_xy

    def sample(self, image: Image, mode: str = "bilinear") -> Tensor:
        """The slice (rows, columns) in the frame: (S, S) float32; beyond its border the border is repeated."""
        centres = self.to_slice(np.arange(self.size)[:, None].repeat(2, 1))
        return _resample(torch.from_numpy(image), centres[:, 0], centres[:, 1], mode)

    def covers(self, shape: tuple[int, int]) -> Mask:
        """(S, S): the frame's pixels whose centre lies inside a slice of that shape."""
        centres = self.to_slice(np.arange(self.size)[:, None].repeat(2, 1))
        rows, columns = shape
        inside_x = (centres[:, 0] > -0.5) & (centres[:, 0] < columns - 0.5)
        inside_y = (centres[:, 1] > -0.5) & (centres[:, 1] < rows - 0.5)
        return np.asarray(inside_y[:, None] & inside_x[None, :])

    def logits_on_slice(self, logits: Tensor, shape: tuple[int, int]) -> Tensor:
        """Mask logits of any square resolution over the frame, on the voxels of a slice: (rows, columns) float32.

        Bilinear, as SAM 2 brings masks to the size of the video. Voxels outside the frame are minus infinity.
        """
        rows, columns = shape
        x = self.to_frame(np.stack([np.arange(columns), np.zeros(columns)], -1))[:, 0]
        y = self.to_frame(np.stack([np.zeros(rows), np.arange(rows)], -1))[:, 1]
        shrink = logits.shape[-1] / self.size
        on_slice = _resample(logits.float(), (x + 0.5) * shrink - 0.5, (y + 0.5) * shrink - 0.5, "bilinear")
        outside_x, outside_y = (torch.from_numpy(abs(c - (self.size - 1) / 2) > self.size / 2) for c in (x, y))
        on_slice[outside_y, :] = -torch.inf
        on_slice[:, outside_x] = -torch.inf
        return on_slice

    def mask_in_frame(self, mask: Mask) -> Tensor:
        """A bool mask of a slice (rows, columns) in the frame: (S, S) bool, nothing beyond the slice's border."""
        inside = self.sample(mask.astype(np.float32)) > 0.5
        return inside & torch.from_numpy(self.covers((mask.shape[0], mask.shape[1])))


def whole_slice_grid(shape: tuple[int, int], size: int) -> FrameGrid:
    """The grid that stretches a slice (rows, columns) over the frame, as SAM 2 does with a video frame."""
    rows, columns = shape
    return FrameGrid(size, (-0.5, -0.5), (float(columns), float(rows)))


@dataclass(frozen=True)
class WholeSliceFrames:
    """Every slice as a whole, windowed, as three equal channels: what SAM 2.1 and MedSAM2 are given."""

    slices: SliceStack
    window: Window
    size: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # ImageNet, as SAM 2 was trained
    deviation: tuple[float, float, float] = (0.229, 0.224, 0.225)

    @cached_property
    def grid(self) -> FrameGrid:
        return whole_slice_grid(self.slices.shape, self.size)

    @property
    def key(self) -> Hashable:
        return ("whole", self.slices.axis, self.window, self.size, self.mean, self.deviation)

    def pixels(self, index: int) -> Tensor:
        grey = torch.from_numpy(apply_window(self.slices.slice(index), self.window))[None, None]
        frame = F.interpolate(grey, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False)
        mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.deviation))
        return (frame - mean) / deviation


def _resample(image: Tensor, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], mode: str) -> Tensor:
    """`image` (H, W) at the grid of pixel coordinates x (columns) and y (rows), its border repeated outside."""
    rows, columns = image.shape
    grid_x = torch.from_numpy((2 * x + 1) / columns - 1).float()
    grid_y = torch.from_numpy((2 * y + 1) / rows - 1).float()
    grid = torch.stack(torch.meshgrid(grid_x, grid_y, indexing="xy"), -1)[None]
    sampled = F.grid_sample(image[None, None], grid, mode=mode, padding_mode="border", align_corners=False)
    return sampled[0, 0]
