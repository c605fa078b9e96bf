"""A part of every slice, shown to a model exactly as a whole slice of that size would be shown.

The part is a rectangle of whole voxels inside the slice: nothing is made up beyond a border, and frames of the part are
those of a volume that was cropped to it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from medsam2_engine.frames import FrameGrid, FrameStack, Image, Mask, SliceStack


@dataclass(frozen=True)
class Region:
    """First column and row, and how many of each; all inside the slice."""

    x: int
    y: int
    columns: int
    rows: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def inside(self) -> tuple[slice, slice]:
        """Of an array (rows, columns) the part that is the region."""
        return slice(self.y, self.y + self.rows), slice(self.x, self.x + self.columns)


@dataclass(frozen=True)
class CutSlices(SliceStack):
    """The slices of a volume, cut to a region."""

    region: Region

    @property
    def shape(self) -> tuple[int, int]:
        return self.region.shape

    def slice(self, index: int) -> Image:
        return np.ascontiguousarray(super().slice(index)[self.region.inside])


@dataclass(frozen=True)
class RegionGrid(FrameGrid):
    """A frame over a region. What a frame pads the region with may lie over voxels that the model did not see."""

    region: Region

    def covers(self, shape: tuple[int, int]) -> Mask:
        """(S, S): the frame's pixels whose centre lies inside the region."""
        return self._of_region.covers(self.region.shape)

    def logits_on_slice(self, logits: Tensor, shape: tuple[int, int]) -> Tensor:
        """As of any grid; voxels outside the region are minus infinity."""
        on_slice = torch.full(shape, -torch.inf)
        on_slice[self.region.inside] = self._of_region.logits_on_slice(logits, self.region.shape)
        return on_slice

    @property
    def _of_region(self) -> FrameGrid:
        """The same frame, in coordinates of the region."""
        x, y = self.corner_xy
        return FrameGrid(self.size, (x - self.region.x, y - self.region.y), self.extent_xy)


@dataclass(frozen=True)
class ZoomedFrames:
    """`inner` are the frames of the `CutSlices` of a region of `slices`."""

    inner: FrameStack
    slices: SliceStack
    region: Region

    @cached_property
    def grid(self) -> RegionGrid:
        grid, (x, y) = self.inner.grid, self.inner.grid.corner_xy
        return RegionGrid(grid.size, (x + self.region.x, y + self.region.y), grid.extent_xy, self.region)

    @property
    def key(self) -> Hashable:
        return ("zoomed", self.region, self.inner.key)

    def pixels(self, index: int) -> Tensor:
        return self.inner.pixels(index)

    def cuts(self, mask: Mask) -> bool:
        """Whether a mask (rows, columns) touches a border of the region that is not the slice's own."""
        inside, (rows, columns), region = mask[self.region.inside], mask.shape, self.region
        edges = (
            (region.y > 0, inside[0]),
            (region.y + region.rows < rows, inside[-1]),
            (region.x > 0, inside[:, 0]),
            (region.x + region.columns < columns, inside[:, -1]),
        )
        return any(goes_on and bool(edge.any()) for goes_on, edge in edges)
