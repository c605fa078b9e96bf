"""The lesion list: one row for every segment, and what can be asked of it. The widget is the panel's.

The state of a lesion is a tag of its segment and so is saved with the scene. Volumes are counted from the labelmap and
remembered until it changes, so `rows` may be called as often as a panel likes to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

LABELMAP = "Binary labelmap"
STATE_TAG = "MedSAM2Slicer.State"
EMPTY, PROMPTED, PROPAGATED, EDITED, APPROVED = "empty", "prompted", "propagated", "edited", "approved"
STATES = (PROMPTED, PROPAGATED, EDITED, APPROVED)


@dataclass(frozen=True)
class Lesion:
    """A row. `volume_ml` is None if the segment has no labelmap."""

    segmentId: str
    name: str
    color: tuple[float, float, float]
    isVisible: bool
    volume_ml: Optional[float]
    state: str


class LesionTable:
    """Reads segmentation nodes; keeps counted volumes."""

    def __init__(self) -> None:
        self._counted: dict[tuple, tuple[tuple, float]] = {}  # (node id, segment id) → (stamp, ml)

    def rows(self, segmentationNode) -> tuple[Lesion, ...]:
        """All segments in the order of the segmentation."""
        if segmentationNode is None:
            return ()
        segmentation, display = segmentationNode.GetSegmentation(), segmentationNode.GetDisplayNode()
        rows = []
        for segmentId in segmentation.GetSegmentIDs():
            segment = segmentation.GetSegment(segmentId)
            isVisible = display is None or bool(display.GetSegmentVisibility(segmentId))
            volume_ml = self.volumeMl(segmentationNode, segmentId)
            state = stateOf(segment) if volume_ml else EMPTY
            rows.append(Lesion(segmentId, segment.GetName(), segment.GetColor(), isVisible, volume_ml, state))
        kept = {(segmentationNode.GetID(), row.segmentId) for row in rows}
        self._counted = {key: value for key, value in self._counted.items() if key in kept}
        return tuple(rows)

    def volumeMl(self, segmentationNode, segmentId: str) -> Optional[float]:
        """Millilitres in world, so under a scaling transform those of what the views show."""
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
        labelmap = segment.GetRepresentation(LABELMAP) if segment is not None else None
        if labelmap is None:
            return None
        scalars = labelmap.GetPointData().GetScalars()
        voxel_ml = math.prod(labelmap.GetSpacing()) * _scale(segmentationNode) / 1000.0
        label = segment.GetLabelValue()
        stamp = (labelmap, labelmap.GetMTime(), scalars.GetMTime() if scalars is not None else 0, voxel_ml, label)
        key = (segmentationNode.GetID(), segmentId)
        if self._counted.get(key, (None,))[0] != stamp:
            self._counted[key] = (stamp, _count(scalars, label) * voxel_ml)
        return self._counted[key][1]


def stateOf(segment) -> str:
    """What was last said of a segment; `PROMPTED` if nothing was."""
    state = vtk.reference("")
    return str(state) if segment.GetTag(STATE_TAG, state) and str(state) in STATES else PROMPTED


def setState(segmentationNode, segmentId: str, state: str) -> None:
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    if segment is not None and state in STATES and stateOf(segment) != state:
        segment.SetTag(STATE_TAG, state)


def stateTitle(state: str) -> str:
    return {
        EMPTY: _("empty"),
        PROMPTED: _("prompted"),
        PROPAGATED: _("propagated"),
        EDITED: _("edited by hand"),
        APPROVED: _("approved"),
    }[state]


def volumeText(volume_ml: Optional[float]) -> str:
    """Three digits that mean something: 0.042 ml, 4.21 ml, 42.1 ml, 421 ml."""
    if not volume_ml:
        return "–"
    decimals = 0 if volume_ml >= 100 else 1 if volume_ml >= 10 else 2 if volume_ml >= 1 else 3
    return _("{volume} ml").format(volume=f"{volume_ml:.{decimals}f}")


def neighbour(segmentationNode, segmentId: str, step: int) -> str:
    """The id of the next (1) or previous (-1) lesion, around the ends; "" if there is none."""
    ids = list(segmentationNode.GetSegmentation().GetSegmentIDs()) if segmentationNode is not None else []
    if not ids:
        return ""
    return ids[(ids.index(segmentId) + step) % len(ids)] if segmentId in ids else ids[0 if step > 0 else -1]


def otherNames(segmentationNode, segmentId: str = "") -> list[str]:
    """Names of all segments but one: what a new name is checked against."""
    segmentation = segmentationNode.GetSegmentation()
    return [segmentation.GetSegment(other).GetName() for other in segmentation.GetSegmentIDs() if other != segmentId]


def otherColors(segmentationNode, segmentId: str = "") -> list[tuple[float, float, float]]:
    segmentation = segmentationNode.GetSegmentation()
    return [segmentation.GetSegment(other).GetColor() for other in segmentation.GetSegmentIDs() if other != segmentId]


def _count(scalars, label: int) -> int:
    return int(np.count_nonzero(vtk_to_numpy(scalars) == label)) if scalars is not None else 0


def _scale(segmentationNode) -> float:
    """How much larger volumes are in world than in the segmentation's own frame; 1 under a non-linear transform."""
    matrix, parent = vtk.vtkMatrix4x4(), segmentationNode.GetParentTransformNode()
    if parent is None or not parent.IsTransformToWorldLinear():
        return 1.0
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(parent, None, matrix)
    return abs(matrix.Determinant())
