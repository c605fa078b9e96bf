"""What a model must be able to do to be used here. One file beside this one per family of models.

A backend knows frames and pixels, nothing of volumes, voxels or segments. It keeps no state between calls; what a
propagation remembers lives in a `Tracker`, one for one object in one direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from medsam2_engine.framing import Framing
from medsam2_engine.model.bank import SAM2, MemoryPolicy
from medsam2_engine.model.frame import FrameMask, FramePrompt


class Tracker(Protocol):
    """One object, followed in one direction through the frames of one stack."""

    def condition(self, frame: int, features: Any, mask: FrameMask) -> None:
        """Remember the mask of a prompted frame."""

    def track(self, frame: int, features: Any) -> FrameMask:
        """The object on the next frame; remembered for those that follow."""


@dataclass(frozen=True)
class Ahead:
    """A tracker's next frame, which it has not been asked about yet."""

    tracker: Tracker
    frame: int
    features: Any


@runtime_checkable
class TracksTogether(Protocol):
    """A backend whose trackers can go one frame further together."""

    @property
    def gains_together(self) -> bool:
        """Whether its device gains by it."""

    def track_together(self, ahead: Sequence[Ahead]) -> list[FrameMask]:
        """What `track` of each would give; no tracker comes twice."""


class Backend(Protocol):
    """A loaded model on a device. `Features` of a frame belong to the backend; others only hand them back."""

    @property
    def model_id(self) -> str: ...

    @property
    def device_name(self) -> str:
        """The device that computes, in words for a person."""

    @property
    def device_type(self) -> str:
        """Where features lie: "cpu", "cuda" or "mps"."""

    @property
    def framing(self) -> Framing:
        """What the model wants to see of a volume."""

    def encode(self, pixels: Tensor) -> Any:
        """Features of a frame (1, 3, S, S); they have `nbytes`."""

    def prompt(self, features: Any, prompt: FramePrompt, previous_logits: Tensor | None = None) -> FrameMask:
        """The mask for points and box corners, refining `previous_logits` if they are given."""

    def from_mask(self, features: Any, mask: Tensor) -> FrameMask:
        """A given mask (S, S) bool, as if it had been predicted."""

    def tracker(self, frame_count: int, reverse: bool, policy: MemoryPolicy = SAM2) -> Tracker:
        """A new tracker over a stack of `frame_count` frames, towards lower indices if `reverse`.

        policy: what it recalls of the frames it has followed, if it has a memory of more than one.
        """
