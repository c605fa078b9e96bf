"""What a segment holds, small enough to be kept: one bit a voxel of the box around it, compressed.

A lesion of 200 x 200 x 100 voxels takes some kilobytes. Lattice and voxels come back exactly as they were.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from MedSAM2SlicerLib.EmptyLabelmap import alignEmpty
from MedSAM2SlicerLib.Geometry import Rows, rows, vtkMatrix
from MedSAM2SlicerLib.SurfaceView import SurfaceView

LABELMAP = "Binary labelmap"
LATTICE_TOLERANCE_MM = 1e-6


@dataclass(frozen=True)
class PackedLabelmap:
    """`image_to_ras` is the lattice in the segmentation's own RAS; `bits` are C-ordered KJI over `extent`."""

    image_to_ras: Rows
    extent: tuple[int, int, int, int, int, int]
    bits: bytes

    @property
    def bytes(self) -> int:
        return len(self.bits)

    def isSame(self, other: PackedLabelmap) -> bool:
        """Whether both are the same voxels on the same lattice; nothing is nothing on any lattice."""
        if (self.extent, self.bits) != (other.extent, other.bits):
            return False
        return not self.bits or np.allclose(self.image_to_ras, other.image_to_ras, atol=LATTICE_TOLERANCE_MM, rtol=0)


def packSegment(segmentationNode, segmentId: str) -> PackedLabelmap:
    """The segment as it is now."""
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    image = segment.GetRepresentation(LABELMAP)
    return packImage(image, segment.GetLabelValue()) if image is not None else NOTHING


def packImage(image, labelValue: int) -> PackedLabelmap:
    """The voxels of this value."""
    if image.GetPointData().GetScalars() is None or image.GetNumberOfPoints() == 0:
        return NOTHING
    mask_kji = _voxels(image) == labelValue
    if not mask_kji.any():
        return NOTHING
    # Along the first axis at once, for the voxels lie that way in memory.
    flat_ji = mask_kji.any(axis=0)
    occupied = (mask_kji.any(axis=(1, 2)), flat_ji.any(axis=1), flat_ji.any(axis=0))
    ends = [np.flatnonzero(one)[[0, -1]] for one in occupied]
    box = mask_kji[tuple(slice(first, last + 1) for first, last in ends)]
    starts = image.GetExtent()[::2]
    extent = tuple(int(end) + starts[axis] for axis in range(3) for end in ends[2 - axis])
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    lattice = np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
    return PackedLabelmap(rows(lattice), extent, zlib.compress(np.packbits(box).tobytes(), 1))


def restoreSegment(segmentationNode, segmentId: str, packed: PackedLabelmap) -> None:
    """Make the segment exactly what was packed. Other segments, and a labelmap shared with them, stay as they are."""
    segmentation = segmentationNode.GetSegmentation()
    segmentation.SeparateSegmentLabelmap(segmentId)
    segment = segmentation.GetSegment(segmentId)
    segment.AddRepresentation(LABELMAP, unpacked(packed, segment.GetLabelValue()))
    alignEmpty(segmentation)
    segmentation.InvokeEvent(segmentation.SourceRepresentationModified, segmentId)
    segmentation.InvokeEvent(segmentation.RepresentationModified, segmentId)
    SurfaceView().refresh(segmentationNode)


def unpacked(packed: PackedLabelmap, labelValue: int):
    """An image for a segment with this label value."""
    image = slicer.vtkOrientedImageData()
    image.SetGeometryFromImageToWorldMatrix(vtkMatrix(np.array(packed.image_to_ras)))
    image.SetExtent(packed.extent)
    if packed.bits:
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        slicer.vtkOrientedImageDataResample.CastImageForValue(image, labelValue)
        voxels_kji = _voxels(image)
        bits = np.unpackbits(np.frombuffer(zlib.decompress(packed.bits), np.uint8), count=voxels_kji.size)
        voxels_kji[...] = bits.reshape(voxels_kji.shape).astype(voxels_kji.dtype) * labelValue
    return image


def _voxels(image) -> np.ndarray:
    """The image's memory as an array in KJI order, from the first voxel of its extent."""
    i, j, k = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i)


NOTHING = PackedLabelmap(rows(np.eye(4)), (0, -1, 0, -1, 0, -1), b"")
