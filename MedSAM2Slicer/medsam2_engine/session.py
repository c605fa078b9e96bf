"""One open volume and one model: predict a slice, propagate through slices.

A session keeps nothing but encoded frames, and those only to save time: the same request gives the same masks whatever
was asked before. All prompts of a segment come with every request, in the order in which they were made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import Any

import torch

from medsam2_engine.backends.base import Backend
from medsam2_engine.errors import BadRequest
from medsam2_engine.features import FeatureCache
from medsam2_engine.frames import FrameStack, SliceStack
from medsam2_engine.framing import shared_frames
from medsam2_engine.model.frame import FrameMask
from medsam2_engine.propagation import Anchor, Scene, SliceMask, mask_on_slice, take_turns, walks_of_segment
from medsam2_engine.separation import separation
from medsam2_engine.slice_prompts import SlicePrompts, prompts_by_slice
from medsam2_engine.stopping import Stopped, stoppable
from medsam2_engine.threads import ThreadGovernor
from medsam2_engine.volume import Volume
from medsam2_protocol.messages import BOTH, DOWN, UP, Window
from medsam2_protocol.prompts import SegmentPrompts, slice_of_prompt

FEATURE_BUDGET_BYTES = 1 << 30


def _never() -> bool:
    return False


class Session:
    """Answers requests about one volume with one model. One thread uses it."""

    def __init__(self, volume: Volume, backend: Backend, feature_budget_bytes: int = FEATURE_BUDGET_BYTES) -> None:
        self.volume = volume
        self.backend = backend
        self._features: FeatureCache[Any] = FeatureCache(feature_budget_bytes)
        self._governor = ThreadGovernor()

    @property
    def encoded(self) -> int:
        """Images encoded so far."""
        return self._features.misses

    @torch.inference_mode()
    def predict(
        self,
        segment: SegmentPrompts,
        axis: str,
        slice_index: int,
        window: Window | None = None,
        is_cancelled: Callable[[], bool] = _never,
    ) -> SliceMask:
        """The mask of one slice from the prompts on it.

        Raises:
            BadRequest: no prompt on that slice, or prompts that make no sense (`prompts_by_slice`).
            Stopped: it was cancelled meanwhile.
        """
        slices = SliceStack(self.volume, axis)
        prompts = prompts_by_slice(segment, slices)
        if slice_index not in prompts:
            raise BadRequest(f"There is no prompt on slice {slice_index}. Draw a box or click a point on it.")
        with _until(is_cancelled):
            anchor = self._anchor(slices, slice_index, prompts[slice_index], window)
        return _result(segment.segment_id, slices, anchor)

    def propagate(
        self,
        segments: Sequence[SegmentPrompts],
        axis: str,
        slice_range: tuple[int, int] | None = None,
        window: Window | None = None,
        is_cancelled: Callable[[], bool] = _never,
        direction: str = BOTH,
    ) -> Iterator[SliceMask]:
        """The masks of the prompted slices, then of their neighbours, outwards, one slice of one segment at a time.

        slice_range: first and last slice that are known to hold the objects; nothing outside is touched. Without it,
        every direction goes on until its object ends.
        direction: up or down keeps off the slices below, or above, all prompted slices of a segment.

        Raises:
            BadRequest: prompts that make no sense, a prompted slice outside the range, a range outside the volume.
        """
        slices = SliceStack(self.volume, axis)
        prompts = [(segment.segment_id, prompts_by_slice(segment, slices)) for segment in segments]
        first, last = _checked_range(slice_range, slices, [index for _, found in prompts for index in found])
        encode = partial(self._encoded_until, is_cancelled)
        scene = Scene(self.backend, slices, encode, window, slice_range is not None)
        return _while_wanted(self._propagate(scene, prompts, first, last, is_cancelled, direction))

    @torch.inference_mode()
    def prefetch(
        self,
        axis: str,
        slice_index: int,
        window: Window | None = None,
        is_cancelled: Callable[[], bool] = _never,
    ) -> int:
        """Encode a slice and its neighbours, outwards, before anything is asked about them; how many were encoded.

        Ends when it is cancelled, when there is nothing left to encode, or before something kept is forgotten for it.
        Does nothing for a model whose frames depend on the prompt.

        Raises:
            BadRequest: a slice outside the volume.
        """
        slices = SliceStack(self.volume, axis)
        if not 0 <= slice_index < slices.count:
            raise BadRequest(f"There is no slice {slice_index} on axis {axis}. Choose one of 0 to {slices.count - 1}.")
        frames = shared_frames(self.backend.framing, slices, window)
        if frames is None:
            return 0
        before = self.encoded
        for index in _outwards(slice_index, slices.count):
            if is_cancelled() or not self._features.has_room():
                break
            try:
                with _until(is_cancelled):
                    self._encoded(frames, index)
            except Stopped:
                break
        return self.encoded - before

    def expected_slices(
        self, segment: SegmentPrompts, axis: str, slice_range: tuple[int, int] | None, direction: str = BOTH
    ) -> int:
        """Slices of one segment that a propagation visits at most."""
        first, last = slice_range or (0, SliceStack(self.volume, axis).count - 1)
        prompted = [slice_of_prompt(prompt, axis) for prompt in segment.prompts]
        first, last = _one_way(direction, first, last, prompted)
        return max(0, last - first + 1)

    def _propagate(
        self,
        scene: Scene,
        prompts: Sequence[tuple[str, dict[int, SlicePrompts]]],
        first: int,
        last: int,
        is_cancelled: Callable[[], bool],
        direction: str,
    ) -> Iterator[SliceMask]:
        walks = []
        for segment_id, found in prompts:
            anchors = []
            for index, slice_prompts in found.items():
                if is_cancelled():
                    return
                with torch.inference_mode(), _until(is_cancelled):
                    anchors.append(self._anchor(scene.slices, index, slice_prompts, scene.window))
                yield _result(segment_id, scene.slices, anchors[-1])
            with torch.inference_mode(), _until(is_cancelled):
                walks += walks_of_segment(scene, segment_id, anchors, *_one_way(direction, first, last, list(found)))
        yield from take_turns(walks, is_cancelled, self._governor.watching)

    def _anchor(self, slices: SliceStack, index: int, prompts: SlicePrompts, window: Window | None) -> Anchor:
        frames = self._best_look(slices, index, prompts, window)
        answer = self._answer(frames, index, prompts)
        if prompts.mask is not None and not prompts.clicks:
            return Anchor(index, frames, answer, prompts.mask)
        return Anchor(index, frames, answer, mask_on_slice(frames, answer, slices, gated=False))

    def _best_look(self, slices: SliceStack, index: int, prompts: SlicePrompts, window: Window | None) -> FrameStack:
        """The frames whose first answer stands out best from its surroundings."""
        looks = self.backend.framing.looks(slices, index, prompts, window)
        if len(looks) == 1:
            return looks[0]
        first = replace(prompts, clicks=prompts.clicks[: _first_clicks(prompts)])
        masks = [mask_on_slice(look, self._answer(look, index, first), slices, gated=False) for look in looks]
        scores = [separation(slices.slice(index), mask) for mask in masks]
        return looks[scores.index(max(scores))]

    def _answer(self, frames: FrameStack, index: int, prompts: SlicePrompts) -> FrameMask:
        """The mask after all prompts of a slice, one click after the other, as they were made."""
        features = self._encoded(frames, index)
        framing, grid = self.backend.framing, frames.grid
        answer = None
        if prompts.mask is not None:
            answer = self.backend.from_mask(features, grid.mask_in_frame(prompts.mask))
        elif prompts.box is not None:
            answer = self.backend.prompt(features, framing.points(grid, prompts.box, ()))
        for count in range(_first_clicks(prompts), len(prompts.clicks) + 1):
            points = framing.points(grid, prompts.box, prompts.clicks[:count])
            answer = self.backend.prompt(features, points, answer.logits if answer is not None else None)
        assert answer is not None, "prompts_by_slice lets no empty prompts through"
        return answer

    def _encoded_until(self, is_cancelled: Callable[[], bool], frames: FrameStack, index: int) -> Any:
        with _until(is_cancelled):
            return self._encoded(frames, index)

    def _encoded(self, frames: FrameStack, index: int) -> Any:
        return self._features.get((frames.key, index), lambda: self.backend.encode(frames.pixels(index)))


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


def _first_clicks(prompts: SlicePrompts) -> int:
    """How many clicks the first answer needs: one after a box or mask, else all up to the first positive one."""
    if prompts.mask is not None or prompts.box is not None:
        return 1
    return next(number for number, click in enumerate(prompts.clicks, 1) if click.positive)


def _result(segment_id: str, slices: SliceStack, anchor: Anchor) -> SliceMask:
    answer = anchor.answer
    return SliceMask(segment_id, slices.axis, anchor.index, anchor.mask, answer.object_score, answer.predicted_iou)


def _one_way(direction: str, first: int, last: int, prompted: Sequence[int]) -> tuple[int, int]:
    """What of a range is visited from these slices in this direction."""
    lowest = min(prompted, default=first) if direction == UP else first
    return lowest, max(prompted, default=last) if direction == DOWN else last


def _checked_range(slice_range: tuple[int, int] | None, slices: SliceStack, prompted: Sequence[int]) -> tuple[int, int]:
    if slice_range is None:
        return 0, slices.count - 1
    first, last = slice_range
    if not 0 <= first <= last < slices.count:
        raise BadRequest(
            f"The range {first} to {last} does not lie in the volume, which has slices 0 to {slices.count - 1} on axis "
            f"{slices.axis}."
        )
    outside = [index for index in prompted if not first <= index <= last]
    if outside:
        raise BadRequest(f"The prompt on slice {outside[0]} lies outside the range {first} to {last}. Widen the range.")
    return first, last
