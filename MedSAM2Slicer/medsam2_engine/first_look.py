"""A first look at whole objects before they are followed slice by slice: every fourth slice, and between them outlines.

From every anchor each `EVERY`th slice is followed as if there were none between them, and what lies between two slices
that are known is interpolated (`interpolation`). All of it is provisional: the ordinary propagation comes after it,
from the same anchors and with nothing of the first look but the features. So its masks are what they are without one.

A first look ends behind the first slice on which the object is not seen. Behind the last slice that it has followed
nothing is shown, even within a known range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from medsam2_engine.backends.base import TracksTogether
from medsam2_engine.interpolation import interpolated
from medsam2_engine.propagation import CERTAIN, SliceMask, legs_of_segment, take_turns
from medsam2_engine.territories import Stretch
from medsam2_engine.walk import Anchor, Scene, Target

EVERY = 4


@dataclass(frozen=True)
class Survey:
    """One segment's part of a propagation, with its anchors answered."""

    target: Target
    anchors: Sequence[Anchor]
    stretches: Sequence[Stretch]


class FirstLook:
    """Of all segments of a request. Anchors are not given again."""

    def __init__(self, scene: Scene, surveys: Sequence[Survey]) -> None:
        self._spacing_xy = scene.slices.spacing_xy
        self._gaps: list[Gap] = []
        scene = replace(scene, patience=1, takes_back=False)
        self._legs = []
        for survey in surveys:
            target = Target(survey.target.segment_id, dict(survey.target.seen))
            known = [_known(target.segment_id, scene.slices.axis, anchor) for anchor in survey.anchors]
            self._gaps += [Gap(target.segment_id, stretch, known) for stretch in survey.stretches]
            ways = [way for way in map(sampled, survey.stretches) if way.slices]
            self._legs += legs_of_segment(scene, target, survey.anchors, ways)

    def results(
        self,
        is_cancelled: Callable[[], bool],
        watching: Callable[[], AbstractContextManager[None]],
        together: TracksTogether | None,
    ) -> Iterator[SliceMask]:
        """All of them provisional; a slice that is reached from two sides comes again. The rest is for `take_turns`."""
        for gap in self._gaps:
            yield from gap.filled(self._spacing_xy)
        for found in take_turns(self._legs, is_cancelled, watching, together):
            yield replace(found, is_provisional=True)
            gap = next(one for one in self._gaps if one.holds(found))
            yield from gap.filled_beside(found, self._spacing_xy)


class Gap:
    """The slices of a stretch, and what is known of them and of its two ends."""

    def __init__(self, segment_id: str, stretch: Stretch, known: Sequence[SliceMask]) -> None:
        self._segment_id = segment_id
        self._slices = stretch.slices
        self._known = {one.slice: one for one in known if one.slice in (stretch.lower, stretch.upper)}

    def holds(self, found: SliceMask) -> bool:
        return found.segment_id == self._segment_id and found.slice in self._slices

    def filled(self, spacing_xy: tuple[float, float]) -> Iterator[SliceMask]:
        """What lies between two anchors that are near to each other."""
        if len(self._known) == 2:
            below, above = sorted(self._known)
            yield from self._between(below, above, spacing_xy)

    def filled_beside(self, found: SliceMask, spacing_xy: tuple[float, float]) -> Iterator[SliceMask]:
        """What lies between a new slice and those nearest to it that are known."""
        self._known[found.slice] = found
        for below, above in (
            (max((index for index in self._known if index < found.slice), default=None), found.slice),
            (found.slice, min((index for index in self._known if index > found.slice), default=None)),
        ):
            if below is not None and above is not None:
                yield from self._between(below, above, spacing_xy)

    def _between(self, below: int, above: int, spacing_xy: tuple[float, float]) -> Iterator[SliceMask]:
        if above - below > EVERY:
            return
        one, other, indices = self._known[below], self._known[above], range(below + 1, above)
        shares = [(index - below) / (above - below) for index in indices]
        for index, mask in zip(indices, interpolated(one.mask, other.mask, shares, spacing_xy), strict=True):
            yield SliceMask(
                one.segment_id,
                one.axis,
                index,
                mask,
                min(one.object_score, other.object_score),
                min(one.predicted_iou, other.predicted_iou),
                is_provisional=True,
            )


def sampled(stretch: Stretch) -> Stretch:
    """Every fourth slice, counted from the lower anchor if there is one, else from the upper."""
    slices = stretch.slices
    if stretch.lower is not None:
        first = stretch.lower + EVERY * max(1, -(-(slices.start - stretch.lower) // EVERY))
        return replace(stretch, slices=range(first, slices.stop, EVERY))
    assert stretch.upper is not None, "a stretch has an anchor"
    last = stretch.upper - EVERY * max(1, -(-(stretch.upper - slices.stop + 1) // EVERY))
    return replace(stretch, slices=range(last, slices.start - 1, -EVERY)[::-1])


def _known(segment_id: str, axis: str, anchor: Anchor) -> SliceMask:
    if anchor.look is None:
        return SliceMask(segment_id, axis, anchor.index, anchor.mask, CERTAIN, 1.0)
    answer = anchor.look.answer
    return SliceMask(segment_id, axis, anchor.index, anchor.mask, answer.object_score, answer.predicted_iou)
