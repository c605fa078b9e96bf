"""One segment, followed from one anchor in one direction, slice by slice.

Auto-stop. Without a known range a walk that no other comes to meet ends after `ABSENT_SLICES` slices in a row on which
the model does not see the object: its object score is not positive, or its mask has fewer than `SMALLEST_MASK` voxels.
It also ends behind a slice on which the object fades: its mask has shrunk under `FADED` of the largest so far, and the
predicted IoU has fallen under `DOUBTFUL` of its best so far. An object that ends beside another like it looks so on one
slice, and on the next the model is sure again, of the other one. Where its mask stays as large, only the predicted IoU
tells, and only afterwards (`crossing`): then the walk takes back what it has shown from there on. With a known range
the object is there by the user's word: the score gates nothing and no walk stops early.

Frames. A walk looks through the frames of its anchor until the object is about to leave them, and then goes on from its
own mask in new ones. A correction goes on in the frames through which the propagation before it has seen the slices.
Where the border of a zoomed region cuts the object off, the slice is looked at once more, in a better region.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from medsam2_engine.backends.base import Ahead, Backend, Tracker
from medsam2_engine.crossing import Crossing
from medsam2_engine.frames import FrameStack, Mask, SliceStack
from medsam2_engine.framing import Framing
from medsam2_engine.fusion import View
from medsam2_engine.model.bank import MemoryPolicy
from medsam2_engine.model.frame import FrameMask
from medsam2_engine.sightings import Sighting
from medsam2_engine.slice_prompts import box_of_mask
from medsam2_engine.zoomed_frames import ZoomedFrames
from medsam2_protocol.messages import Window

ABSENT_SLICES = 2
SMALLEST_MASK = 3  # voxels
FADED, DOUBTFUL = 0.4, 0.89

Encode = Callable[[FrameStack, int], Any]


@dataclass(frozen=True)
class Look:
    """A slice's mask as the model has it: through which frames, and its answer in them."""

    frames: FrameStack
    answer: FrameMask


@dataclass(frozen=True)
class Anchor:
    """A slice whose mask is given. `look` is what walks start from; None where none does."""

    index: int
    mask: Mask
    look: Look | None = None


@dataclass(frozen=True)
class Scene:
    """What all walks of a request have in common.

    framing: that of the backend, or a zoom of it. is_encoded: whether the features of a slice in frames are at hand.
    is_local: the request corrects one slice, and walks look through the frames of the propagation before it. patience:
    how many slices in a row without the object end a walk. takes_back: whether walks watch for crossings, where the
    framing says that the model crosses over.
    """

    backend: Backend
    framing: Framing
    slices: SliceStack
    encode: Encode
    is_encoded: Callable[[FrameStack, int], bool]
    window: Window | None
    is_range_known: bool
    policy: MemoryPolicy
    is_local: bool
    patience: int = ABSENT_SLICES
    takes_back: bool = True


@dataclass(frozen=True)
class Target:
    """A segment, and where it was seen; walks add to `seen`, and leave `before` as the request has found it."""

    segment_id: str
    seen: dict[int, Sighting]
    before: Mapping[int, Sighting] = field(default_factory=dict)


class Walk:
    """One segment, from one anchor in one direction. Each step is two: `ahead` says what to ask the tracker, and
    `arrived` takes its answer, so that several walks can be answered together.

    others: anchors to remember. goal: the anchor that another walk comes from, None if there is none. path: may leave
    slices out; to the tracker it is as if they did not exist.
    """

    def __init__(
        self, scene: Scene, target: Target, start: Anchor, others: Sequence[Anchor], path: range, goal: int | None
    ) -> None:
        assert start.look is not None, "a walk starts from a slice that was looked at"
        self._scene = scene
        self._target = target
        self._others = others
        self._goal = goal
        self._start = start.index
        self._path = iter(path)
        self._stride = abs(path.step)
        self._reverse = path.step < 0
        self._absent = 0
        self._largest = int(start.mask.sum())
        self._surest = 0.0  # predicted IoU of a followed slice
        self._is_fading = False
        may_end = goal is None and not scene.is_range_known
        self._is_watching = may_end and scene.takes_back and scene.framing.crosses_over
        self._crossing = Crossing()
        self._asked = start.index
        self._last = start.index, start.mask
        self._look_through(start.look.frames, start.index, start.look.answer)

    @property
    def order(self) -> tuple[int, bool]:
        return self._start, self._reverse

    def take_back(self) -> list[int]:
        """At the end: the slices on which the walk had gone on with something else than the object."""
        behind = self._crossing.behind if self._crossing.is_made else []
        for index in behind:
            self._target.seen[index] = Sighting(self._frames, None)
        return behind

    @torch.inference_mode()
    def ahead(self) -> Ahead | None:
        """The next slice, for `arrived` to be given the tracker's answer; None at the end."""
        index = next(self._path, None)
        if index is None or (self._goal is None and self._is_over()):
            return None
        self._take_up_sighting(index)
        self._asked = index
        return Ahead(self._tracker, self._frame(index), self._scene.encode(self._frames, index))

    @torch.inference_mode()
    def arrived(self, answer: FrameMask) -> tuple[int, View]:
        """The slice that was asked about, as it is shown."""
        index, frames = self._asked, self._frames
        mask = self._on_slice(frames, answer)
        if isinstance(frames, ZoomedFrames) and frames.cuts(mask) and self._look_wider(index, mask):
            frames = self._frames
            answer = self._tracker.track(self._frame(index), self._scene.encode(frames, index))
            mask = self._on_slice(frames, answer)
        self._take_stock(int(mask.sum()), answer.predicted_iou)
        if self._is_watching:
            self._crossing.note(index, answer.predicted_iou)
        self._refocus(index, mask)
        self._note(index, mask)
        self._last = index, mask
        return index, View(frames, answer, abs(index - self._start), mask)

    def _on_slice(self, frames: FrameStack, answer: FrameMask) -> Mask:
        return mask_on_slice(frames, answer, self._scene.slices, gated=not self._scene.is_range_known)

    def _is_over(self) -> bool:
        """Whether the object has ended, as far as a walk can tell that is not told the range."""
        is_ended = self._is_fading or self._absent >= self._scene.patience or self._crossing.is_made
        return not self._scene.is_range_known and is_ended

    def _take_stock(self, area: int, predicted_iou: float) -> None:
        """Note what a slice says about the end of the object; `area` in voxels."""
        self._absent = self._absent + 1 if area < SMALLEST_MASK else 0
        self._is_fading = 0 < area < FADED * self._largest and predicted_iou < DOUBTFUL * self._surest
        self._largest = max(self._largest, area)
        self._surest = max(self._surest, predicted_iou)

    def _take_up_sighting(self, index: int) -> None:
        """A correction goes on in the frames of the propagation before it, where the present ones are new there."""
        scene, seen = self._scene, self._target.seen.get(index)
        if not scene.is_local or seen is None or seen.frames.key == self._frames.key:
            return
        if scene.is_encoded(self._frames, index):
            return
        last, mask = self._last
        frames = self._frames_through(last, index) or seen.frames
        if self._is_held(frames, mask):
            self._look_again(frames, last, mask)

    def _frames_through(self, last: int, index: int) -> FrameStack | None:
        """Frames of the sighting of a slice, or of those around it, in which it and the one before it are known."""
        seen, is_encoded = self._target.before, self._scene.is_encoded
        near = (seen[other].frames for other in sorted(seen, key=lambda other: abs(other - index)))
        return next((one for one in near if is_encoded(one, last) and is_encoded(one, index)), None)

    def _refocus(self, index: int, mask: Mask) -> None:
        """Cut a new crop when the object is about to leave the present one, and go on from its mask there."""
        if not mask.any():
            return
        scene = self._scene
        if scene.is_local and index in self._target.seen and self._is_held(self._frames, mask):
            return
        frames = scene.framing.refocused(self._frames, scene.slices, index, mask, scene.window)
        if frames is not None:
            self._look_again(frames, index, mask)

    def _look_wider(self, index: int, mask: Mask) -> bool:
        """Go back to the slice before, in a region chosen for a mask that is cut off; False if it is not seen there."""
        scene, (last, before) = self._scene, self._last
        frames = scene.framing.refocused(self._frames, scene.slices, index, mask, scene.window)
        if frames is None or not self._is_held(frames, before):
            return False
        self._look_again(frames, last, before)
        return True

    def _look_again(self, frames: FrameStack, index: int, mask: Mask) -> None:
        """Go on in other frames from a mask that was found in the present ones."""
        features = self._scene.encode(frames, index)
        answer = self._scene.backend.from_mask(features, frames.grid.mask_in_frame(mask))
        self._look_through(frames, index, answer)

    def _look_through(self, frames: FrameStack, index: int, answer: FrameMask) -> None:
        """Begin a memory with the answer on a slice, and with the other anchors as these frames show them."""
        scene = self._scene
        self._frames = frames
        self._tracker: Tracker = scene.backend.tracker(scene.slices.count, self._reverse, scene.policy)
        self._tracker.condition(self._frame(index), scene.encode(frames, index), answer)
        for anchor in self._others:
            self._remember(anchor)

    def _remember(self, anchor: Anchor) -> None:
        """Another anchor in this walk's frames, which may be another crop than the one it was answered in."""
        scene, frames = self._scene, self._frames
        if anchor.look is not None and anchor.look.frames.key == frames.key:
            self._tracker.condition(self._frame(anchor.index), scene.encode(frames, anchor.index), anchor.look.answer)
            return
        is_costly = not scene.is_encoded(frames, anchor.index)
        if not self._is_held(frames, anchor.mask) or (scene.is_local and is_costly and self._target.seen):
            return
        features = scene.encode(frames, anchor.index)
        answer = scene.backend.from_mask(features, frames.grid.mask_in_frame(anchor.mask))
        self._tracker.condition(self._frame(anchor.index), features, answer)

    def _frame(self, index: int) -> int:
        """Number of a slice among those on the path."""
        return self._start + round((index - self._start) / self._stride)

    def _is_held(self, frames: FrameStack, mask: Mask) -> bool:
        return bool(mask.any()) and self._scene.framing.holds(frames, box_of_mask(mask))

    def _note(self, index: int, mask: Mask) -> None:
        """Where two walks pass, the frames of the nearer anchor are those to come back to."""
        if self._goal is None or abs(index - self._start) <= abs(index - self._goal):
            self._target.seen[index] = Sighting(self._frames, box_of_mask(mask) if mask.any() else None)


def mask_on_slice(frames: FrameStack, answer: FrameMask, slices: SliceStack, gated: bool = True) -> Mask:
    """The answer as voxels of the slice; `gated`: nothing at all where the model says the object is absent."""
    if gated and not answer.is_present:
        return np.zeros(slices.shape, bool)
    logits = frames.grid.logits_on_slice(answer.logits.cpu(), slices.shape)
    return np.asarray((logits > 0).numpy())
