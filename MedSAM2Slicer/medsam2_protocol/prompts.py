"""What a person says about a segment: boxes, points, strokes and masks, in the voxel coordinates of one volume.

Coordinates are IJK with the centre of a voxel at an integer, so a box from 3 to 5 covers the voxels 3, 4 and 5.
Fractions are allowed and rounded to a thousandth of a voxel, so that the same prompt gives the same mask whichever way
its coordinates were computed. A slice is named by its axis letter ("I", "J" or "K") and its index on that axis; inside
a slice a position is the two remaining IJK coordinates in rising order (I before J before K).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Union

from medsam2_protocol.masks import MaskRegion
from medsam2_protocol.tagged import tagged

AXES = ("I", "J", "K")
Pair = tuple[float, float]
Position = tuple[float, float, float]
Path = tuple[Pair, ...]
MAX_VERTICES = 256


@tagged("box")
@dataclass(frozen=True)
class BoxPrompt:
    """A rectangle on one slice that encloses the object; `min` and `max` are its outermost voxel centres."""

    axis: str
    slice: int
    min: Pair
    max: Pair

    def __post_init__(self) -> None:
        _check_slice(self.axis, self.slice)
        low, high = _rounded(self.min), _rounded(self.max)
        if low[0] > high[0] or low[1] > high[1]:
            raise ValueError(f"a box needs min <= max, not {low} and {high}")
        object.__setattr__(self, "min", low)
        object.__setattr__(self, "max", high)


@tagged("point")
@dataclass(frozen=True)
class PointPrompt:
    """A click that belongs to the object (`positive`) or does not."""

    ijk: Position
    positive: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "ijk", _rounded(self.ijk))


@tagged("scribble")
@dataclass(frozen=True)
class ScribblePrompt:
    """A freehand stroke on one slice, all of it in the object (`positive`) or none of it; at least two positions."""

    axis: str
    slice: int
    path: Path
    positive: bool = True

    def __post_init__(self) -> None:
        _check_slice(self.axis, self.slice)
        object.__setattr__(self, "path", _checked_path(self.path, 2))


@tagged("lasso")
@dataclass(frozen=True)
class LassoPrompt:
    """A closed freehand line round the object on one slice; at least three positions, the last joined to the first."""

    axis: str
    slice: int
    path: Path

    def __post_init__(self) -> None:
        _check_slice(self.axis, self.slice)
        object.__setattr__(self, "path", _checked_path(self.path, 3))


@tagged("mask")
@dataclass(frozen=True)
class MaskPrompt:
    """The object's exact mask on one slice; the region lies in that slice. An empty one may be kept, not prompted."""

    axis: str
    slice: int
    region: MaskRegion

    def __post_init__(self) -> None:
        _check_slice(self.axis, self.slice)
        axis = axis_kji(self.axis)
        if self.region.is_empty:
            return
        if self.region.start_kji[axis] != self.slice or self.region.shape_kji[axis] != 1:
            raise ValueError(f"the mask does not lie in slice {self.slice} of axis {self.axis}")


Prompt = Union[BoxPrompt, PointPrompt, ScribblePrompt, LassoPrompt, MaskPrompt]


@dataclass(frozen=True)
class SegmentPrompts:
    """All prompts of one segment. `segment_id` comes back with every mask.

    `kept` are slices whose masks stand: locked, approved, edited by hand, or answered before. They are never computed
    or sent again, whatever prompts lie on them; a propagation remembers them, and meets or ends there as on a prompted
    slice. A kept slice may be empty: the object is not on it, and nothing is followed across.
    """

    segment_id: str
    prompts: tuple[Prompt, ...]
    kept: tuple[MaskPrompt, ...] = ()

    def __post_init__(self) -> None:
        if any(isinstance(prompt, MaskPrompt) and prompt.region.is_empty for prompt in self.prompts):
            raise ValueError("a mask prompt needs at least one voxel")
        places = [(mask.axis, mask.slice) for mask in self.kept]
        if len(set(places)) < len(places):
            raise ValueError("a slice is kept twice; send one mask for it")


def axis_ijk(axis: str) -> int:
    """Position of a slice axis in an IJK triple: "I" is 0."""
    return AXES.index(axis)


def axis_kji(axis: str) -> int:
    """Array axis of a KJI volume that a slice axis runs along: "K" is 0."""
    return 2 - axis_ijk(axis)


def slice_of_prompt(prompt: Prompt, axis: str) -> int:
    """The slice along `axis` that a prompt speaks of (a point: the slice nearest to it)."""
    if isinstance(prompt, PointPrompt):
        return math.floor(prompt.ijk[axis_ijk(axis)] + 0.5)
    return prompt.slice


def shows_object(prompt: Prompt) -> bool:
    """Whether the prompt says where the object is, not only where it is not."""
    return not isinstance(prompt, (PointPrompt, ScribblePrompt)) or prompt.positive


def _check_slice(axis: str, index: int) -> None:
    if axis not in AXES:
        raise ValueError(f"the slice axis is I, J or K, not {axis!r}")
    if index < 0:
        raise ValueError(f"there is no slice {index}")


def _checked_path(path: Path, fewest: int) -> Path:
    """Thousandths of a voxel, without vertices that repeat the one before."""
    rounded = [_rounded(vertex) for vertex in path]
    distinct = [vertex for number, vertex in enumerate(rounded) if number == 0 or vertex != rounded[number - 1]]
    if len(set(distinct)) < fewest:
        raise ValueError(f"the stroke needs at least {fewest} different positions")
    if len(distinct) > MAX_VERTICES:
        raise ValueError(f"the stroke has {len(distinct)} vertices, more than {MAX_VERTICES}")
    return tuple((x, y) for x, y in distinct)


def _rounded(values: tuple[float, ...]) -> tuple[float, ...]:
    """Thousandths of a voxel; adding 0.0 turns -0.0 into 0.0."""
    return tuple(round(float(value), 3) + 0.0 for value in values)
