"""Labelmaps without a voxel lie on the lattice of the others.

Whenever a segmentation is saved, Slicer puts the labelmaps that do not overlap into one, on the lattice of the first
segment. It asks nobody whether that segment holds anything: were an empty one on a lattice of its own, all others would
be resampled to it, in the file and in the scene.
"""

from __future__ import annotations

import slicer
import vtk

LABELMAP = "Binary labelmap"


def isEmpty(image) -> bool:
    extent = image.GetExtent()
    return any(extent[low] > extent[low + 1] for low in (0, 2, 4)) or image.GetPointData().GetScalars() is None


def emptyLabelmap(segmentation):
    """A labelmap for a segment of this segmentation that holds nothing."""
    image = slicer.vtkOrientedImageData()
    image.SetGeometryFromImageToWorldMatrix(_lattice(segmentation))
    image.SetExtent(0, -1, 0, -1, 0, -1)
    return image


def alignEmpty(segmentation) -> None:
    """Bring the empty labelmaps to the lattice of the first that is not."""
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        image = segment.GetRepresentation(LABELMAP)
        if image is not None and isEmpty(image):
            aligned = emptyLabelmap(segmentation)
            if not slicer.vtkOrientedImageDataResample.DoGeometriesMatch(image, aligned):
                segment.AddRepresentation(LABELMAP, aligned)


def _lattice(segmentation) -> vtk.vtkMatrix4x4:
    """That of the first segment that holds something; if there is none, that of the volume it was made for."""
    matrix, image = vtk.vtkMatrix4x4(), slicer.vtkOrientedImageData()
    for segmentId in segmentation.GetSegmentIDs():
        labelmap = segmentation.GetSegment(segmentId).GetRepresentation(LABELMAP)
        if labelmap is not None and not isEmpty(labelmap):
            labelmap.GetImageToWorldMatrix(matrix)
            return matrix
    converter = slicer.vtkSegmentationConverter
    geometry = segmentation.GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    if geometry:
        converter.DeserializeImageGeometry(geometry, image, False)
    image.GetImageToWorldMatrix(matrix)
    return matrix
