"""The prompts of one segment, sorted by slice and brought into slice coordinates (x along columns, y along rows).

A lasso is the box around it, and no voxel outside its line belongs to the object. A scribble is some clicks along the
stroke, given to the model at once, and the voxels under it are what the person said. docs/prompts.md says what was
measured.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medsam2_engine.errors import BadRequest
from medsam2_engine.frames import Mask, SliceStack
from medsam2_protocol.prompts import (
    BoxPrompt,
    LassoPrompt,
    MaskPrompt,
    PointPrompt,
    Prompt,
    ScribblePrompt,
    SegmentPrompts,
    axis_ijk,
    axis_kji,
    shows_object,
    slice_of_prompt,
)
from medsam2_protocol.strokes import lasso_interior, positions_along

Box = tuple[float, float, float, float]
DENSE = 256  # positions that a scribble is looked at in
STROKE_CLICKS = 3


@dataclass(frozen=True)
class Click:
    """A point on a slice."""

    x: float
    y: float
    positive: bool


@dataclass(frozen=True)
class Stroke:
    """A scribble: the voxels under it (rows, columns), its middle, and which of the slice's clicks stand for it."""

    mask: Mask
    positive: bool
    clicks: range
    middle_xy: tuple[float, float]


@dataclass(frozen=True)
class SlicePrompts:
    """What was said about one segment on one slice: at least a box, a click or a mask."""

    box: Box | None = None  # x0, y0, x1, y1: outermost voxel centres
    clicks: tuple[Click, ...] = ()
    mask: Mask | None = None  # (rows, columns)
    lasso: Mask | None = None  # (rows, columns), its interior; the box is around it
    strokes: tuple[Stroke, ...] = ()

    @property
    def turns(self) -> Iterator[tuple[int, Stroke | None]]:
        """How many clicks are known after every gesture in turn, and the scribble that it was, if it was one."""
        beginning = {stroke.clicks.start: stroke for stroke in self.strokes}
        known = 0
        while known < len(self.clicks):
            stroke = beginning.get(known)
            known = known + 1 if stroke is None else stroke.clicks.stop
            yield known, stroke

    def clicks_for(self, count: int, stroke_clicks: int) -> tuple[Click, ...]:
        """Of the first `count` clicks those for a model that wants at most so many of each scribble."""
        left_out = {number for stroke in self.strokes for number in stroke.clicks[stroke_clicks:]}
        return tuple(click for number, click in enumerate(self.clicks[:count]) if number not in left_out)

    @property
    def first_stroke(self) -> Stroke | None:
        """The scribble that shows the object, if that is the first thing that does."""
        first = next((number for number, click in enumerate(self.clicks) if click.positive), None)
        shows = self.box is None and self.mask is None
        return next((stroke for stroke in self.strokes if shows and first in stroke.clicks), None)

    def obeyed(self, mask: Mask) -> Mask:
        """The mask without what the lasso leaves out, and with the voxels under the scribbles as they were said.

        A click into the object outside the lasso says that the lasso was too tight: then it is a box only.
        """
        if self.lasso is not None and self._is_lasso_kept():
            mask = mask & self.lasso
        for stroke in self.strokes:
            mask = mask | stroke.mask if stroke.positive else mask & ~stroke.mask
        return mask

    def _is_lasso_kept(self) -> bool:
        assert self.lasso is not None
        last = np.array(self.lasso.shape) - 1
        places = [np.clip(np.floor([click.y + 0.5, click.x + 0.5]), 0, last) for click in self.clicks if click.positive]
        return all(self.lasso[int(row), int(column)] for row, column in places)


def prompts_by_slice(segment: SegmentPrompts, slices: SliceStack) -> dict[int, SlicePrompts]:
    """All prompts of a segment, by slice index in rising order.

    Raises:
        BadRequest: no prompt at all, a prompt outside the volume or on another axis, two boxes (or lassos) on one
            slice, only negative points and scribbles on a slice.
    """
    if not segment.prompts:
        raise BadRequest(f"Segment {segment.segment_id} has no prompt. Draw a box or click a point first.")
    found: defaultdict[int, list[Prompt]] = defaultdict(list)
    for prompt in segment.prompts:
        found[_checked_slice(prompt, slices)].append(prompt)
    return {index: _gather(index, found[index], slices) for index in sorted(found)}


def box_of_mask(mask: Mask) -> Box:
    """The outermost voxel centres of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(columns[0]), float(rows[0]), float(columns[-1]), float(rows[-1])


def _checked_slice(prompt: Prompt, slices: SliceStack) -> int:
    if not isinstance(prompt, PointPrompt) and prompt.axis != slices.axis:
        raise BadRequest(
            f"A {_name(prompt)} lies on a slice of axis {prompt.axis}, but the request is along axis {slices.axis}. "
            f"Work along axis {prompt.axis}, or draw the {_name(prompt)} again."
        )
    index = slice_of_prompt(prompt, slices.axis)
    if not 0 <= index < slices.count:
        raise BadRequest(
            f"There is no slice {index} on axis {slices.axis}: the volume has {slices.count} (0 to {slices.count - 1})."
        )
    return index


def _gather(index: int, prompts: Sequence[Prompt], slices: SliceStack) -> SlicePrompts:
    masks = [_mask(prompt, slices) for prompt in prompts if isinstance(prompt, MaskPrompt)]
    lassos = [_lasso(prompt, slices) for prompt in prompts if isinstance(prompt, LassoPrompt)]
    boxes = [_box(prompt, slices) for prompt in prompts if isinstance(prompt, BoxPrompt)]
    boxes += [box_of_mask(lasso) for lasso in lassos]
    if len(boxes) > 1:
        raise BadRequest(f"Slice {index} has {len(boxes)} boxes for one segment. Keep one that encloses all of it.")
    if not any(shows_object(prompt) for prompt in prompts):
        raise BadRequest(f"Slice {index} has negative points only. Click once into the object, or draw a box.")
    clicks: list[Click] = []
    strokes = []
    for prompt in prompts:
        if isinstance(prompt, PointPrompt):
            clicks.append(_click(prompt, slices))
        elif isinstance(prompt, ScribblePrompt):
            drawn, new = _stroke_on(prompt, slices), _clicks_along(prompt, slices, STROKE_CLICKS)
            numbers = range(len(clicks), len(clicks) + len(new))
            strokes.append(Stroke(drawn, prompt.positive, numbers, (new[0].x, new[0].y)))
            clicks += new
    mask = np.logical_or.reduce(masks) if masks else None
    lasso = lassos[0] if lassos else None
    return SlicePrompts(boxes[0] if boxes else None, tuple(clicks), mask, lasso, tuple(strokes))


def _box(prompt: BoxPrompt, slices: SliceStack) -> Box:
    rows, columns = slices.shape
    (x0, y0), (x1, y1) = prompt.min, prompt.max
    if x1 < -0.5 or y1 < -0.5 or x0 > columns - 0.5 or y0 > rows - 0.5:
        raise BadRequest(
            f"The box {prompt.min} to {prompt.max} lies outside slice {prompt.slice}, which has {columns} x {rows} "
            "voxels. Draw it over the volume."
        )
    (x0, x1), (y0, y1) = (np.clip(ends, 0, size - 1).tolist() for ends, size in (((x0, x1), columns), ((y0, y1), rows)))
    return x0, y0, x1, y1


def _click(prompt: PointPrompt, slices: SliceStack) -> Click:
    x, y = (value for axis, value in enumerate(prompt.ijk) if axis != axis_ijk(slices.axis))
    rows, columns = slices.shape
    if not (-0.5 <= x <= columns - 0.5 and -0.5 <= y <= rows - 0.5):
        raise BadRequest(f"The point {prompt.ijk} lies outside the volume. Click on the volume.")
    return Click(x, y, prompt.positive)


def _lasso(prompt: LassoPrompt, slices: SliceStack) -> Mask:
    inside = lasso_interior(prompt.path, slices.shape)
    if not inside.any():
        raise BadRequest(
            f"The lasso on slice {prompt.slice} encloses no voxel of the volume. Draw it round the object, and larger."
        )
    return inside


def _stroke_on(prompt: ScribblePrompt, slices: SliceStack) -> Mask:
    """The voxels that a scribble passes, one wide."""
    mask = np.zeros(slices.shape, bool)
    lengths = np.abs(np.diff(np.asarray(prompt.path), axis=0)).max(axis=1)
    dense = positions_along(prompt.path, 2 * math.ceil(lengths.sum()) + 1)
    columns, rows = np.floor(_on_slice(dense, slices) + 0.5).astype(int).T
    mask[rows, columns] = True
    if not mask.any():
        raise BadRequest(f"The scribble on slice {prompt.slice} lies outside the volume. Draw it over the image.")
    return mask


def _clicks_along(prompt: ScribblePrompt, slices: SliceStack, count: int) -> list[Click]:
    """Evenly spread over the part that lies on the slice, the middle one first: it is the surest to be meant."""
    dense = _on_slice(positions_along(prompt.path, DENSE), slices)
    places = dense[((np.arange(count) + 0.5) / count * len(dense)).astype(int)]
    order = sorted(range(count), key=lambda number: abs(2 * number + 1 - count))
    return [Click(float(places[number, 0]), float(places[number, 1]), prompt.positive) for number in order]


def _on_slice(positions: npt.NDArray[np.float64], slices: SliceStack) -> npt.NDArray[np.float64]:
    """Those of the positions (N, 2) that lie on voxels of a slice."""
    rows, columns = slices.shape
    inside = (positions >= -0.5).all(axis=1) & (positions < np.array([columns, rows]) - 0.5).all(axis=1)
    return positions[inside]


def _mask(prompt: MaskPrompt, slices: SliceStack) -> Mask:
    if any(stop > size for stop, size in zip(prompt.region.stop_kji, slices.volume.shape_kji, strict=True)):
        raise BadRequest(f"The mask on slice {prompt.slice} reaches outside the volume. Was it drawn on another one?")
    whole = np.zeros(slices.shape, bool)
    axis = axis_kji(slices.axis)
    start, stop = (np.delete(np.array(ends), axis) for ends in (prompt.region.start_kji, prompt.region.stop_kji))
    whole[start[0] : stop[0], start[1] : stop[1]] = np.squeeze(prompt.region.voxels(), axis=axis)
    return whole


def _name(prompt: Prompt) -> str:
    names = {BoxPrompt: "box", LassoPrompt: "lasso", ScribblePrompt: "scribble", MaskPrompt: "mask"}
    return names[type(prompt)]
