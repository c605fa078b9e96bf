"""From the prompted slices outwards, both ways, one slice at a time.

Every prompted slice sends a walk up and a walk down, each until it meets the walk of the next prompted slice half way,
the end of the range, or the end of the object. The walks take turns, so that the result grows evenly around the prompts
and a cancel is heard between any two slices. Walks share no memory: SAM 2 too starts anew for the other direction.

Auto-stop. Without a known range a walk ends after `ABSENT_SLICES` slices in a row on which the model does not see the
object: its object score is not positive, or its mask has fewer than `SMALLEST_MASK` voxels. With a known range the
object is there by the user's word: the score gates nothing and no walk stops early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from medsam2_engine.backends.base import Backend, Tracker
from medsam2_engine.frames import FrameStack, Mask, SliceStack
from medsam2_engine.model.frame import FrameMask
from medsam2_protocol.messages import Window

ABSENT_SLICES = 2
SMALLEST_MASK = 3  # voxels

Encode = Callable[[FrameStack, int], Any]


@dataclass(frozen=True)
class SliceMask:
    """The object of one segment on one slice; `mask` is (rows, columns) bool, as `np.take(voxels_kji, slice, axis)`."""

    segment_id: str
    axis: str
    slice: int
    mask: Mask
    object_score: float
    predicted_iou: float


@dataclass(frozen=True)
class Anchor:
    """A prompted slice with its answer: where walks start, and what they are conditioned on."""

    index: int
    frames: FrameStack
    answer: FrameMask
    mask: Mask


@dataclass(frozen=True)
class Scene:
    """What all walks of a request have in common."""

    backend: Backend
    slices: SliceStack
    encode: Encode
    window: Window | None
    is_range_known: bool


class Walk:
    """One segment, from one prompted slice in one direction. Each `step` gives the next slice, None at the end."""

    def __init__(self, scene: Scene, segment_id: str, start: Anchor, others: Sequence[Anchor], path: range) -> None:
        self._scene = scene
        self._segment_id = segment_id
        self._path = iter(path)
        self._reverse = path.step < 0
        self._absent = 0
        self._frames = start.frames
        self._tracker = self._new_tracker(start.index, start.answer)
        for anchor in others:
            self._tracker.condition(anchor.index, *self._seen_from_here(anchor))

    @torch.inference_mode()
    def step(self) -> SliceMask | None:
        index = next(self._path, None)
        if index is None or self._absent >= ABSENT_SLICES:
            return None
        answer = self._tracker.track(index, self._scene.encode(self._frames, index))
        mask = mask_on_slice(self._frames, answer, self._scene.slices, gated=not self._scene.is_range_known)
        is_absent = not self._scene.is_range_known and int(mask.sum()) < SMALLEST_MASK
        self._absent = self._absent + 1 if is_absent else 0
        self._refocus(index, mask)
        return SliceMask(
            self._segment_id, self._scene.slices.axis, index, mask, answer.object_score, answer.predicted_iou
        )

    def _refocus(self, index: int, mask: Mask) -> None:
        """Cut a new crop when the object is about to leave the present one, and go on from its mask there."""
        if not mask.any():
            return
        scene = self._scene
        frames = scene.backend.framing.refocused(self._frames, scene.slices, index, mask, scene.window)
        if frames is not None:
            self._frames = frames
            features = scene.encode(frames, index)
            self._tracker = self._new_tracker(index, scene.backend.from_mask(features, frames.grid.mask_in_frame(mask)))

    def _new_tracker(self, index: int, answer: FrameMask) -> Tracker:
        tracker = self._scene.backend.tracker(self._scene.slices.count, self._reverse)
        tracker.condition(index, self._scene.encode(self._frames, index), answer)
        return tracker

    def _seen_from_here(self, anchor: Anchor) -> tuple[Any, FrameMask]:
        """Another prompted slice in this walk's frames, which may be another crop than the one it was answered in."""
        features = self._scene.encode(self._frames, anchor.index)
        if anchor.frames.key == self._frames.key:
            return features, anchor.answer
        return features, self._scene.backend.from_mask(features, self._frames.grid.mask_in_frame(anchor.mask))


def mask_on_slice(frames: FrameStack, answer: FrameMask, slices: SliceStack, gated: bool = True) -> Mask:
    """The answer as voxels of the slice; `gated`: nothing at all where the model says the object is absent."""
    if gated and not answer.is_present:
        return np.zeros(slices.shape, bool)
    logits = frames.grid.logits_on_slice(answer.logits.cpu(), slices.shape)
    return np.asarray((logits > 0).numpy())


def walks_of_segment(scene: Scene, segment_id: str, anchors: Sequence[Anchor], first: int, last: int) -> list[Walk]:
    """The walks from a segment's prompted slices (in rising order) over the slices `first` to `last`."""
    walks = []
    for anchor, (lower, upper) in zip(anchors, _territories([a.index for a in anchors], first, last), strict=True):
        others = [other for other in anchors if other is not anchor]
        for path in (range(anchor.index + 1, upper + 1), range(anchor.index - 1, lower - 1, -1)):
            if path:
                walks.append(Walk(scene, segment_id, anchor, others, path))
    return walks


def take_turns(
    walks: Sequence[Walk],
    is_cancelled: Callable[[], bool],
    watching: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Iterator[SliceMask]:
    """One step of every walk after the other, until all have ended or someone cancels. `watching`: around each step."""
    waiting = list(walks)
    while waiting:
        for walk in list(waiting):
            if is_cancelled():
                return
            with watching():
                result = walk.step()
            if result is None:
                waiting.remove(walk)
            else:
                yield result


def _territories(indices: Sequence[int], first: int, last: int) -> list[tuple[int, int]]:
    """The lowest and highest slice that belong to each prompted slice: every slice belongs to the nearest one."""
    borders = [first, *((a + b) // 2 + 1 for a, b in pairwise(indices)), last + 1]
    return [(low, high - 1) for low, high in pairwise(borders)]
