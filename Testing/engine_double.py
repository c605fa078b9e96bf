"""An engine without a process: it answers when it is told to, and every answer is another one.

Masks are drawn by chance, so that a slice that is computed twice never looks the same twice: whoever compares bits sees
every slice that was touched. It sends what the protocol lets an engine send, and on request what it does not: masks of
kept slices, of slices that the request is not about, and of another axis.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from medsam2_protocol.masks import EMPTY_REGION, MaskRegion, region_of_slice
from medsam2_protocol.messages import Cancelled, Done, Failed, MaskChanged, Predict, Propagate
from medsam2_protocol.prompts import AXES, axis_kji, slice_of_prompt

VOLUME_ID = "v"
REACH = 3  # slices that an object goes on beyond its outermost anchor


class EngineDouble:
    """Stands for `EngineProcess` and `EngineVolume` of a controller. `asked` has every request."""

    def __init__(self, shape_kji: tuple[int, int, int], seed: int = 0, is_rogue: bool = False) -> None:
        self.asked: list[Any] = []
        self._shape = shape_kji
        self._random = random.Random(seed)
        self._is_rogue = is_rogue
        self._pending: list[tuple[str, Iterator[MaskChanged], Callable, Callable]] = []

    # ---- what the controller calls

    def open(self, volume: Any, on_ready: Callable, on_failed: Callable) -> None:
        on_ready(VOLUME_ID)

    def forget(self) -> None:
        pass

    def request(self, message: Any, on_event: Callable, on_end: Callable) -> str:
        request_id = f"r{len(self.asked)}"
        self.asked.append(message)
        self._pending.append((request_id, self._masks(request_id, message), on_event, on_end))
        return request_id

    def cancel(self, request_id: str) -> None:
        for one in [one for one in self._pending if one[0] == request_id]:
            self._pending.remove(one)
            one[3](Cancelled(request_id))

    # ---- what the test calls

    def run(self, masks: int) -> None:
        """Send some masks of the request that is under way."""
        for _number in range(masks):
            if not self._pending:
                return
            mask = next(self._pending[0][1], None)
            if mask is None:
                return
            self._pending[0][2](mask)

    def finish(self) -> None:
        """Answer everything to its end."""
        while self._pending:
            request_id, masks, on_event, on_end = self._pending[0]
            count = 0
            for mask in masks:
                on_event(mask)
                count += 1
            self._pending.pop(0)
            on_end(Done(request_id, 0.1, count, 0, "cpu"))

    def fail(self, code: str) -> None:
        if self._pending:
            request_id, _masks, _on_event, on_end = self._pending.pop(0)
            on_end(Failed(request_id, code, "It went wrong. Try again."))

    # ---- masks

    def _masks(self, request_id: str, message: Any) -> Iterator[MaskChanged]:
        if isinstance(message, Predict):
            segment, indices = message.segment, [message.slice]
        else:
            assert isinstance(message, Propagate)
            segment, indices = message.segments[0], self._slices(message)
        for index in indices:
            yield self._mask(request_id, segment.segment_id, message.axis, index)
            if self._is_rogue and isinstance(message, Propagate):
                yield from self._rogue(request_id, segment, message.axis)

    def _slices(self, message: Propagate) -> list[int]:
        segment, axis = message.segments[0], message.axis
        kept = {mask.slice: mask.region.is_empty for mask in segment.kept}
        prompted = {slice_of_prompt(prompt, axis) for prompt in segment.prompts} - set(kept)
        anchors = prompted | {index for index, is_empty in kept.items() if not is_empty}
        ends = sorted(anchors | set(kept))
        found = set(prompted) if message.corrected is None else prompted & {message.corrected}
        for index in range(self._shape[axis_kji(axis)]):
            below = max((end for end in ends if end < index), default=None)
            above = min((end for end in ends if end > index), default=None)
            if index in ends or message.corrected not in (None, below, above):
                continue
            distances = [abs(index - end) for end in (below, above) if end in anchors]
            if distances and (min(distances) <= REACH or len(distances) == 2):
                found.add(index)
        found = sorted(found)
        self._random.shuffle(found)
        return found

    def _rogue(self, request_id: str, segment: Any, axis: str) -> Iterator[MaskChanged]:
        for mask in segment.kept:
            yield self._mask(request_id, segment.segment_id, axis, mask.slice)
        other = self._random.choice([letter for letter in AXES if letter != axis])
        yield self._mask(request_id, segment.segment_id, other, 0)
        yield self._mask(request_id, segment.segment_id, axis, self._random.randrange(self._shape[axis_kji(axis)]))

    def _mask(self, request_id: str, segment_id: str, axis: str, index: int) -> MaskChanged:
        region, agreement = self._region(axis, index), self._random.choice([None, 0.9])
        return MaskChanged(request_id, VOLUME_ID, segment_id, axis, index, region, 3.0, 0.8, agreement)

    def _region(self, axis: str, index: int) -> MaskRegion:
        if self._random.random() < 0.1:
            return EMPTY_REGION
        along = axis_kji(axis)
        shape = [size for other, size in enumerate(self._shape) if other != along]
        chance = np.random.default_rng(self._random.getrandbits(32))
        return region_of_slice(chance.random(shape) < 0.5, along, index)
