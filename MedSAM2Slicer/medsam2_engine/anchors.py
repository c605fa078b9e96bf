"""From what a person said about a slice to an anchor: its mask, and the answer that walks start from.

A slice that a propagation has seen is looked at through the same frames again, as long as they show the object: then a
correction costs no encoding, and its neighbours are known in these frames too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from medsam2_engine.backends.base import Backend
from medsam2_engine.drawing import as_drawn
from medsam2_engine.frames import FrameStack, Mask, SliceStack
from medsam2_engine.model.frame import FrameMask
from medsam2_engine.separation import separation
from medsam2_engine.sightings import Sighting
from medsam2_engine.slice_prompts import Box, SlicePrompts, Stroke, box_of_mask
from medsam2_engine.walk import Anchor, Look, mask_on_slice
from medsam2_protocol.messages import Window

SAME_OBJECT = 0.3  # overlap over union of a new box with that of the mask seen before
Seen = Mapping[int, Sighting]


class Answers:
    """Makes the anchors of one request. `encode` gives the features of a slice in frames."""

    def __init__(
        self, backend: Backend, slices: SliceStack, window: Window | None, encode: Callable[[FrameStack, int], Any]
    ) -> None:
        self._backend = backend
        self._slices = slices
        self._window = window
        self._encode = encode

    def prompted(self, index: int, prompts: SlicePrompts, seen: Seen) -> Anchor:
        """The model's answer to the prompts of a slice; a drawn mask alone stands as it was drawn."""
        frames = self._frames_seen(index, prompts, seen) or self._best_look(index, prompts)
        answer = self._answer(frames, index, prompts)
        if prompts.mask is not None and not prompts.clicks:
            return Anchor(index, prompts.mask, Look(frames, answer))
        return Anchor(index, prompts.obeyed(self._on_slice(frames, answer)), Look(frames, answer))

    def _frames_seen(self, index: int, prompts: SlicePrompts, seen: Seen) -> FrameStack | None:
        """The frames in which the slice was seen, if what was prompted is the object seen there and inside them."""
        if index not in seen:
            return None
        before = seen[index]
        box = prompts.box if prompts.mask is None else box_of_mask(prompts.mask)
        if box is None:
            box = _around(prompts, before.box)
        elif before.box is not None and _overlap(box, before.box) < SAME_OBJECT:
            return None
        return before.frames if self._backend.framing.holds(before.frames, box) else None

    def _best_look(self, index: int, prompts: SlicePrompts) -> FrameStack:
        """The frames whose first answer stands out best from its surroundings."""
        looks = self._backend.framing.looks(self._slices, index, prompts, self._window)
        if len(looks) == 1:
            return looks[0]
        first = replace(prompts, clicks=prompts.clicks[: _first_clicks(prompts)], strokes=())
        masks = [self._on_slice(look, self._answer(look, index, first)) for look in looks]
        scores = [separation(self._slices.slice(index), mask) for mask in masks]
        return looks[scores.index(max(scores))]

    def _answer(self, frames: FrameStack, index: int, prompts: SlicePrompts) -> FrameMask:
        """The mask after all prompts of a slice, one click or scribble after the other, as they were made."""
        features = self._encode(frames, index)
        framing, grid = self._backend.framing, frames.grid
        answer = None
        if prompts.mask is not None:
            answer = self._backend.from_mask(features, grid.mask_in_frame(prompts.mask))
        elif prompts.box is not None:
            answer = self._backend.prompt(features, framing.points(grid, prompts.box, ()))
            if prompts.lasso is not None:
                answer = self._overruled(frames, index, answer, self._on_slice(frames, answer) & prompts.lasso)
        for count, stroke in prompts.turns:
            if count >= _first_clicks(prompts):
                answer = self._corrected(frames, index, prompts, count, stroke, answer)
        assert answer is not None, "prompts_by_slice lets no empty prompts through"
        return answer

    def _corrected(
        self,
        frames: FrameStack,
        index: int,
        prompts: SlicePrompts,
        count: int,
        stroke: Stroke | None,
        before: FrameMask | None,
    ) -> FrameMask:
        """The mask after the first `count` clicks, the last of which are those of `stroke`, if it was one.

        A scribble is answered from all that is known and not as a refinement: what it does not touch stays anyhow.
        """
        framing = self._backend.framing
        points = framing.points(frames.grid, prompts.box, prompts.clicks_for(count, framing.stroke_clicks))
        refines = before is not None and (stroke is None or prompts.box is None)
        previous = before.logits if before is not None and refines else None
        answer = self._backend.prompt(self._encode(frames, index), points, previous)
        if stroke is None:
            return answer
        mask_before = self._on_slice(frames, before) if before is not None else None
        return self._overruled(frames, index, answer, as_drawn(mask_before, self._on_slice(frames, answer), stroke))

    def _overruled(self, frames: FrameStack, index: int, answer: FrameMask, mask: Mask) -> FrameMask:
        """The answer with another mask, the person's; how sure the model was stays known."""
        drawn = self._backend.from_mask(self._encode(frames, index), frames.grid.mask_in_frame(mask))
        if not mask.any():
            return drawn
        return replace(drawn, object_score=answer.object_score, predicted_iou=answer.predicted_iou)

    def _on_slice(self, frames: FrameStack, answer: FrameMask) -> Mask:
        return mask_on_slice(frames, answer, self._slices, gated=False)


def _first_clicks(prompts: SlicePrompts) -> int:
    """How many clicks the first answer needs: one after a box or mask, else all up to the first positive one."""
    if prompts.mask is not None or prompts.box is not None:
        return 1
    return next(number for number, click in enumerate(prompts.clicks, 1) if click.positive)


def _around(prompts: SlicePrompts, box: Box | None) -> Box:
    """The smallest box around the positive clicks, and around what was seen before."""
    corners = [(click.x, click.y) for click in prompts.clicks if click.positive]
    corners += [] if box is None else [box[:2], box[2:]]
    columns, rows = zip(*corners, strict=True)
    return min(columns), min(rows), max(columns), max(rows)


def _overlap(one: Box, other: Box) -> float:
    """Of two boxes, in voxels: the area of both over the area of either."""
    width, height = (min(one[n + 2], other[n + 2]) - max(one[n], other[n]) + 1 for n in range(2))
    both = max(0.0, width) * max(0.0, height)
    return both / (_area(one) + _area(other) - both)


def _area(box: Box) -> float:
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)
