"""From what a person said about a slice to an anchor: its mask, and the answer that walks start from.

A slice that a propagation has seen is looked at through the same frames again, as long as they show the object: then a
correction costs no encoding, and its neighbours are known in these frames too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from medsam2_engine.backends.base import Backend
from medsam2_engine.drawing import as_clicked, as_drawn
from medsam2_engine.frames import FrameStack, Mask, SliceStack
from medsam2_engine.framing import Framing
from medsam2_engine.model.frame import FrameMask
from medsam2_engine.separation import separation
from medsam2_engine.sightings import Sighting
from medsam2_engine.slice_prompts import Box, SlicePrompts, Stroke, box_of_mask
from medsam2_engine.walk import Anchor, Look, mask_on_slice
from medsam2_engine.zoom import ZoomFraming
from medsam2_protocol.messages import Window

SAME_OBJECT = 0.3  # overlap over union of a new box with that of the mask seen before
Seen = Mapping[int, Sighting]


@dataclass(frozen=True)
class Reply:
    """The model's answer, and the mask (rows, columns) that a person and the model have come to."""

    answer: FrameMask
    mask: Mask


class Answers:
    """Makes the anchors of one request. `framing` is that of the backend, or a zoom of it; `encode` gives the features
    of a slice in frames."""

    def __init__(
        self,
        backend: Backend,
        framing: Framing,
        slices: SliceStack,
        window: Window | None,
        encode: Callable[[FrameStack, int], Any],
    ) -> None:
        self._backend = backend
        self._framing = framing
        self._slices = slices
        self._window = window
        self._encode = encode

    def prompted(self, index: int, prompts: SlicePrompts, seen: Seen) -> Anchor:
        """The model's answer to the prompts of a slice; a drawn mask alone stands as it was drawn."""
        frames = self._frames_seen(index, prompts, seen) or self._best_look(index, prompts)
        reply = self._reply(frames, index, prompts)
        return Anchor(index, prompts.obeyed(reply.mask), Look(frames, reply.answer))

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
        return before.frames if self._framing.holds(before.frames, box) else None

    def _best_look(self, index: int, prompts: SlicePrompts) -> FrameStack:
        """The frames whose first answer stands out best from its surroundings, or a closer look at what is found."""
        looks = self._framing.looks(self._slices, index, prompts, self._window)
        first = replace(prompts, clicks=prompts.clicks[: _first_clicks(prompts)], strokes=())
        if isinstance(self._framing, ZoomFraming) and prompts.box is None and prompts.mask is None:
            found = self._reply(looks[0], index, first).mask
            return self._framing.closer(looks[0], self._slices, index, first, found, self._window)
        if len(looks) == 1:
            return looks[0]
        masks = [self._reply(look, index, first).mask for look in looks]
        scores = [separation(self._slices.slice(index), mask) for mask in masks]
        return looks[scores.index(max(scores))]

    def _reply(self, frames: FrameStack, index: int, prompts: SlicePrompts) -> Reply:
        """To all prompts of a slice, one click or scribble after the other, as they were made."""
        features = self._encode(frames, index)
        reply = None
        if prompts.mask is not None:
            answer = self._backend.from_mask(features, frames.grid.mask_in_frame(prompts.mask))
            reply = Reply(answer, prompts.mask)
        elif prompts.box is not None:
            points = self._framing.points(frames.grid, prompts.box, ())
            reply = self._as_answered(frames, self._backend.prompt(features, points))
            if prompts.lasso is not None:
                reply = self._overruled(frames, index, reply, reply.mask & prompts.lasso)
        for count, stroke in prompts.turns:
            if count >= _first_clicks(prompts):
                reply = self._corrected(frames, index, prompts, count, stroke, reply)
        assert reply is not None, "prompts_by_slice lets no empty prompts through"
        return reply

    def _corrected(
        self,
        frames: FrameStack,
        index: int,
        prompts: SlicePrompts,
        count: int,
        stroke: Stroke | None,
        before: Reply | None,
    ) -> Reply:
        """To the first `count` clicks, the last of which are those of `stroke`, if it was one.

        A scribble is answered from all that is known and not as a refinement: what it does not touch stays anyhow.
        A click is held to its place like a scribble, if the model is one that needs it.
        """
        framing = self._framing
        points = framing.points(frames.grid, prompts.box, prompts.clicks_for(count, framing.stroke_clicks))
        refines = before is not None and (stroke is None or prompts.box is None)
        previous = before.answer.logits if before is not None and refines else None
        reply = self._as_answered(frames, self._backend.prompt(self._encode(frames, index), points, previous))
        if stroke is not None:
            mask = as_drawn(before.mask if before is not None else None, reply.mask, stroke)
        elif before is not None and framing.corrects_locally:
            mask = as_clicked(before.mask, reply.mask, prompts.clicks[count - 1])
        else:
            return reply
        return self._overruled(frames, index, reply, mask)

    def _as_answered(self, frames: FrameStack, answer: FrameMask) -> Reply:
        return Reply(answer, mask_on_slice(frames, answer, self._slices, gated=False))

    def _overruled(self, frames: FrameStack, index: int, reply: Reply, mask: Mask) -> Reply:
        """With the person's mask in place of the model's; how sure the model was stays known."""
        drawn = self._backend.from_mask(self._encode(frames, index), frames.grid.mask_in_frame(mask))
        if not mask.any():
            return Reply(drawn, mask)
        sureness = reply.answer
        answer = replace(drawn, object_score=sureness.object_score, predicted_iou=sureness.predicted_iou)
        return Reply(answer, mask)


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
