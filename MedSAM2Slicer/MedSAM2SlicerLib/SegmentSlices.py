"""What a segment holds on the voxels of a volume: a copy of the box around it, its slices, and what they are known by.

A labelmap on another lattice (the Segment Editor has a geometry of its own if the user wants one) is brought to the
volume's voxels by nearest neighbour. Voxels outside the volume are not seen: no model sees them either.
"""

from __future__ import annotations

import zlib

import numpy as np
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from medsam2_protocol.masks import MaskRegion, packed_bits, region_of_mask, tight_box
from medsam2_protocol.prompts import axis_kji
from MedSAM2SlicerLib.Geometry import NotALattice, ijkToRas, ijkToSegmentation

LABELMAP = "Binary labelmap"
Start = tuple[int, int, int]


class SegmentSlices:
    """The segment as it is now. `start` is the first voxel of the box around it, `voxels` the box: KJI, bool."""

    def __init__(self, volumeNode, segmentationNode, segmentId: str) -> None:
        self.start, self.voxels = readBox(volumeNode, segmentationNode, segmentId)

    def slices(self, axis: str) -> tuple[int, ...]:
        """Indices along "I", "J" or "K" of all slices with at least one voxel, in rising order."""
        along = axis_kji(axis)
        others = tuple(other for other in range(3) if other != along)
        return tuple(int(index) + self.start[along] for index in np.flatnonzero(self.voxels.any(axis=others)))

    def region(self, axis: str, index: int) -> MaskRegion:
        """One slice exactly as it is; empty where there is nothing."""
        start, voxels = self._slice(axis, index)
        return region_of_mask(voxels, start)

    def marks(self, axis: str) -> dict[int, int]:
        """A number for every slice that holds something, by which another content is recognised."""
        return {index: _mark(*self._slice(axis, index)) for index in self.slices(axis)}

    def _slice(self, axis: str, index: int) -> tuple[Start, np.ndarray]:
        """Its first voxel, and its voxels within the box, which are none beyond it; not copied."""
        along = axis_kji(axis)
        offset, start, place = index - self.start[along], list(self.start), [slice(None)] * 3
        start[along] = index
        place[along] = slice(offset, offset + 1) if offset >= 0 else slice(0, 0)
        return tuple(start), self.voxels[tuple(place)]


def readBox(volumeNode, segmentationNode, segmentId: str) -> tuple[Start, np.ndarray]:
    """The first voxel of the box around the segment, and the box; without voxels, shape (0, 0, 0)."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    labelmap = segment.GetRepresentation(LABELMAP) if segment is not None else None
    if labelmap is None or labelmap.GetPointData().GetScalars() is None or labelmap.IsEmpty():
        return (0, 0, 0), np.zeros((0, 0, 0), bool)
    onVolume = _onLattice(labelmap, volumeNode, segmentationNode)
    return _cropped(onVolume, segment.GetLabelValue(), volumeNode.GetImageData().GetDimensions())


def stampOf(segmentationNode, segmentId: str) -> tuple:
    """Changes whenever the labelmap does, and now and then without a reason."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    labelmap = segment.GetRepresentation(LABELMAP) if segment is not None else None
    scalars = labelmap.GetPointData().GetScalars() if labelmap is not None else None
    stamps = tuple(part.GetMTime() if part is not None else 0 for part in (labelmap, scalars))
    return labelmap, *stamps


def latticeOf(volumeNode) -> int:
    """A number by which the voxel lattice of a volume is recognised, wherever its parent transform puts it."""
    rows = np.round(ijkToRas(volumeNode), 4) + 0.0
    return zlib.crc32(f"{rows.tolist()}{tuple(volumeNode.GetImageData().GetDimensions())}".encode("ascii"))


def markOf(region: MaskRegion) -> int:
    """Of a region that holds something, as it would be in a segment."""
    return _mark(region.start_kji, region.voxels())


def _mark(start: Start, voxels: np.ndarray) -> int:
    """Of a slice that holds something."""
    box = tight_box(voxels)
    first = tuple(part.start + offset for part, offset in zip(box, start))
    return zlib.crc32(f"{first}{voxels[box].shape}{packed_bits(voxels[box])}".encode("ascii"))


def _onLattice(labelmap, volumeNode, segmentationNode):
    try:
        lattice = ijkToSegmentation(volumeNode, segmentationNode)
    except NotALattice:
        return labelmap
    reference = slicer.vtkOrientedImageData()
    reference.SetGeometryFromImageToWorldMatrix(lattice)
    i, j, k = volumeNode.GetImageData().GetDimensions()
    reference.SetExtent(0, i - 1, 0, j - 1, 0, k - 1)
    if slicer.vtkOrientedImageDataResample.DoGeometriesMatch(labelmap, reference):
        return labelmap
    resampled = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        labelmap, reference, resampled, False, False
    )
    return resampled


def _cropped(labelmap, labelValue: int, shape_ijk) -> tuple[Start, np.ndarray]:
    i, j, k = labelmap.GetDimensions()
    voxels = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(k, j, i) == labelValue
    extent = labelmap.GetExtent()
    first, inside = [], []
    for low, size in zip((4, 2, 0), reversed(shape_ijk)):
        start, stop = max(extent[low], 0), min(extent[low + 1] + 1, size)
        first.append(start)
        inside.append(slice(start - extent[low], max(start, stop) - extent[low]))
    return _tight(tuple(first), voxels[tuple(inside)])


def _tight(start: Start, voxels: np.ndarray) -> tuple[Start, np.ndarray]:
    """Only the box around what is set."""
    box = tight_box(voxels)
    if box is None:
        return (0, 0, 0), np.zeros((0, 0, 0), bool)
    return tuple(begin + part.start for begin, part in zip(start, box)), voxels[box].copy()
