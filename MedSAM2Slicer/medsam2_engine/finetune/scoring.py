"""How good a model is on cases that it was not trained on: by the product's own session, one box, the true range.

The box is that of the structure's largest slice, grown by 5 %. Dice, and the normalised surface Dice of Nikolov et al.
(arXiv:1809.04430): the share of both surfaces that lies within a tolerance of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from medsam2_engine.backends.base import Backend
from medsam2_engine.finetune.cases import Structure, TrainingCase
from medsam2_engine.finetune.clips import SMALLEST_OBJECT
from medsam2_engine.finetune.geometry import slice_axes
from medsam2_engine.finetune.pieces import pieces
from medsam2_engine.session import Session
from medsam2_engine.slice_prompts import box_of_mask
from medsam2_protocol.prompts import BoxPrompt, SegmentPrompts, axis_kji

GROWN = 0.05
TOLERANCE_MM = 2.0

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Task:
    """One structure of one case: what is asked, and what is true."""

    case: TrainingCase
    structure: Structure
    truth_kji: Mask
    axis: str
    slices: tuple[int, int]
    box: BoxPrompt


@dataclass(frozen=True)
class Score:
    """`predicted_iou` is the model's own guess on the prompted slice, `prompted_dice` the Dice there."""

    case_id: str
    structure: str
    dice: float
    surface_dice: float
    prompted_dice: float
    predicted_iou: float


def tasks_of(cases: Sequence[TrainingCase], axes: str = "") -> Iterator[Task]:
    """Every structure whose largest piece can be prompted on its largest slice; structures of one name lie in a row."""
    for case in cases:
        if not case.has_image:
            continue
        allowed = slice_axes(case.volume.spacing_mm)
        axis = axes[:1] or ("K" if "K" in allowed else allowed[0])
        for structure in case.structures:
            task = _task(case, structure, axis)
            if task is not None:
                yield task


def score(task: Task, backend: Backend) -> tuple[Score, Mask]:
    """The figures, and the mask (K, J, I) they are of."""
    found = np.zeros(task.case.volume.shape_kji, bool)
    slices = np.moveaxis(found, axis_kji(task.axis), 0)
    guess = 0.0
    session = Session(task.case.volume, backend)
    for result in session.propagate([SegmentPrompts("target", (task.box,))], task.axis, task.slices):
        slices[result.slice] = result.mask
        guess = result.predicted_iou if result.slice == task.box.slice else guess
    truth = np.moveaxis(task.truth_kji, axis_kji(task.axis), 0)[task.box.slice]
    return (
        Score(
            task.case.id,
            task.structure.name,
            dice(found, task.truth_kji),
            surface_dice(found, task.truth_kji, task.case.volume.spacing_mm),
            dice(slices[task.box.slice], truth),
            guess,
        ),
        found,
    )


def dice(a: Mask, b: Mask) -> float:
    """2 |A and B| / (|A| + |B|); 1 for two empty masks."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def surface_dice(a: Mask, b: Mask, spacing_mm: tuple[float, float, float], tolerance_mm: float = TOLERANCE_MM) -> float:
    """Share of the surface voxels of both masks that lie within the tolerance of the other's; spacing along I, J, K."""
    if not a.any() or not b.any():
        return float(a.any() == b.any())
    both = np.argwhere(a | b)
    part = tuple(slice(max(0, low - 2), high + 3) for low, high in zip(both.min(0), both.max(0), strict=True))
    edges = [_edge(mask[part], spacing_mm) for mask in (a, b)]
    near = total = 0
    for own, other in (edges, edges[::-1]):
        distance = sitk.GetArrayFromImage(
            sitk.Abs(sitk.SignedMaurerDistanceMap(other, squaredDistance=False, useImageSpacing=True))
        )
        own_voxels = sitk.GetArrayFromImage(own) > 0
        near += int((distance[own_voxels] <= tolerance_mm).sum())
        total += int(own_voxels.sum())
    return near / total


def _edge(mask: Mask, spacing_mm: tuple[float, float, float]) -> Any:
    image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    image.SetSpacing(spacing_mm)
    return sitk.BinaryContour(image, fullyConnected=False)


def _task(case: TrainingCase, structure: Structure, axis: str) -> Task | None:
    numbered = pieces(case.mask(structure))
    truth = np.asarray(numbered == 1 + int(np.bincount(numbered.ravel())[1:].argmax()))
    slices = np.moveaxis(truth, axis_kji(axis), 0)
    areas = slices.sum(axis=(1, 2))
    index = int(areas.argmax())
    if areas[index] < SMALLEST_OBJECT:
        return None
    occupied = np.flatnonzero(areas)
    x0, y0, x1, y1 = box_of_mask(slices[index])
    dx, dy = GROWN * (x1 - x0 + 1), GROWN * (y1 - y0 + 1)
    box = BoxPrompt(axis, index, (x0 - dx, y0 - dy), (x1 + dx, y1 + dy))
    return Task(case, structure, truth, axis, (int(occupied[0]), int(occupied[-1])), box)
