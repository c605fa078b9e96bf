"""From the anchors outwards, both ways, one slice at a time.

Every anchor (`territories`) sends a walk up and a walk down: to the next anchor, the end of the range, or the end of
the object. Between two anchors both walks go the whole way, and `fusion` makes one mask of the two. The walks take
turns, so that the result grows evenly around the anchors and a cancel is heard between any two slices. Walks share no
memory: SAM 2 too starts anew for the other direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from medsam2_engine.backends.base import Ahead, TracksTogether
from medsam2_engine.frames import Mask
from medsam2_engine.fusion import View, fuse
from medsam2_engine.model.frame import FrameMask
from medsam2_engine.territories import Stretch
from medsam2_engine.walk import Anchor, Scene, Target, Walk

CERTAIN = 10.0  # object score of what is certain; negative for no object
REMEMBERED_ANCHORS = 4  # beside the one that a walk starts from, where not more are walked from


@dataclass(frozen=True)
class SliceMask:
    """The object of one segment on one slice; `mask` is (rows, columns) bool, as `np.take(voxels_kji, slice, axis)`.

    `agreement` is the Dice of both directions' masks, None where one only was followed. `is_provisional`: of a first
    look, after which the slice is given once more (`first_look`).
    """

    segment_id: str
    axis: str
    slice: int
    mask: Mask
    object_score: float
    predicted_iou: float
    agreement: float | None = None
    is_provisional: bool = False


def without_object(segment_id: str, axis: str, index: int, shape: tuple[int, int]) -> SliceMask:
    """In the place of a mask that was shown on a slice and is none of the object's."""
    return SliceMask(segment_id, axis, index, np.zeros(shape, bool), -CERTAIN, 1.0)


class Leg:
    """A walk whose slices are shown as they are found; `met` has those that the walk from the other side has found.

    Legs are worked on in the order of their anchors, up before down.
    """

    def __init__(self, scene: Scene, target: Target, walk: Walk, met: dict[int, View]) -> None:
        self.order = walk.order
        self._scene = scene
        self._target = target
        self._walk = walk
        self._met = met

    def ahead(self) -> Ahead | None:
        """What to ask next; None at the end."""
        return self._walk.ahead()

    def arrived(self, answer: FrameMask) -> SliceMask:
        """The slice that was asked for."""
        index, view = self._walk.arrived(answer)
        segment_id, axis = self._target.segment_id, self._scene.slices.axis
        if index not in self._met:
            self._met[index] = view
            answer = view.answer
            return SliceMask(segment_id, axis, index, view.mask, answer.object_score, answer.predicted_iou)
        gated = not self._scene.is_range_known
        fused = fuse(self._met.pop(index), view, self._scene.slices.shape, gated)
        return SliceMask(segment_id, axis, index, fused.mask, fused.object_score, fused.predicted_iou, fused.agreement)

    def take_back(self) -> list[SliceMask]:
        """At the walk's end: the slices that it had shown and that do not hold the object after all."""
        segment_id, slices = self._target.segment_id, self._scene.slices
        return [without_object(segment_id, slices.axis, index, slices.shape) for index in self._walk.take_back()]


def legs_of_segment(scene: Scene, target: Target, anchors: Sequence[Anchor], stretches: Sequence[Stretch]) -> list[Leg]:
    """The walks over all stretches of a segment."""
    legs = [leg for stretch in stretches for leg in _legs(scene, target, anchors, stretch)]
    return sorted(legs, key=lambda leg: leg.order)


def take_turns(
    legs: Sequence[Leg],
    is_cancelled: Callable[[], bool],
    watching: Callable[[], AbstractContextManager[None]] = nullcontext,
    together: TracksTogether | None = None,
) -> Iterator[SliceMask]:
    """One step of every walk after the other, until all have ended or someone cancels.

    watching: around each step. together: what answers all walks at once, where that is faster.
    """
    waiting = list(legs)
    while waiting:
        for group in [waiting] if together is not None else [[leg] for leg in waiting]:
            if is_cancelled():
                return
            with watching():
                found = _step(group, together)
            yield from found.values()
            for leg in group:
                if leg not in found:
                    yield from leg.take_back()
            waiting = [leg for leg in waiting if leg not in group or leg in found]


def _step(legs: Sequence[Leg], together: TracksTogether | None) -> dict[Leg, SliceMask]:
    """One step of each walk that has not ended."""
    asked = {leg: ahead for leg in legs if (ahead := leg.ahead()) is not None}
    with torch.inference_mode():
        if together is None:
            answers = [one.tracker.track(one.frame, one.features) for one in asked.values()]
        else:
            answers = together.track_together(list(asked.values()))
    return {leg: leg.arrived(answer) for leg, answer in zip(asked, answers, strict=True)}


def _legs(scene: Scene, target: Target, anchors: Sequence[Anchor], stretch: Stretch) -> list[Leg]:
    """The walks over a stretch: one, or two that meet."""
    by_index = {anchor.index: anchor for anchor in anchors}
    met: dict[int, View] = {}
    legs = []
    for start, path in stretch.walks:
        goal = (stretch.upper if start == stretch.lower else stretch.lower) if stretch.is_between_anchors else None
        others = _to_remember(anchors, start, goal)
        walk = Walk(scene, target, by_index[start], others, path, goal)
        legs.append(Leg(scene, target, walk, met))
    return legs


def _to_remember(anchors: Sequence[Anchor], start: int, goal: int | None) -> list[Anchor]:
    """Of the other anchors those that are prompted or walked from, and then the nearest."""
    others = [anchor for anchor in anchors if anchor.index != start]
    looked_at = [anchor for anchor in others if anchor.look is not None]
    kept = sorted((one for one in others if one.look is None), key=lambda one: abs(one.index - start))
    room = max(0, REMEMBERED_ANCHORS - len(looked_at))
    return sorted([*looked_at, *kept[:room]], key=lambda one: one.index)
