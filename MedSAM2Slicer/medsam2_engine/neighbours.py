"""Frames whose three channels are a slice and its neighbours, for models that were trained on such (2.5D).

The first channel is the slice before (the lower index), the second the slice itself, the third the one after; beyond
the ends of the volume the outermost slice is repeated. Everything else is as in the framing inside.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from medsam2_engine.frames import FrameGrid, FrameStack, Mask, SliceStack
from medsam2_engine.framing import Framing
from medsam2_engine.model.frame import FramePrompt
from medsam2_engine.slice_prompts import Box, Click, SlicePrompts
from medsam2_protocol.messages import Window

STEPS = (-1, 0, 1)  # by channel


@dataclass(frozen=True)
class NeighbourFraming:
    """A framing of whole slices, with the neighbours in the place of equal channels."""

    inner: Framing
    stroke_clicks: ClassVar[int] = 3
    corrects_locally: ClassVar[bool] = False
    crosses_over: ClassVar[bool] = False

    def looks(
        self, slices: SliceStack, index: int, prompts: SlicePrompts, window: Window | None
    ) -> Sequence[FrameStack]:
        return [NeighbourFrames(frames, slices.count) for frames in self.inner.looks(slices, index, prompts, window)]

    def refocused(
        self, frames: FrameStack, slices: SliceStack, index: int, mask: Mask, window: Window | None
    ) -> FrameStack | None:
        return None

    def holds(self, frames: FrameStack, box: Box) -> bool:
        return True

    def points(self, grid: FrameGrid, box: Box | None, clicks: tuple[Click, ...]) -> FramePrompt:
        return self.inner.points(grid, box, clicks)


@dataclass(frozen=True)
class NeighbourFrames:
    """`inner` gives equal channels, each already normalised as that channel wants it."""

    inner: FrameStack
    count: int

    @property
    def grid(self) -> FrameGrid:
        return self.inner.grid

    @property
    def key(self) -> Hashable:
        return ("neighbours", self.inner.key)

    def pixels(self, index: int) -> Tensor:
        near = [min(max(index + step, 0), self.count - 1) for step in STEPS]
        return torch.stack([self.inner.pixels(slice_)[0, channel] for channel, slice_ in enumerate(near)])[None]
