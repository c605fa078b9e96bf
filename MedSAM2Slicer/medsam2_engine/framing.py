"""Which part of a slice a model is shown, and the prompts in the pixels it is shown.

A property of the model, not of the user: MedSAM2 and SAM 2.1 see whole slices, whose features serve every prompt; the
embedded model sees a crop around the object, which has to follow the object from slice to slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from medsam2_engine.frames import FrameGrid, FrameStack, Mask, SliceStack, WholeSliceFrames
from medsam2_engine.intensity import default_window
from medsam2_engine.model.frame import FramePrompt
from medsam2_engine.object_crop import box_in_frame, frames_of_box, frames_of_point, square_grid
from medsam2_engine.slice_prompts import Box, Click, SlicePrompts, box_of_mask
from medsam2_protocol.messages import Window

BOX_LABELS = (2, 3)  # SAM 2's labels of a box's first and last corner
POINT_CROP_MM = 60.0  # first guess around a click; the mask found there gives the crop that is used
EDGE = 0.1  # an object in the outer tenth of its crop is about to leave it


class Framing(Protocol):
    """Chooses frames for prompted objects. `window` None means: as is best for the model."""

    def frames(self, slices: SliceStack, index: int, prompts: SlicePrompts, window: Window | None) -> FrameStack:
        """The frames in which the object prompted on slice `index` is looked for."""

    def refocused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack | None:
        """Better frames for an object found as `mask` on slice `index`; None if the present ones will do."""

    def focused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack:
        """The frames for an object of which a first look has given a mask, in `frames`."""

    def points(self, grid: FrameGrid, box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
        """Box corners and clicks in frame pixels."""


@dataclass(frozen=True)
class WholeSliceFraming:
    """Every slice as a whole, `size` pixels square."""

    size: int

    def frames(self, slices: SliceStack, index: int, prompts: SlicePrompts, window: Window | None) -> FrameStack:
        return WholeSliceFrames(slices, window or default_window(slices.volume), self.size)

    def refocused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack | None:
        return None

    def focused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack:
        return frames

    def points(self, grid: FrameGrid, box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
        """SAM 2 scales voxel indices by the size of the frame over that of the slice (its video predictor)."""
        corners = [] if box is None else [box[:2], box[2:]]
        points = np.array([*corners, *((click.x, click.y) for click in clicks)], dtype=np.float64)
        return _frame_prompt(points * grid.scale_xy, box, clicks)


@dataclass(frozen=True)
class ObjectFraming:
    """A crop around the object, `size` pixels square; the input contract of the embedded model."""

    size: int

    def frames(self, slices: SliceStack, index: int, prompts: SlicePrompts, window: Window | None) -> FrameStack:
        box = prompts.box if prompts.mask is None else box_of_mask(prompts.mask)
        if box is not None:
            return frames_of_box(slices, index, box, self.size, window)
        click = next(click for click in prompts.clicks if click.positive)
        grid = square_grid((click.x, click.y), POINT_CROP_MM, slices.spacing_xy, self.size)
        return frames_of_point(slices, index, (click.x, click.y), grid, window)

    def refocused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack | None:
        if not _near_edge(frames.grid, mask):
            return None
        return frames_of_box(slices, index, box_of_mask(mask), self.size, window)

    def focused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack:
        return frames_of_box(slices, index, box_of_mask(mask), self.size, window)

    def points(self, grid: FrameGrid, box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
        edges = () if box is None else box_in_frame(box, grid)
        corners = [edges[:2], edges[2:]] if edges else []
        clicked = [grid.to_frame((click.x, click.y)) for click in clicks]
        return _frame_prompt(np.array([*corners, *clicked], dtype=np.float64), box, clicks)


def _frame_prompt(points: npt.NDArray[np.float64], box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
    labels = [*(BOX_LABELS if box is not None else ()), *(int(click.positive) for click in clicks)]
    return FramePrompt(torch.from_numpy(points).float().reshape(-1, 2), torch.tensor(labels, dtype=torch.int64))


def _near_edge(grid: FrameGrid, mask: Mask) -> bool:
    """Whether a mask reaches into the outer tenth of the frame; it has to touch it with more than a stray pixel."""
    in_frame = grid.mask_in_frame(mask)
    margin = round(EDGE * grid.size)
    inner = in_frame[margin:-margin, margin:-margin]
    return bool(in_frame.sum() - inner.sum() > 0)
