"""What the slice strip shows of each slice: its area, state, confidence, and whether it should be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np

from medsam2_protocol.confidence import SliceEvidence, confidences, doubtful
from medsam2_protocol.prompts import axis_kji
from MedSAM2SlicerLib.Corrections import waiting
from MedSAM2SlicerLib.SegmentSlices import SegmentSlices
from MedSAM2SlicerLib.SliceStates import NOTHING, PROVISIONAL, SliceStates

MARGIN = 0.1
SMALLEST_MARGIN = 3
CERTAIN = 10.0  # object score of a mask that a person answered for
Places = dict[int, tuple[int, tuple[float, float]]]  # slice → voxels, mean row and column


@dataclass(frozen=True)
class StripCell:
    """One slice. `area` is in voxels; `confidence` is None where there is nothing to be sure of."""

    index: int
    state: str
    area: int
    confidence: Optional[float]
    isDoubtful: bool = False
    isWaiting: bool = False


def placesOf(masks: SegmentSlices, axis: str) -> Places:
    """Area and centroid of every slice that holds something."""
    along = axis_kji(axis)
    planes = np.moveaxis(masks.voxels, along, 0)
    rows, columns = planes.sum(axis=2, dtype=np.int64), planes.sum(axis=1, dtype=np.int64)
    row0, column0 = np.delete(masks.start, along)
    areas = rows.sum(axis=1)
    return {
        int(n) + masks.start[along]: (
            int(areas[n]),
            (
                float(row0 + rows[n] @ np.arange(rows.shape[1]) / areas[n]),
                float(column0 + columns[n] @ np.arange(columns.shape[1]) / areas[n]),
            ),
        )
        for n in np.flatnonzero(areas)
    }


def cellsOf(states: SliceStates, prompted: Mapping[int, int], places: Places, count: int) -> tuple[StripCell, ...]:
    """The slices around all that is known, in rising order; none as long as nothing is. `count`: of the volume."""
    known = {*places, *states.propagated, *states.kept, *prompted}
    known = {index for index in known if 0 <= index < count}
    if not known:
        return ()
    first, last = min(known), max(known)
    margin = max(SMALLEST_MARGIN, round(MARGIN * (last - first + 1)))
    evidence = [_evidence(states, places, index) for index in range(first, last + 1)]
    trusted = {index for index in {*states.kept, *states.answered} if first <= index <= last}
    sure = dict(zip(range(first, last + 1), confidences(evidence, trusted)))
    doubts = set(doubtful(evidence, trusted)) if states.isPropagated else set()
    waits = waiting(states, prompted) if states.isPropagated else frozenset()
    return tuple(
        StripCell(
            index,
            states.of(index, prompted),
            places[index][0] if index in places else 0,
            sure.get(index)
            if states.of(index, prompted) not in (NOTHING, PROVISIONAL) and index not in waits
            else None,
            index in doubts or index in states.provisional,
            index in waits,
        )
        for index in range(max(0, first - margin), min(count, last + margin + 1))
    )


def _evidence(states: SliceStates, places: Places, index: int) -> SliceEvidence:
    area, centroid = places.get(index, (0, None))
    unknown = (CERTAIN if area else -CERTAIN, 1.0, None)
    score, iou, agreement = states.evidence.get(index, unknown) if index not in states.kept else unknown
    return SliceEvidence(index, score, iou, agreement, area, centroid)
