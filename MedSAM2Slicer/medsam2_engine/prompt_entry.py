"""One prompt of a prompt file: a box, point, stroke or mask, checked against the volume and turned into voxels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medsam2_engine.errors import BadRequest, UnreadableVolume
from medsam2_engine.json_fields import choice_of, fields_of, flag_of, index_of, list_of, numbers_of, text_of
from medsam2_engine.volume import Volume, read_volume
from medsam2_protocol.masks import region_of_slice
from medsam2_protocol.prompts import (
    AXES,
    BoxPrompt,
    LassoPrompt,
    MaskPrompt,
    Pair,
    PointPrompt,
    Position,
    Prompt,
    ScribblePrompt,
    axis_ijk,
    axis_kji,
)
from medsam2_protocol.strokes import lasso_interior

COORDINATES = ("IJK", "RAS", "LPS")
SLICE_TOLERANCE = 0.5  # voxels that a box or stroke given in mm may lean out of its slice
GEOMETRY_TOLERANCE_MM = 0.01  # headers keep float32, so equal geometries differ in the last digits


@dataclass(frozen=True)
class PromptSpace:
    """What the numbers of a prompt file refer to: a volume, a frame (one of `COORDINATES`), and a folder for masks."""

    volume: Volume
    coordinates: str
    folder: Path

    @property
    def is_ijk(self) -> bool:
        return self.coordinates == "IJK"

    def to_ijk(self, position: tuple[float, ...]) -> Position:
        """IJK of a position given in the file's frame."""
        if self.is_ijk:
            i, j, k = position
            return i, j, k
        sign = np.array([-1.0, -1.0, 1.0, 1.0]) if self.coordinates == "LPS" else np.ones(4)
        i, j, k, _ = np.linalg.solve(self.volume.ijk_to_ras, sign * np.array([*position, 1.0]))
        return float(i), float(j), float(k)


def read_prompt(data: object, where: str, space: PromptSpace) -> Prompt:
    """The prompt that a JSON object describes.

    Raises:
        BadRequest: it is no prompt, or does not fit the volume; the sentence starts with `where`.
        UnreadableVolume: the file of a mask cannot be read.
    """
    kind = data.get("type") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in _READERS:
        known = ", ".join(_READERS)
        raise BadRequest(f'{where}: an object with "type" {known} was expected, not the type {kind!r}.')
    try:
        return _READERS[kind](data, f"{where} ({kind})", space)
    except ValueError as error:
        raise BadRequest(f"{where} ({kind}): {error}.") from error


def check_slice(axis: str, index: int, volume: Volume, where: str) -> None:
    count = volume.shape_kji[axis_kji(axis)]
    if not 0 <= index < count:
        raise BadRequest(
            f"{where}: there is no slice {index} on axis {axis}: the volume has {count} (0 to {count - 1})."
        )


def _point(data: object, where: str, space: PromptSpace) -> PointPrompt:
    entry = fields_of(data, where, ("type",), ("ijk", "position", "positive"))
    given = [key for key in ("ijk", "position") if key in entry]
    if len(given) != 1:
        raise BadRequest(f'{where}: give "position" or, in voxels, "ijk": one of them.')
    if given == ["ijk"] and not space.is_ijk:
        raise BadRequest(f'{where}: the file is in {space.coordinates}, so a point is a "position" in mm, not "ijk".')
    ijk = space.to_ijk(numbers_of(entry[given[0]], 3, f"{where}, {given[0]}"))
    positive = flag_of(entry.get("positive", True), f"{where}, positive")
    i, j, k = (_inside(value, axis, space.volume, where) for value, axis in zip(ijk, AXES, strict=True))
    return PointPrompt((i, j, k), positive)


def _box(data: object, where: str, space: PromptSpace) -> BoxPrompt:
    axis, index, low, high = _box_in_voxels(data, where, space) if space.is_ijk else _box_in_mm(data, where, space)
    check_slice(axis, index, space.volume, where)
    others = [name for name in AXES if name != axis]
    first, second = (_clipped(a, b, other, space.volume, where) for a, b, other in zip(low, high, others, strict=True))
    return BoxPrompt(axis, index, (first[0], second[0]), (first[1], second[1]))


BoxParts = tuple[str, int, tuple[float, ...], tuple[float, ...]]


def _box_in_voxels(data: object, where: str, space: PromptSpace) -> BoxParts:
    entry = fields_of(data, where, ("type", "axis", "slice", "min", "max"))
    low, high = (numbers_of(entry[key], 2, f"{where}, {key}") for key in ("min", "max"))
    return _axis(entry, where), index_of(entry["slice"], f"{where}, slice"), low, high


def _box_in_mm(data: object, where: str, space: PromptSpace) -> BoxParts:
    """Two opposite corners in mm. Which is lower along an IJK axis depends on the volume, so they are sorted."""
    entry = fields_of(data, where, ("type", "axis", "min", "max"))
    axis = _axis(entry, where)
    corners = np.array([space.to_ijk(numbers_of(entry[key], 3, f"{where}, {key}")) for key in ("min", "max")])
    along = corners[:, axis_ijk(axis)]
    if abs(along[0] - along[1]) > SLICE_TOLERANCE:
        raise BadRequest(
            f"{where}: its corners lie on the slices {along[0]:.1f} and {along[1]:.1f} of axis {axis}, so it is not "
            "parallel to the slices of this volume. Give two corners of the same slice."
        )
    inside = np.sort(np.delete(corners, axis_ijk(axis), axis=1), axis=0)
    return axis, math.floor(float(along.mean()) + 0.5), tuple(inside[0].tolist()), tuple(inside[1].tolist())


def _scribble(data: object, where: str, space: PromptSpace) -> ScribblePrompt:
    entry = _stroke_fields(data, where, space, ("positive",))
    axis, index, path = _stroke(entry, where, space)
    prompt = ScribblePrompt(axis, index, path, flag_of(entry.get("positive", True), f"{where}, positive"))
    columns, rows = _slice_size(axis, space.volume)
    if not any(-0.5 <= x < columns - 0.5 and -0.5 <= y < rows - 0.5 for x, y in path):
        raise BadRequest(f"{where} lies outside the volume, which has {columns} x {rows} voxels on axis {axis}.")
    return prompt


def _lasso(data: object, where: str, space: PromptSpace) -> LassoPrompt:
    prompt = LassoPrompt(*_stroke(_stroke_fields(data, where, space), where, space))
    columns, rows = _slice_size(prompt.axis, space.volume)
    if not lasso_interior(prompt.path, (rows, columns)).any():
        size = f"{columns} x {rows} on axis {prompt.axis}"
        raise BadRequest(f"{where} encloses no voxel of the volume, which has {size}.")
    return prompt


def _stroke_fields(data: object, where: str, space: PromptSpace, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = ("type", "axis", "slice", "path") if space.is_ijk else ("type", "axis", "path")
    return fields_of(data, where, required, optional)


def _stroke(entry: dict[str, Any], where: str, space: PromptSpace) -> tuple[str, int, tuple[Pair, ...]]:
    """Axis, slice and path in voxels; in mm the slice is the one that all vertices lie on."""
    axis = _axis(entry, where)
    vertices = [numbers_of(one, 2 if space.is_ijk else 3, f"{where}, path") for one in list_of(entry["path"], where)]
    if space.is_ijk:
        index = index_of(entry["slice"], f"{where}, slice")
        path = np.array(vertices)
    else:
        positions = np.array([space.to_ijk(vertex) for vertex in vertices])
        index = _common_slice(positions[:, axis_ijk(axis)], axis, where)
        path = np.delete(positions, axis_ijk(axis), axis=1)
    check_slice(axis, index, space.volume, where)
    return axis, index, tuple((float(x), float(y)) for x, y in path)


def _common_slice(along: npt.NDArray[Any], axis: str, where: str) -> int:
    if along.max() - along.min() > SLICE_TOLERANCE:
        raise BadRequest(
            f"{where}: it goes from slice {along.min():.1f} to {along.max():.1f} of axis {axis}, so it is not parallel "
            "to the slices of this volume. Give vertices of one slice."
        )
    return math.floor(float(along.mean()) + 0.5)


def _slice_size(axis: str, volume: Volume) -> tuple[int, int]:
    """Columns and rows of a slice."""
    rows, columns = np.delete(volume.shape_kji, axis_kji(axis))
    return int(columns), int(rows)


def _mask(data: object, where: str, space: PromptSpace) -> MaskPrompt:
    entry = fields_of(data, where, ("type", "axis", "slice", "file"))
    axis = _axis(entry, where)
    index = index_of(entry["slice"], f"{where}, slice")
    check_slice(axis, index, space.volume, where)
    path = space.folder / text_of(entry["file"], f"{where}, file")
    mask = _slice_of_file(path, axis, index, space.volume, where)
    if not mask.any():
        raise BadRequest(
            f"{where}: {path.name} has no voxel on slice {index} of axis {axis}. An empty mask says nothing."
        )
    return MaskPrompt(axis, index, region_of_slice(mask, axis_kji(axis), index))


def _slice_of_file(path: Path, axis: str, index: int, volume: Volume, where: str) -> npt.NDArray[np.bool_]:
    """The slice's mask, from an image of that slice alone or from one of the whole volume."""
    try:
        image = read_volume(path)
    except UnreadableVolume as error:
        raise UnreadableVolume(f"{where}: {error}") from error
    slice_shape = np.delete(volume.shape_kji, axis_kji(axis))
    if image.shape_kji[0] == 1 and np.array_equal(image.shape_kji[1:], slice_shape):
        return np.asarray(image.voxels_kji[0] != 0)
    _check_same_grid(image, volume, slice_shape, f"{where}: {path.name}")
    return np.asarray(np.take(image.voxels_kji, index, axis_kji(axis)) != 0)


def _check_same_grid(image: Volume, volume: Volume, slice_shape: npt.NDArray[Any], what: str) -> None:
    if image.shape_kji != volume.shape_kji:
        rows, columns = slice_shape
        raise BadRequest(
            f"{what} has {_size(image)} voxels. It must have those of the volume, {_size(volume)}, or be a picture of "
            f"the slice alone, {columns} x {rows}."
        )
    last = np.array([*volume.shape_kji[::-1], 1]) - 1
    corners = np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * np.maximum(last, [0, 0, 0, 1])
    distance = np.abs(corners @ (image.ijk_to_ras - volume.ijk_to_ras).T).max()
    if distance > GEOMETRY_TOLERANCE_MM:
        raise BadRequest(
            f"{what} lies {distance:.2f} mm away from the volume (another origin, direction or spacing). Resample it "
            "to the volume."
        )


def _size(volume: Volume) -> str:
    return " x ".join(str(count) for count in reversed(volume.shape_kji))


def _axis(entry: dict[str, Any], where: str) -> str:
    return choice_of(entry["axis"], AXES, f"{where}, axis")


def _clipped(low: float, high: float, axis: str, volume: Volume, where: str) -> tuple[float, float]:
    """An edge of a box without what lies beyond the border voxels; a box wholly beyond them is a mistake."""
    last = volume.shape_kji[axis_kji(axis)] - 1
    if low > last + 0.5 or high < -0.5:
        raise BadRequest(f"{where} lies outside the volume: {axis} is {low:g} to {high:g} and goes from 0 to {last}.")
    return min(max(low, 0.0), float(last)), min(max(high, 0.0), float(last))


def _inside(value: float, axis: str, volume: Volume, where: str) -> float:
    """A coordinate on the outer half of a border voxel is moved to its centre; further out it is a mistake."""
    last = volume.shape_kji[axis_kji(axis)] - 1
    if not -0.5 <= value <= last + 0.5:
        raise BadRequest(f"{where} lies outside the volume: {axis} is {value:g} and goes from 0 to {last}.")
    return min(max(value, 0.0), float(last))


_READERS: dict[str, Callable[[object, str, PromptSpace], Prompt]] = {
    "box": _box,
    "point": _point,
    "scribble": _scribble,
    "lasso": _lasso,
    "mask": _mask,
}
