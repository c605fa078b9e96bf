"""Which part of a slice a model is shown, and the prompts in the pixels it is shown.

A property of the model, not of the user: MedSAM2 and SAM 2.1 see whole slices, whose features serve every prompt; the
embedded model sees a crop around the object, which has to follow the object from slice to slice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch

from medsam2_engine.frames import FrameGrid, FrameStack, Mask, SliceStack, WholeSliceFrames
from medsam2_engine.intensity import ct_window, default_window, is_ct
from medsam2_engine.model.frame import FramePrompt
from medsam2_engine.object_crop import (
    CROP_OVER_BOX,
    box_in_frame,
    frames_of_box,
    frames_of_point,
    frames_of_stroke,
    square_grid,
)
from medsam2_engine.slice_prompts import Box, Click, SlicePrompts, Stroke, box_of_mask
from medsam2_protocol.messages import Window

BOX_LABELS = (2, 3)  # SAM 2's labels of a box's first and last corner
LARGEST_LOOK = 1.5  # of the slice's shorter side: objects may fill a cropped volume
SMALLEST_LOOK_VOXELS = 20.0
LOOK_STEP = 1.5
CLICK_REACH = 10.0  # voxels around a click that tell what it lies in
STROKE_REACH = 3.0  # voxels around a scribble that do
DRIFT = 0.1  # of the crop's side: further from its centre, an object is about to leave the crop
GROWTH = 1.3  # over the size for which the crop was cut
LARGEST_GROWTH = 1.8  # an object that was seen in a crop is still seen there, if less well
MARGIN = 0.05  # of the crop's side, around an object that is still seen in it


class Framing(Protocol):
    """Chooses frames for prompted objects. `window` None means: as is best for the model.

    `stroke_clicks`: how many clicks along a scribble help the model; measured in docs/prompts.md.
    `corrects_locally`: of the model's answer to a correcting click, only the change under the click is taken over.
    `crosses_over`: the model follows what is like the object where the object ends, so that walks watch for it.
    """

    stroke_clicks: ClassVar[int]
    corrects_locally: ClassVar[bool]
    crosses_over: ClassVar[bool]

    def looks(
        self, slices: SliceStack, index: int, prompts: SlicePrompts, window: Window | None
    ) -> Sequence[FrameStack]:
        """The frames in which the object prompted on slice `index` may be looked for, at least one; `separation` of
        the masks found in them tells which is best."""

    def refocused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack | None:
        """Better frames for an object found as `mask` on slice `index`; None if the present ones will do."""

    def holds(self, frames: FrameStack, box: Box) -> bool:
        """Whether frames that were chosen before still show an object in `box`, and as large as it should be."""

    def points(self, grid: FrameGrid, box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
        """Box corners and clicks in frame pixels."""


def shared_frames(framing: Framing, slices: SliceStack, window: Window | None) -> FrameStack | None:
    """The frames that serve every prompt, known before there is one; None where each prompt has frames of its own."""
    return None if isinstance(framing, ObjectFraming) else framing.looks(slices, 0, SlicePrompts(), window)[0]


@dataclass(frozen=True)
class WholeSliceFraming:
    """Every slice as a whole, `size` pixels square."""

    size: int
    stroke_clicks: ClassVar[int] = 3
    corrects_locally: ClassVar[bool] = False
    crosses_over: ClassVar[bool] = False

    def looks(
        self, slices: SliceStack, index: int, prompts: SlicePrompts, window: Window | None
    ) -> Sequence[FrameStack]:
        return [WholeSliceFrames(slices, window or default_window(slices.volume), self.size)]

    def refocused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack | None:
        return None

    def holds(self, frames: FrameStack, box: Box) -> bool:
        return True

    def points(self, grid: FrameGrid, box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
        """SAM 2 scales voxel indices by the size of the frame over that of the slice (its video predictor)."""
        corners = [] if box is None else [box[:2], box[2:]]
        points = np.array([*corners, *((click.x, click.y) for click in clicks)], dtype=np.float64)
        return _frame_prompt(points * grid.scale_xy, box, clicks)


@dataclass(frozen=True)
class ObjectFraming:
    """A crop around the object, `size` pixels square; the input contract of the embedded model."""

    size: int
    stroke_clicks: ClassVar[int] = 1
    corrects_locally: ClassVar[bool] = True
    crosses_over: ClassVar[bool] = True

    def looks(
        self, slices: SliceStack, index: int, prompts: SlicePrompts, window: Window | None
    ) -> Sequence[FrameStack]:
        """A click does not say how large the object is, and the model's mask always fills about a third of its crop: so
        a clicked object is looked at in crops of many sizes."""
        box = prompts.box if prompts.mask is None else box_of_mask(prompts.mask)
        if box is not None:
            return [frames_of_box(slices, index, box, self.size, window or _automatic_window(slices, index, box))]
        if prompts.first_stroke is not None:
            return self._looks_at_stroke(slices, index, prompts.first_stroke, window)
        click = next(click for click in prompts.clicks if click.positive)
        window = window or _automatic_window(slices, index, _reach(click))
        grids = (square_grid((click.x, click.y), side, slices.spacing_xy, self.size) for side in _look_sides_mm(slices))
        return [frames_of_point(slices, index, (click.x, click.y), grid, window) for grid in grids]

    def _looks_at_stroke(
        self, slices: SliceStack, index: int, stroke: Stroke, window: Window | None
    ) -> Sequence[FrameStack]:
        """Around the middle of a scribble, as around a click; the voxels under it show what the object looks like."""
        x0, y0, x1, y1 = box_of_mask(stroke.mask)
        box = (x0 - STROKE_REACH, y0 - STROKE_REACH, x1 + STROKE_REACH, y1 + STROKE_REACH)
        window = window or _automatic_window(slices, index, box)
        sides = _look_sides_mm(slices)
        grids = (square_grid(stroke.middle_xy, side, slices.spacing_xy, self.size) for side in sides)
        return [frames_of_stroke(slices, index, stroke.mask, grid, window) for grid in grids]

    def refocused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack | None:
        box = box_of_mask(mask)
        if not _outgrown(frames.grid, box):
            return None
        return frames_of_box(slices, index, box, self.size, window or _automatic_window(slices, index, box))

    def holds(self, frames: FrameStack, box: Box) -> bool:
        return _shows(frames.grid, box)

    def points(self, grid: FrameGrid, box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
        return object_points(grid, box, clicks)


def object_points(grid: FrameGrid, box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
    """A box by the first and the last pixel that its voxels cover, a click by the pixel that it lies on."""
    edges = () if box is None else box_in_frame(box, grid)
    corners = [edges[:2], edges[2:]] if edges else []
    clicked = [grid.to_frame((click.x, click.y)) for click in clicks]
    return _frame_prompt(np.array([*corners, *clicked], dtype=np.float64), box, clicks)


def _frame_prompt(points: npt.NDArray[np.float64], box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
    labels = [*(BOX_LABELS if box is not None else ()), *(int(click.positive) for click in clicks)]
    return FramePrompt(torch.from_numpy(points).float().reshape(-1, 2), torch.tensor(labels, dtype=torch.int64))


def _automatic_window(slices: SliceStack, index: int, box: Box) -> Window | None:
    """A window made for what is in the box, in a CT; otherwise None: the crop is measured."""
    return ct_window(slices.slice(index), box) if is_ct(slices.volume) else None


def _reach(click: Click) -> Box:
    return click.x - CLICK_REACH, click.y - CLICK_REACH, click.x + CLICK_REACH, click.y + CLICK_REACH


def _look_sides_mm(slices: SliceStack) -> list[float]:
    (rows, columns), (dx, dy) = slices.shape, slices.spacing_xy
    largest = LARGEST_LOOK * min(rows * dy, columns * dx)
    smallest = min(largest, SMALLEST_LOOK_VOXELS * max(dx, dy))
    count = 1 + round(math.log(largest / smallest, LOOK_STEP))
    return [largest / LOOK_STEP**step for step in range(count)]


def _outgrown(grid: FrameGrid, box: Box) -> bool:
    """Whether an object has moved or grown so far that its crop should be cut anew."""
    x0, y0, x1, y1 = box
    extent, corner = np.array(grid.extent_xy), np.array(grid.corner_xy)
    drift = np.abs((np.array([x0 + x1, y0 + y1]) / 2 - corner) / extent - 0.5).max()
    growth = (np.array([x1 - x0 + 1, y1 - y0 + 1]) / extent).max() * CROP_OVER_BOX
    return bool(drift > DRIFT or growth > GROWTH)


def _shows(grid: FrameGrid, box: Box) -> bool:
    """Whether a crop shows all of an object, and not hugely: what it takes to look at it once more."""
    x0, y0, x1, y1 = box
    corners = (np.array([[x0 - 0.5, y0 - 0.5], [x1 + 0.5, y1 + 0.5]]) - grid.corner_xy) / grid.extent_xy
    growth = float((corners[1] - corners[0]).max()) * CROP_OVER_BOX
    return bool((corners >= MARGIN).all() and (corners <= 1 - MARGIN).all()) and growth <= LARGEST_GROWTH
