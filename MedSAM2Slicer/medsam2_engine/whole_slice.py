"""Whole slices as each family was trained to see them: stretched or padded to a square, normalised or not.

SAM 2 and MedSAM stretch a slice over the square. SAM 1 keeps its proportions: the longer side fills the frame, and what
is left over at the right or at the bottom is black after normalisation.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from medsam2_engine.frames import FrameGrid, FrameStack, Mask, SliceStack, WholeSliceFrames
from medsam2_engine.framing import WholeSliceFraming
from medsam2_engine.intensity import apply_window, default_window
from medsam2_engine.model.frame import FramePrompt
from medsam2_engine.slice_prompts import Box, Click, SlicePrompts
from medsam2_protocol.messages import Window

Channels = tuple[float, float, float]
IMAGENET: tuple[Channels, Channels] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
UNIT: tuple[Channels, Channels] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
HALF: tuple[Channels, Channels] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True)
class PlainSliceFraming:
    """Every slice as a whole, `size` pixels square, by another rule than SAM 2's."""

    size: int
    is_padded: bool
    mean: Channels
    deviation: Channels
    stroke_clicks: ClassVar[int] = 3
    corrects_locally: ClassVar[bool] = False
    crosses_over: ClassVar[bool] = False

    def looks(
        self, slices: SliceStack, index: int, prompts: SlicePrompts, window: Window | None
    ) -> Sequence[FrameStack]:
        frames = PaddedSliceFrames if self.is_padded else WholeSliceFrames
        return [frames(slices, window or default_window(slices.volume), self.size, self.mean, self.deviation)]

    def refocused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack | None:
        return None

    def holds(self, frames: FrameStack, box: Box) -> bool:
        return True

    def points(self, grid: FrameGrid, box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
        return WholeSliceFraming(self.size).points(grid, box, clicks)


@dataclass(frozen=True)
class PaddedSliceFrames:
    """Every slice as a whole in its own proportions, at the left and top of a square, as three equal channels."""

    slices: SliceStack
    window: Window
    size: int
    mean: Channels
    deviation: Channels

    @cached_property
    def grid(self) -> FrameGrid:
        longer = float(max(self.slices.shape))
        return FrameGrid(self.size, (-0.5, -0.5), (longer, longer))

    @property
    def key(self) -> Hashable:
        return ("padded", self.slices.axis, self.window, self.size, self.mean, self.deviation)

    def pixels(self, index: int) -> Tensor:
        grey = torch.from_numpy(apply_window(self.slices.slice(index), self.window))[None, None]
        longer = max(self.slices.shape)
        rows, columns = (int(side * self.size / longer + 0.5) for side in self.slices.shape)
        resized = F.interpolate(grey, (rows, columns), mode="bilinear", antialias=True, align_corners=False)
        mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.deviation))
        return F.pad((resized - mean) / deviation, (0, self.size - columns, 0, self.size - rows))
