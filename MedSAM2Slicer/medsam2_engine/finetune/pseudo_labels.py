"""Slices that nobody has looked at yet, labelled by the model itself, and believed as far as it believes itself.

A case may say which slices were reviewed: `"reviewed": {"axis": "K", "slices": [12, 20, 31]}` in its `meta.json`. What
is drawn there is true. Between and beside them the structure is propagated from the reviewed slices, and each mask
counts as much as the model's own guess of its overlap, times its certainty that the object is there. The weighting of
pseudo-labels by confidence follows Rizve et al., arXiv:2101.06329; the guess is only as good as its calibration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from medsam2_engine.backends.base import Backend
from medsam2_engine.finetune.cases import Reviewed, Structure, TrainingCase
from medsam2_engine.session import Session
from medsam2_protocol.masks import region_of_slice
from medsam2_protocol.prompts import MaskPrompt, SegmentPrompts, axis_kji

LEAST = 0.5  # confidence; below it a slice does not count at all
MOST_PROMPTS = 4  # reviewed slices that the others are made from, evenly spread


def with_pseudo_labels(case: TrainingCase, backend: Backend) -> TrainingCase:
    """A partly reviewed case with labels on all slices between the first and the last reviewed one of each structure,
    and `confidence_kji`; a case that is not partly reviewed stays as it is."""
    if case.reviewed is None:
        return case
    session = Session(case.volume, backend)
    layers: list[npt.NDArray[np.integer]] = []
    structures: list[Structure] = []
    certain = _only_on(case.reviewed, case.volume.shape_kji)
    for structure in case.structures:
        labels, believed = _propagated(session, case, structure, case.reviewed)
        structures.append(Structure(structure.name, len(layers), 1))
        layers.append(labels)
        certain = np.maximum(certain, believed)
    return replace(case, layers=tuple(layers), structures=tuple(structures), confidence_kji=certain, _areas={})


def confidence_of(predicted_iou: float, object_score: float) -> float:
    """0 to 1; 0 for what is less sure than `LEAST`."""
    found = max(0.0, min(1.0, predicted_iou)) / (1 + math.exp(-max(-60.0, min(60.0, object_score))))
    return found if found >= LEAST else 0.0


def _propagated(
    session: Session, case: TrainingCase, structure: Structure, reviewed: Reviewed
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Labels 0 and 1, and how far they are believed, both (K, J, I)."""
    axis = axis_kji(reviewed.axis)
    drawn = np.moveaxis(case.mask(structure), axis, 0)
    labels = np.zeros(case.volume.shape_kji, np.uint8)
    believed = np.zeros(case.volume.shape_kji, np.float32)
    on_slices, trust = np.moveaxis(labels, axis, 0), np.moveaxis(believed, axis, 0)
    seen = [index for index in reviewed.slices if drawn[index].any()]
    for index in reviewed.slices:
        on_slices[index] = drawn[index]
    if seen:
        masks = [MaskPrompt(reviewed.axis, i, region_of_slice(drawn[i], axis, i)) for i in _spread(seen)]
        prompts = SegmentPrompts("pseudo", tuple(masks))
        for result in session.propagate([prompts], reviewed.axis, (min(seen), max(seen))):
            if result.slice not in reviewed.slices:
                on_slices[result.slice] = result.mask
                trust[result.slice] = confidence_of(result.predicted_iou, result.object_score)
    return labels, believed


def _only_on(reviewed: Reviewed, shape_kji: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """1 on the reviewed slices, 0 elsewhere."""
    certain = np.zeros(shape_kji, np.float32)
    np.moveaxis(certain, axis_kji(reviewed.axis), 0)[list(reviewed.slices)] = 1
    return certain


def _spread(indices: Sequence[int]) -> list[int]:
    """At most `MOST_PROMPTS` of them, the first and the last among them."""
    count = min(MOST_PROMPTS, len(indices))
    return [indices[round(n * (len(indices) - 1) / max(1, count - 1))] for n in range(count)]
