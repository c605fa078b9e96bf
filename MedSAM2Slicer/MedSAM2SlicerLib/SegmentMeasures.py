"""Measures of segments of the scene, in world millimetres, remembered until the segment or its place changes."""

from __future__ import annotations

from typing import Optional

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MedSAM2SlicerLib.Measures import Measures, measure

LABELMAP = "Binary labelmap"


class SegmentMeasures:
    """May be asked as often as a panel likes to."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[tuple, Optional[Measures]]] = {}

    def of(self, segmentationNode, segmentId: str) -> Optional[Measures]:
        """None if the segment is not there or empty."""
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId) if segmentationNode is not None else None
        labelmap = segment.GetRepresentation(LABELMAP) if segment is not None else None
        scalars = labelmap.GetPointData().GetScalars() if labelmap is not None else None
        if scalars is None or labelmap.GetNumberOfPoints() == 0:
            return None
        ijk_to_world = _ijkToWorld(segmentationNode, labelmap)
        label = segment.GetLabelValue()
        stamp = (labelmap, labelmap.GetMTime(), scalars.GetMTime(), label, ijk_to_world.tobytes())
        key = (segmentationNode.GetID(), segmentId)
        if self._known.get(key, (None,))[0] != stamp:
            i, j, k = labelmap.GetDimensions()
            mask_kji = vtk_to_numpy(scalars).reshape(k, j, i) == label
            self._known[key] = (stamp, measure(mask_kji, labelmap.GetExtent()[::2], ijk_to_world))
        return self._known[key][1]

    def forget(self) -> None:
        self._known = {}


def _ijkToWorld(segmentationNode, labelmap) -> np.ndarray:
    """With the parent transform if it is linear; without it, a bent one has no diameters in its slices."""
    image, parent = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(image)
    node = segmentationNode.GetParentTransformNode()
    if node is not None and node.IsTransformToWorldLinear():
        slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(node, None, parent)
    vtk.vtkMatrix4x4.Multiply4x4(parent, image, image)
    return np.array([[image.GetElement(row, column) for column in range(4)] for row in range(4)])
