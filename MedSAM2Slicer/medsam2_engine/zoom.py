"""A closer look for models that see whole slices: a region around the object, which follows it from slice to slice.

The region is a rectangle of voxels inside the slice, as nearly as it fits a square in mm that is `ZOOM_OVER_BOX` times
as long as the object, but never so small that a voxel would fill more than `LARGEST_VOXEL_PX` pixels of the frame: the
masks of SAM have a quarter of its resolution, so their pixels are voxels then. The model is shown the region as it
would be shown a slice of that size (`zoomed_frames`). Where the region would be the whole slice, that is shown.

* on: every object is looked at in its region.
* auto: only an object whose region is at most half as long as the slice, in both directions, so that it is seen at
  least twice as large. One that grows beyond that on its way is followed through whole slices from there.
* off: whole slices.

A click does not say how large the object is. The whole slice is looked at first, and what is found there says it.

How large the region should be has not been measured with SAM 2.1's or MedSAM2's own weights (docs/speed.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from medsam2_engine.errors import BadRequest
from medsam2_engine.frames import FrameGrid, FrameStack, Mask, SliceStack
from medsam2_engine.framing import Framing, ObjectFraming, object_points
from medsam2_engine.model.frame import FramePrompt
from medsam2_engine.slice_prompts import Box, Click, SlicePrompts, box_of_mask
from medsam2_engine.zoomed_frames import CutSlices, Region, RegionGrid, ZoomedFrames
from medsam2_protocol.messages import ZOOM_AUTO, ZOOM_OFF, ZOOMS, Window

ZOOM_OVER_BOX = 4.0  # side of the region over the long side of the object
LARGEST_VOXEL_PX = 4.0
LARGEST_PART = 0.5  # of a slice's side, for "auto"
DRIFT = 0.1  # of the region's side: further away, a region around the object would be a better one
GROWTH = 1.3  # over the size for which the region was chosen
LARGEST_GROWTH = 1.8  # an object that was seen in a region is still seen there, if less well
MARGIN = 0.05  # of the region's side, around an object that is still seen in it


def zoomed(framing: Framing, zoom: str) -> Framing:
    """The framing of a model with the zoom that a request asks for. A model of object crops has its own.

    Raises:
        BadRequest: there is no such choice.
    """
    if zoom not in ZOOMS:
        raise BadRequest(f"There is no zoom {zoom!r}. Choose one of {', '.join(ZOOMS)}.")
    if zoom == ZOOM_OFF or isinstance(framing, ObjectFraming):
        return framing
    return ZoomFraming(framing, LARGEST_PART if zoom == ZOOM_AUTO else 1.0)


@dataclass(frozen=True)
class ZoomFraming:
    """A framing of whole slices, for regions of them.

    largest_part: sides of a region over those of the slice, at most; beyond it the whole slice is shown.
    """

    inner: Framing
    largest_part: float
    stroke_clicks: ClassVar[int] = 3
    corrects_locally: ClassVar[bool] = False
    crosses_over: ClassVar[bool] = False

    def looks(
        self, slices: SliceStack, index: int, prompts: SlicePrompts, window: Window | None
    ) -> Sequence[FrameStack]:
        box = prompts.box if prompts.mask is None else box_of_mask(prompts.mask)
        if box is None:
            return self.inner.looks(slices, index, prompts, window)
        return [self._frames_of_box(slices, index, box, window)]

    def closer(
        self,
        frames: FrameStack,
        slices: SliceStack,
        index: int,
        prompts: SlicePrompts,
        mask: Mask,
        window: Window | None,
    ) -> FrameStack:
        """The region of what was found as `mask` in `frames` by clicks alone."""
        click = next(click for click in prompts.clicks if click.positive)
        last = np.array(slices.shape) - 1
        row, column = np.clip(np.floor([click.y + 0.5, click.x + 0.5]), 0, last).astype(int)
        if mask[row, column]:
            return self._frames_of_box(slices, index, box_of_mask(mask), window)
        if self.largest_part < 1.0:
            return frames
        return self._frames_of_box(slices, index, (click.x, click.y, click.x, click.y), window)

    def refocused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack | None:
        if not isinstance(frames, ZoomedFrames):
            return None
        better = self._region(slices, box_of_mask(mask), frames.grid.size)
        if not _is_better(frames.region, better or Region(0, 0, *reversed(slices.shape))):
            return None
        return self._frames_of(slices, index, better, window)

    def holds(self, frames: FrameStack, box: Box) -> bool:
        if not isinstance(frames, ZoomedFrames):
            return True
        return _shows(frames, box) and _growth(frames, box) <= LARGEST_GROWTH

    def points(self, grid: FrameGrid, box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
        """In a region a box covers its voxels to their edges, which is the same as SAM 2's rule at one pixel a voxel
        and exact at all others."""
        if isinstance(grid, RegionGrid):
            return object_points(grid, box, clicks)
        return self.inner.points(grid, box, clicks)

    def _frames_of_box(self, slices: SliceStack, index: int, box: Box, window: Window | None) -> FrameStack:
        whole = self._frames_of(slices, index, None, window)
        region = self._region(slices, box, whole.grid.size)
        return whole if region is None else self._frames_of(slices, index, region, window)

    def _frames_of(self, slices: SliceStack, index: int, region: Region | None, window: Window | None) -> FrameStack:
        """In the region, or whole (None)."""
        if region is None:
            return self.inner.looks(slices, index, SlicePrompts(), window)[0]
        cut = CutSlices(slices.volume, slices.axis, region)
        return ZoomedFrames(self.inner.looks(cut, index, SlicePrompts(), window)[0], slices, region)

    def _region(self, slices: SliceStack, box: Box, size: int) -> Region | None:
        """Around a box; None for the whole slice."""
        region = region_around(slices, box, size)
        (rows, columns), part = slices.shape, self.largest_part
        if region.shape == slices.shape or region.columns > part * columns or region.rows > part * rows:
            return None
        return region


def region_around(slices: SliceStack, box: Box, size: int) -> Region:
    """The region for an object in `box` (outermost voxel centres), moved into the slice; `size` of the frame."""
    (rows, columns), (dx, dy) = slices.shape, slices.spacing_xy
    x0, y0, x1, y1 = box
    side_mm = max(ZOOM_OVER_BOX * max((x1 - x0 + 1) * dx, (y1 - y0 + 1) * dy), size / LARGEST_VOXEL_PX * min(dx, dy))
    width, height = min(math.ceil(side_mm / dx), columns), min(math.ceil(side_mm / dy), rows)
    x, y = _first((x0 + x1) / 2, width, columns), _first((y0 + y1) / 2, height, rows)
    return Region(x, y, width, height)


def _first(centre: float, length: int, count: int) -> int:
    """The first of `length` voxels in a row around a centre, of `count` that there are."""
    return min(max(math.floor(centre - (length - 1) / 2 + 0.5), 0), count - length)


def _is_better(region: Region, other: Region) -> bool:
    """Whether an object for which `other` would be chosen has moved or grown too far for the present region."""
    ends = ((region.x, region.columns, other.x, other.columns), (region.y, region.rows, other.y, other.rows))
    drift = max(abs((x + n / 2) - (other_x + other_n / 2)) / n for x, n, other_x, other_n in ends)
    return drift > DRIFT or max(other_n / n for _, n, _, other_n in ends) > GROWTH


def _shows(frames: ZoomedFrames, box: Box) -> bool:
    """Whether a box lies inside the region, and not near to its border unless that is the slice's border as well."""
    region, (rows, columns), (x0, y0, x1, y1) = frames.region, frames.slices.shape, box
    ways = ((region.x, region.columns, columns, x0, x1), (region.y, region.rows, rows, y0, y1))
    return all(
        (first == 0 or low - first >= MARGIN * length)
        and (first + length == count or first + length - 1 - high >= MARGIN * length)
        for first, length, count, low, high in ways
    )


def _growth(frames: ZoomedFrames, box: Box) -> float:
    """Over the size of the largest object for which the region could have been chosen."""
    (dx, dy), (x0, y0, x1, y1) = frames.slices.spacing_xy, box
    longer = max((x1 - x0 + 1) * dx, (y1 - y0 + 1) * dy)
    return ZOOM_OVER_BOX * longer / max(frames.region.columns * dx, frames.region.rows * dy)
