"""A model that needs no weights: what is bright is the object. It works, and it notes what it was asked.

A voxel is part of the mask from `DIM` of the window on; an object is present where something is brighter than `BRIGHT`.
Between the two lies what a model sees without believing in it. What is not brighter than `CLEAR` gets a poor mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from medsam2_engine.framing import Framing, WholeSliceFraming
from medsam2_engine.model.bank import SAM2, MemoryPolicy
from medsam2_engine.model.frame import FrameMask, FramePrompt

DIM, BRIGHT, CLEAR = 0.25, 0.65, 0.75
RED_MEAN, RED_DEVIATION = 0.485, 0.229  # of SAM 2's normalisation


@dataclass
class ThresholdBackend:
    """`calls` has ("encode",), ("prompt",), ("condition", tracker, frame) and ("track", tracker, frame), in order."""

    size: int = 32
    calls: list[tuple[object, ...]] = field(default_factory=list)
    directions: list[bool] = field(default_factory=list)  # of the trackers: towards lower indices?
    model_id: str = "threshold"
    device_name: str = "no device"
    device_type: str = "cpu"

    @property
    def framing(self) -> Framing:
        return WholeSliceFraming(self.size)

    def encode(self, pixels: Tensor) -> Tensor:
        self.calls.append(("encode",))
        return pixels[0, 0] * RED_DEVIATION + RED_MEAN

    def prompt(self, features: Tensor, prompt: FramePrompt, previous_logits: Tensor | None = None) -> FrameMask:
        self.calls.append(("prompt",))
        return answer(features)

    def from_mask(self, features: Tensor, mask: Tensor) -> FrameMask:
        return FrameMask(torch.where(mask, 10.0, -10.0), 10.0, 1.0, torch.zeros(1), mask)

    def tracker(self, frame_count: int, reverse: bool, policy: MemoryPolicy = SAM2) -> ThresholdTracker:
        self.directions.append(reverse)
        return ThresholdTracker(self.calls, len(self.directions) - 1)

    def tracked(self, tracker: int) -> list[int]:
        return [int(call[2]) for call in self.calls if call[:2] == ("track", tracker)]  # type: ignore[call-overload]

    def conditioned(self, tracker: int) -> list[int]:
        return [int(call[2]) for call in self.calls if call[:2] == ("condition", tracker)]  # type: ignore[call-overload]


@dataclass
class ThresholdTracker:
    calls: list[tuple[object, ...]]
    number: int

    def condition(self, frame: int, features: Tensor, mask: FrameMask) -> None:
        self.calls.append(("condition", self.number, frame))

    def track(self, frame: int, features: Tensor) -> FrameMask:
        self.calls.append(("track", self.number, frame))
        return answer(features)


def answer(grey: Tensor) -> FrameMask:
    is_present = bool(grey.max() > BRIGHT)
    iou = 0.9 if bool(grey.max() > CLEAR) else 0.4
    return FrameMask((grey - DIM) * 10, 5.0 if is_present else -5.0, iou, torch.zeros(1))
