"""One open volume and one model: predict a slice, propagate through slices, correct a slice and what it reaches.

A session keeps encoded frames, and through which frames each segment was seen, and both only to save time: what is lost
is computed again. All prompts of a segment come with every request, in the order in which they were made, and so do the
slices that stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial
from itertools import zip_longest
from typing import Any

import torch

from medsam2_engine.anchors import Answers
from medsam2_engine.backends.base import Backend, TracksTogether
from medsam2_engine.encoding import Encoder
from medsam2_engine.errors import BadRequest
from medsam2_engine.features import feature_budget
from medsam2_engine.first_look import FirstLook, Survey
from medsam2_engine.frames import FrameStack, SliceStack
from medsam2_engine.framing import ObjectFraming, shared_frames
from medsam2_engine.memory_policies import find_policy
from medsam2_engine.propagation import SliceMask, legs_of_segment, take_turns, without_object
from medsam2_engine.segment_work import Work, work_of
from medsam2_engine.sightings import Sighting, Sightings
from medsam2_engine.slice_prompts import SlicePrompts, box_of_mask, prompts_by_slice
from medsam2_engine.stopping import Stopped, stoppable
from medsam2_engine.threads import ThreadGovernor
from medsam2_engine.volume import Volume
from medsam2_engine.walk import Anchor, Scene, Target
from medsam2_engine.zoom import zoomed
from medsam2_protocol.messages import BOTH, SAM2, ZOOM_OFF, ZOOM_ON, Window
from medsam2_protocol.prompts import SegmentPrompts


def _never() -> bool:
    return False


class Session:
    """Answers requests about one volume with one model. One thread uses it.

    feature_budget_bytes: None is a share of the memory that is free now.
    """

    def __init__(self, volume: Volume, backend: Backend, feature_budget_bytes: int | None = None) -> None:
        self.volume = volume
        self.backend = backend
        budget = feature_budget(backend.device_type) if feature_budget_bytes is None else feature_budget_bytes
        self._encoder = Encoder(backend, budget)
        self._sightings = Sightings()
        self._governor = ThreadGovernor()

    @property
    def encoded(self) -> int:
        """Images encoded so far."""
        return self._encoder.kept.misses

    @torch.inference_mode()
    def predict(
        self,
        segment: SegmentPrompts,
        axis: str,
        slice_index: int,
        window: Window | None = None,
        is_cancelled: Callable[[], bool] = _never,
        zoom: str = ZOOM_OFF,
    ) -> SliceMask:
        """The mask of one slice from the prompts on it. `zoom`: see `medsam2_engine.zoom`.

        Raises:
            BadRequest: no prompt on that slice, or prompts that make no sense (`prompts_by_slice`).
            Stopped: it was cancelled meanwhile.
        """
        slices = SliceStack(self.volume, axis)
        prompts = prompts_by_slice(segment, slices)
        if slice_index not in prompts:
            raise BadRequest(f"There is no prompt on slice {slice_index}. Draw a box or click a point on it.")
        seen = self._sightings.of(segment.segment_id, axis, window, zoom)
        with _until(is_cancelled):
            answers = Answers(self.backend, zoomed(self.backend.framing, zoom), slices, window, self._encoded)
            anchor = answers.prompted(slice_index, prompts[slice_index], seen)
        return _result(segment.segment_id, slices, anchor)

    def propagate(
        self,
        segments: Sequence[SegmentPrompts],
        axis: str,
        slice_range: tuple[int, int] | None = None,
        window: Window | None = None,
        is_cancelled: Callable[[], bool] = _never,
        direction: str = BOTH,
        corrected: int | None = None,
        policy: str = SAM2,
        zoom: str = ZOOM_OFF,
        progressive: bool = False,
    ) -> Iterator[SliceMask]:
        """The masks of the prompted slices, then of their neighbours, outwards, one slice of one segment at a time.

        Kept slices are walked from and met like prompted ones, and never given. A slice between two of them is given
        twice, the second time as both directions together see it.

        slice_range: first and last slice that are known to hold the objects; nothing outside is touched. Without it,
        every direction goes on until its object ends.
        direction: up or down keeps off the slices below, or above, all prompted slices of a segment.
        corrected: this prompted or kept slice alone, and what lies from it to the next one on each side. It is looked
        at through the frames of the propagation before it, so that nothing is encoded again.
        policy: name of the memory policy, see `memory_policies`.
        zoom: whether a model of whole slices is shown the object closely, see `medsam2_engine.zoom`.
        progressive: give a first look at the whole object before the masks, see `first_look`; they are the same
            afterwards. A correction has none.

        Raises:
            BadRequest: prompts that make no sense, a prompted slice outside the range, a range outside the volume, an
                unknown policy or zoom, a corrected slice without a prompt.
        """
        slices = SliceStack(self.volume, axis)
        works = [work_of(segment, slices, slice_range, direction, corrected) for segment in segments]
        company = self._company(slices, slice_range) if zoom == ZOOM_OFF else None
        encode = partial(self._encoded_until, is_cancelled, company)
        scene = Scene(
            self.backend,
            zoomed(self.backend.framing, zoom),
            slices,
            encode,
            self._encoder.knows,
            window,
            slice_range is not None,
            find_policy(policy),
            corrected is not None,
        )
        is_sketched = progressive and corrected is None
        return _while_wanted(self._propagate(scene, works, zoom, is_sketched, is_cancelled))

    def most_masks(
        self,
        segment: SegmentPrompts,
        axis: str,
        slice_range: tuple[int, int] | None,
        direction: str = BOTH,
        corrected: int | None = None,
    ) -> int:
        """Masks that a propagation of one segment gives if the object does not end."""
        return work_of(segment, SliceStack(self.volume, axis), slice_range, direction, corrected).most_masks

    @torch.inference_mode()
    def prefetch(
        self,
        axis: str,
        slice_index: int,
        window: Window | None = None,
        is_cancelled: Callable[[], bool] = _never,
        zoom: str = ZOOM_OFF,
    ) -> int:
        """Encode a slice and its neighbours, outwards, before anything is asked about them; how many were encoded.

        Ends when it is cancelled, when there is nothing left to encode, or before something kept is forgotten for it.
        Does nothing where all frames depend on the prompt.

        Raises:
            BadRequest: a slice outside the volume.
        """
        slices = SliceStack(self.volume, axis)
        if not 0 <= slice_index < slices.count:
            raise BadRequest(f"There is no slice {slice_index} on axis {axis}. Choose one of 0 to {slices.count - 1}.")
        frames = shared_frames(self.backend.framing, slices, window)
        if frames is None or zoom == ZOOM_ON:
            return 0
        before = self.encoded
        for index in _outwards(slice_index, slices.count):
            if is_cancelled() or not self._encoder.kept.has_room():
                break
            try:
                with _until(is_cancelled):
                    self._encoded(frames, index)
            except Stopped:
                break
        return self.encoded - before

    def _propagate(
        self, scene: Scene, works: Sequence[Work], zoom: str, is_sketched: bool, is_cancelled: Callable[[], bool]
    ) -> Iterator[SliceMask]:
        surveys: list[Survey] = []
        for work in works:
            seen = self._sightings.of(work.segment_id, scene.slices.axis, scene.window, zoom)
            target = Target(work.segment_id, seen, dict(seen))
            anchors = []
            for index in work.prompts:
                if is_cancelled():
                    return
                with torch.inference_mode(), _until(is_cancelled):
                    anchors.append(self._anchor(scene, target, index, work.prompts[index]))
                if index in work.sent:
                    yield _result(work.segment_id, scene.slices, anchors[-1])
            with torch.inference_mode(), _until(is_cancelled):
                surveys.append(Survey(target, [*anchors, *self._kept_anchors(scene, target, work)], work.stretches))
        shown: dict[tuple[str, int], SliceMask] = {}
        if is_sketched:
            with torch.inference_mode(), _until(is_cancelled):
                look = FirstLook(scene, surveys)
            for found in look.results(is_cancelled, self._governor.watching, self._together()):
                shown[found.segment_id, found.slice] = found
                yield found
            if is_cancelled():
                return
        with torch.inference_mode(), _until(is_cancelled):
            legs = [leg for one in surveys for leg in legs_of_segment(scene, one.target, one.anchors, one.stretches)]
        for found in take_turns(legs, is_cancelled, self._governor.watching, self._together()):
            shown.pop((found.segment_id, found.slice), None)
            yield found
        if shown and not is_cancelled():
            # The propagation did not come to these.
            for found in shown.values():
                if found.mask.any():
                    yield without_object(found.segment_id, found.axis, found.slice, scene.slices.shape)

    def _together(self) -> TracksTogether | None:
        backend = self.backend
        return backend if isinstance(backend, TracksTogether) and backend.gains_together else None

    def _anchor(self, scene: Scene, target: Target, index: int, prompts: SlicePrompts) -> Anchor:
        """The answer to the prompts of a slice, and the frames it is seen in from now on."""
        answers = Answers(self.backend, scene.framing, scene.slices, scene.window, scene.encode)
        anchor = answers.prompted(index, prompts, target.seen)
        assert anchor.look is not None
        box = box_of_mask(anchor.mask) if anchor.mask.any() else None
        target.seen[index] = Sighting(anchor.look.frames, box)
        return anchor

    def _kept_anchors(self, scene: Scene, target: Target, work: Work) -> list[Anchor]:
        """All kept slices that hold the object, those that are walked from with an answer."""
        return [
            self._anchor(scene, target, index, SlicePrompts(mask=mask))
            if index in work.kept_starts
            else Anchor(index, mask)
            for index, mask in work.kept.items()
            if mask.any()
        ]

    def _company(self, slices: SliceStack, slice_range: tuple[int, int] | None) -> range | None:
        """The slices that a propagation may ask for, if they all lie in the same frames."""
        if isinstance(self.backend.framing, ObjectFraming):
            return None
        first, last = slice_range or (0, slices.count - 1)
        return range(first, last + 1)

    def _encoded_until(
        self, is_cancelled: Callable[[], bool], within: range | None, frames: FrameStack, index: int
    ) -> Any:
        with _until(is_cancelled):
            return self._encoder(frames, index, within)

    def _encoded(self, frames: FrameStack, index: int) -> Any:
        return self._encoder(frames, index)


def _until(is_cancelled: Callable[[], bool]) -> AbstractContextManager[None]:
    return stoppable(lambda: not is_cancelled())


def _while_wanted(results: Iterator[SliceMask]) -> Iterator[SliceMask]:
    try:
        yield from results
    except Stopped:
        return


def _outwards(start: int, count: int) -> Iterator[int]:
    """All indices below `count`, the nearest to `start` first."""
    yield start
    for above, below in zip_longest(range(start + 1, count), range(start - 1, -1, -1)):
        yield from (index for index in (above, below) if index is not None)


def _result(segment_id: str, slices: SliceStack, anchor: Anchor) -> SliceMask:
    assert anchor.look is not None, "a slice that is given was looked at"
    answer = anchor.look.answer
    return SliceMask(segment_id, slices.axis, anchor.index, anchor.mask, answer.object_score, answer.predicted_iou)
