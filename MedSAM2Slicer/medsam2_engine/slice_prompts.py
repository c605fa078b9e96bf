"""The prompts of one segment, sorted by slice and brought into slice coordinates (x along columns, y along rows)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from medsam2_engine.errors import BadRequest
from medsam2_engine.frames import Mask, SliceStack
from medsam2_protocol.prompts import (
    BoxPrompt,
    MaskPrompt,
    PointPrompt,
    Prompt,
    SegmentPrompts,
    axis_ijk,
    axis_kji,
    slice_of_prompt,
)

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Click:
    """A point on a slice."""

    x: float
    y: float
    positive: bool


@dataclass(frozen=True)
class SlicePrompts:
    """What was said about one segment on one slice. At least one of the three is there."""

    box: Box | None = None  # x0, y0, x1, y1: outermost voxel centres
    clicks: tuple[Click, ...] = ()
    mask: Mask | None = None  # (rows, columns)


def prompts_by_slice(segment: SegmentPrompts, slices: SliceStack) -> dict[int, SlicePrompts]:
    """All prompts of a segment, by slice index in rising order.

    Raises:
        BadRequest: no prompt at all, a prompt outside the volume or on another axis, two boxes on one slice, only
            negative points on a slice.
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


def _gather(index: int, prompts: Iterable[Prompt], slices: SliceStack) -> SlicePrompts:
    boxes = [_box(prompt, slices) for prompt in prompts if isinstance(prompt, BoxPrompt)]
    masks = [_mask(prompt, slices) for prompt in prompts if isinstance(prompt, MaskPrompt)]
    clicks = tuple(_click(prompt, slices) for prompt in prompts if isinstance(prompt, PointPrompt))
    if len(boxes) > 1:
        raise BadRequest(f"Slice {index} has {len(boxes)} boxes for one segment. Keep one that encloses all of it.")
    if not boxes and not masks and not any(click.positive for click in clicks):
        raise BadRequest(f"Slice {index} has negative points only. Click once into the object, or draw a box.")
    mask = np.logical_or.reduce(masks) if masks else None
    return SlicePrompts(boxes[0] if boxes else None, clicks, mask)


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


def _mask(prompt: MaskPrompt, slices: SliceStack) -> Mask:
    if any(stop > size for stop, size in zip(prompt.region.stop_kji, slices.volume.shape_kji, strict=True)):
        raise BadRequest(f"The mask on slice {prompt.slice} reaches outside the volume. Was it drawn on another one?")
    whole = np.zeros(slices.shape, bool)
    axis = axis_kji(slices.axis)
    start, stop = (np.delete(np.array(ends), axis) for ends in (prompt.region.start_kji, prompt.region.stop_kji))
    whole[start[0] : stop[0], start[1] : stop[1]] = np.squeeze(prompt.region.voxels(), axis=axis)
    return whole


def _name(prompt: Prompt) -> str:
    return "box" if isinstance(prompt, BoxPrompt) else "mask"
