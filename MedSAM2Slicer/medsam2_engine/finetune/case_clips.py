"""Clips of a case: a structure, an axis, a slice to prompt, and the slices that follow it in one direction.

Two fifths of the clips begin within three slices of the object's end, so that ends are seen as often as bodies; of the
others, half begin on a small slice and lead to the largest, so that objects are seen to grow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medsam2_engine.finetune.body_sides import right_of_left
from medsam2_engine.finetune.cases import Structure, TrainingCase
from medsam2_engine.finetune.clips import SMALLEST_OBJECT, Clip
from medsam2_engine.finetune.geometry import (
    REGION_OVER_OBJECT,
    THIN_MM,
    TURNED_SHARE,
    Region,
    plain_region,
    slice_axes,
    turned_region,
)
from medsam2_engine.finetune.painting import painted
from medsam2_engine.finetune.pieces import with_largest_on_first
from medsam2_engine.slice_prompts import box_of_mask
from medsam2_protocol.prompts import axis_ijk, axis_kji

NEAR_END_SHARE, GROWING_SHARE, PIECE_SHARE, PADDED_SHARE = 0.4, 0.5, 0.9, 0.5
BODY = 0.4  # of the largest area: a slice that a person would prompt
SMALL = 0.75  # of the largest area: a slice from which an object grows
END = 0.05  # of the largest area: less is not followed to
MODEL_FRAME = 128  # pixels of the crop that blur and noise of painted images are meant for

_Way = tuple[Structure, str, npt.NDArray[np.int64] | None]  # an axis, and slices on it, None where none will do


@dataclass(frozen=True)
class ClipOptions:
    """How clips are cut.

    Attributes:
        length: slices of a clip.
        axes: letters of IJK that are allowed; "" leaves it to each volume.
        is_whole: keep whole slices, for models that look at whole slices.
        paint_share: part of the clips of real volumes whose image is painted over.
        near_end: part of the clips that begin within three slices of the object's end.
        growing: part of the others that begin on a small slice and go to where the object is largest.
        tissues: part of the painted images whose labels are made of a few tissues.
        to_partner: take only structures of a left and right pair, follow them to where the other one comes, and paint
            both sides alike.
    """

    length: int
    axes: str = ""
    is_whole: bool = False
    paint_share: float = 0.0
    near_end: float = NEAR_END_SHARE
    growing: float = GROWING_SHARE
    tissues: float = 0.0
    to_partner: bool = False


def clip_of_case(rng: np.random.Generator, case: TrainingCase, options: ClipOptions) -> Clip | None:
    """A random clip; None where the dice fell on nothing usable, and should be thrown again."""
    pairs = right_of_left(case.structures) if options.to_partner else {}
    way = _towards_partner(rng, case, pairs, options.length) if options.to_partner else _any_way(rng, case, options)
    structure, axis, indices = way
    if indices is None:
        return None
    masks = np.asarray(_on_slices(case.layers[structure.layer], axis, indices) == structure.label)
    if masks[0].sum() < SMALLEST_OBJECT:
        return None
    if rng.random() < PIECE_SHARE:
        masks = with_largest_on_first(masks)
    spacing_xy = _spacing_xy(case, axis)
    region = _region(rng, masks[0], spacing_xy, options)
    cut = np.asarray(region.cut(masks.astype(np.float32), 0.0), dtype=np.float32) > 0.5
    if cut[0].sum() < SMALLEST_OBJECT:
        return None
    if not case.has_image or rng.random() < options.paint_share:
        labels = _on_slices(case.layers[structure.layer], axis, indices)
        images = _painted(rng, structure, region, labels, cut, pairs, options.tissues)
        kind, modality = "painted", ""
    else:
        voxels = _on_slices(case.volume.voxels_kji, axis, indices)
        fill = case.darkest if rng.random() < PADDED_SHARE else float(voxels.min())
        images = np.nan_to_num(np.asarray(region.cut(voxels, fill), dtype=np.float32))
        kind, modality = "real", case.volume.modality
    confidence = _confidence(case, axis, indices, masks)
    return Clip(images, cut, region.spacing_xy, modality, kind, confidence)


def _any_way(rng: np.random.Generator, case: TrainingCase, options: ClipOptions) -> _Way:
    structure = case.structures[rng.integers(len(case.structures))]
    allowed = [axis for axis in slice_axes(case.volume.spacing_mm) if axis in (options.axes or "IJK")]
    axis = str(rng.choice(allowed or list(options.axes)))
    return structure, axis, _slices(rng, case, structure, axis, options)


def _slices(
    rng: np.random.Generator, case: TrainingCase, structure: Structure, axis: str, options: ClipOptions
) -> npt.NDArray[np.int64] | None:
    """The prompted slice and those after it in one direction; the volume's last slice repeats beyond its end."""
    areas = case.areas(structure, axis)
    seen = _seen(areas)
    if len(seen) < 2:
        return None
    step = int(rng.choice([-1, 1]))
    if case.volume.spacing_mm[axis_ijk(axis)] <= THIN_MM:
        step *= int(rng.choice([1, 1, 1, 2, 3]))
    body = seen[areas[seen] >= BODY * areas.max()]
    start = int(rng.choice(body if rng.random() < 0.8 else seen))
    if rng.random() < options.near_end:
        end = int(seen.max() if step > 0 else seen.min()) - step * int(rng.integers(0, 4))
        end = min(max(end, int(seen.min())), int(seen.max()))
        start = end if areas[end] >= 0.15 * areas.max() else start
    elif options.growing and rng.random() < options.growing:  # without it no number is drawn, and old clips stay equal
        before = seen[(int(areas.argmax()) - seen) * step > 0]
        small = before[areas[before] <= SMALL * areas.max()]
        start = int(rng.choice(small)) if len(small) else start
    return _onwards(start, step, options.length, len(areas))


def _towards_partner(
    rng: np.random.Generator, case: TrainingCase, pairs: Mapping[Structure, Structure], length: int
) -> _Way:
    """A structure, the axis on which its partner lies, and slices that begin before the end that is turned to it."""
    both = [*pairs.items(), *((right, left) for left, right in pairs.items())]
    roots = np.sqrt([case.areas(structure, "K").sum() for structure, _ in both])
    structure, partner = both[int(rng.choice(len(both), p=roots / roots.sum()))]
    away = {axis: (_middle(case, partner, axis) - _middle(case, structure, axis)) for axis in "IJK"}
    axis = max("IJK", key=lambda letter: abs(away[letter]) * case.volume.spacing_mm[axis_ijk(letter)])
    step = (1 if away[axis] > 0 else -1) * int(rng.choice([1, 1, 2, 3]))
    areas = case.areas(structure, axis)
    seen = _seen(areas)
    if len(seen) < 2:
        return structure, axis, None
    end = int(seen.max() if step > 0 else seen.min())
    start = end - step * int(rng.integers(0, length - 1))
    start = min(max(start, int(seen.min())), int(seen.max()))
    return structure, axis, _onwards(start, step, length, len(areas))


def _seen(areas: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """The slices that a clip may begin on and be followed to."""
    return np.flatnonzero(areas >= max(SMALLEST_OBJECT, END * areas.max()))


def _middle(case: TrainingCase, structure: Structure, axis: str) -> float:
    areas = case.areas(structure, axis)
    return float(np.average(np.arange(len(areas)), weights=areas))


def _onwards(start: int, step: int, length: int, count: int) -> npt.NDArray[np.int64]:
    indices = start + step * np.arange(length)
    inside = indices[(indices >= 0) & (indices < count)]
    return np.pad(inside, (0, length - len(inside)), mode="edge")


def _region(
    rng: np.random.Generator, mask: npt.NDArray[np.bool_], spacing_xy: tuple[float, float], options: ClipOptions
) -> Region:
    rows, columns = mask.shape
    if options.is_whole:
        return Region(((rows - 1) / 2, (columns - 1) / 2), np.eye(2), (rows, columns), spacing_xy, True)
    x0, y0, x1, y1 = (int(edge) for edge in box_of_mask(mask))
    box = (y0, y1, x0, x1)
    if rng.random() < TURNED_SHARE:
        return turned_region(rng, box, spacing_xy)
    return plain_region(box, (rows, columns), spacing_xy)


def _painted(
    rng: np.random.Generator,
    structure: Structure,
    region: Region,
    labels: npt.NDArray[np.generic],
    target: npt.NDArray[np.bool_],
    pairs: Mapping[Structure, Structure],
    tissues: float,
) -> npt.NDArray[np.float32]:
    """Both structures of a pair look alike; the object's partner is its twin."""
    around = np.rint(np.asarray(region.cut(labels, 0.0, "nearest"))).astype(np.int64)
    around[(around == structure.label) & ~target] = 0
    twins = np.zeros_like(target)
    for left, right in pairs.items():
        if structure in (left, right):
            twins = around == (right if structure == left else left).label
        elif left.layer == structure.layer:
            around[around == right.label] = left.label
    pixel = MODEL_FRAME / (max(region.shape) * 2.5 / REGION_OVER_OBJECT)
    return painted(rng, around, target, pixel, twins if twins.any() else None, tissues)


def _on_slices(
    voxels_kji: npt.NDArray[np.generic], axis: str, indices: npt.NDArray[np.int64]
) -> npt.NDArray[np.generic]:
    """(T, rows, columns) of the slices, as `SliceStack` sees them."""
    return np.moveaxis(np.take(voxels_kji, indices, axis=axis_kji(axis)), axis_kji(axis), 0)


def _spacing_xy(case: TrainingCase, axis: str) -> tuple[float, float]:
    x, y = (case.volume.spacing_mm[n] for n in range(3) if n != axis_ijk(axis))
    return x, y


def _confidence(
    case: TrainingCase, axis: str, indices: npt.NDArray[np.int64], masks: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32] | None:
    """Mean confidence over the object of each slice, or over the slice where there is none."""
    if case.confidence_kji is None:
        return None
    slices = np.asarray(_on_slices(case.confidence_kji, axis, indices), dtype=np.float32)
    weights = [float(s[m].mean()) if m.any() else float(s.mean()) for s, m in zip(slices, masks, strict=True)]
    return np.array(weights, dtype=np.float32)
