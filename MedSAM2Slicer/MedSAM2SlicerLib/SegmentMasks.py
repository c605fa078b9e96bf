"""What a segment holds, on the voxels of a volume: every voxel of the volume has what the segment has at its centre.

The segment may lie on another lattice, shifted, turned, coarser or mirrored, under another transform, or be stored as a
surface, as contours of a treatment plan are. It is only read.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from medsam2_protocol.masks import region_of_slice
from medsam2_protocol.prompts import AXES, MaskPrompt, axis_kji
from MedSAM2SlicerLib.Geometry import NotALattice, ijkToRas, ijkToSegmentation

LABELMAP = "Binary labelmap"
ANISOTROPIC = 1.05


class NoMask(ValueError):
    """The segment gives no mask for the volume; the sentence says why and what to do."""


class SegmentOnVolume:
    """One segment as it is now. The box of voxels that it may lie in is sampled once."""

    def __init__(self, volumeNode, segmentationNode, segmentId: str) -> None:
        """
        Raises:
            NoMask: there is no such segment, none of it lies in the volume, or the two are bent differently.
        """
        if segmentationNode.GetScene() is None or segmentationNode.GetSegmentation().GetSegment(segmentId) is None:
            raise NoMask(_("That segment was deleted. Choose another one."))
        self.name = segmentationNode.GetSegmentation().GetSegment(segmentId).GetName()
        self._volumeNode = volumeNode
        try:
            lattice = _array(ijkToSegmentation(volumeNode, segmentationNode))
        except NotALattice:
            raise NoMask(
                _(
                    "{segmentation} and {volume} are under different non-linear transforms. Put both under the same."
                ).format(segmentation=segmentationNode.GetName(), volume=volumeNode.GetName())
            ) from None
        image = _labelmapOf(segmentationNode, segmentId, volumeNode)
        self._shape_kji = tuple(volumeNode.GetImageData().GetDimensions()[::-1])
        self._start_kji, self._mask_kji = _sampled(*image, lattice, self._shape_kji)
        if not self._mask_kji.any():
            raise NoMask(
                _("{segment} has no voxel in {volume}.").format(segment=self.name, volume=volumeNode.GetName())
            )

    def slices(self, axis: str) -> list[int]:
        """Those along an axis on which the segment has voxels."""
        along = axis_kji(axis)
        occupied = self._mask_kji.any(axis=tuple(other for other in range(3) if other != along))
        return [int(index) + self._start_kji[along] for index in np.flatnonzero(occupied)]

    def prompt(self, axis: str, index: int) -> MaskPrompt:
        """
        Raises:
            NoMask: the segment has no voxel on that slice.
        """
        if index not in self.slices(axis):
            text = _("{segment} has no voxel on slice {axis}{index}. Go to a slice where it has been painted.")
            raise NoMask(text.format(segment=self.name, axis=axis, index=index))
        along = axis_kji(axis)
        whole = np.zeros([size for n, size in enumerate(self._shape_kji) if n != along], bool)
        part = np.take(self._mask_kji, index - self._start_kji[along], axis=along)
        row, column = (start for n, start in enumerate(self._start_kji) if n != along)
        whole[row : row + part.shape[0], column : column + part.shape[1]] = part
        return MaskPrompt(axis, index, region_of_slice(whole, along, index))

    def paintedAxis(self) -> str:
        """The axis on whose slices it was painted: there are gaps between painted slices. Of a solid segment, the
        volume's own slice axis."""
        gapped = [axis for axis in AXES if _hasGaps(self.slices(axis))]
        return min(gapped, key=lambda axis: len(self.slices(axis))) if gapped else sliceAxisOf(self._volumeNode)


def sliceAxisOf(volumeNode) -> str:
    """The axis along which a volume was acquired: that of its largest spacing, K if there is none."""
    spacing_mm = np.linalg.norm(ijkToRas(volumeNode)[:3, :3], axis=0)
    largest = int(spacing_mm.argmax())
    return AXES[largest] if spacing_mm[largest] > ANISOTROPIC * np.median(spacing_mm) else "K"


def _hasGaps(indices: list[int]) -> bool:
    return len(indices) == 1 or indices[-1] - indices[0] >= len(indices)


def _sampled(
    voxels_kji: np.ndarray, extent_kji: np.ndarray, image_to_segmentation: np.ndarray, lattice: np.ndarray, shape_kji
) -> tuple[tuple[int, int, int], np.ndarray]:
    """First voxel (K, J, I) and mask of the part of a volume that an image may cover.

    extent_kji: indices of the image's first voxel. lattice: the volume's IJK in the segmentation's frame.
    """
    toImage = np.linalg.inv(image_to_segmentation) @ lattice
    first_ijk, last_ijk = _reach(toImage, voxels_kji.shape, extent_kji, shape_kji)
    if (first_ijk > last_ijk).any():
        return (0, 0, 0), np.zeros((0, 0, 0), bool)
    i, j, k = (np.arange(first, last + 1) for first, last in zip(first_ijk, last_ijk))
    mask_kji = np.zeros((len(k), len(j), len(i)), bool)
    for number, index in enumerate(k):
        at = [
            np.floor(row[0] * i[None, :] + row[1] * j[:, None] + row[2] * index + row[3] + 0.5).astype(np.int64)
            for row in toImage[:3]
        ]
        at_kji = [one - start for one, start in zip(at[::-1], extent_kji)]
        inside = np.logical_and.reduce([(one >= 0) & (one < size) for one, size in zip(at_kji, voxels_kji.shape)])
        mask_kji[number][inside] = voxels_kji[tuple(one[inside] for one in at_kji)]
    return (int(first_ijk[2]), int(first_ijk[1]), int(first_ijk[0])), mask_kji


def _reach(toImage: np.ndarray, size_kji, extent_kji, shape_kji) -> tuple[np.ndarray, np.ndarray]:
    """First and last voxel (IJK) of the volume whose centres may lie in the image."""
    low = np.array(extent_kji[::-1]) - 0.5
    high = low + np.array(size_kji[::-1])
    corners = np.array([[x, y, z, 1] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    corners_ijk = (np.linalg.inv(toImage) @ corners.T)[:3]
    first = np.maximum(np.floor(corners_ijk.min(axis=1)), 0).astype(int)
    last = np.minimum(np.ceil(corners_ijk.max(axis=1)), np.array(shape_kji[::-1]) - 1).astype(int)
    return first, last


def _labelmapOf(segmentationNode, segmentId: str, volumeNode) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxels (KJI, bool) around the segment, the indices of the first of them, and the image's matrix to the
    segmentation's frame."""
    segmentation = segmentationNode.GetSegmentation()
    if segmentation.GetSourceRepresentationName() != LABELMAP:
        segmentation = _converted(segmentationNode, segmentId, volumeNode)
    segment = segmentation.GetSegment(segmentId)
    image = segment.GetRepresentation(LABELMAP)
    if image is None or image.GetPointData().GetScalars() is None or image.GetNumberOfPoints() == 0:
        raise NoMask(_("{segment} is empty. Paint it first, or choose another one.").format(segment=segment.GetName()))
    i, j, k = image.GetDimensions()
    voxels_kji = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i) == segment.GetLabelValue()
    if not voxels_kji.any():
        raise NoMask(_("{segment} is empty. Paint it first, or choose another one.").format(segment=segment.GetName()))
    ends = [np.flatnonzero(voxels_kji.any(axis=tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in range(3)]
    box = voxels_kji[tuple(slice(first, last + 1) for first, last in ends)]
    start_kji = np.array([int(first) for first, _last in ends]) + np.array(image.GetExtent()[::2])[::-1]
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return box, start_kji, _array(matrix)


def _converted(segmentationNode, segmentId: str, volumeNode):
    """A copy of the segment as voxels of the volume; the user's segmentation stays as it is."""
    source = segmentationNode.GetSegmentation()
    copy = slicer.vtkSegmentation()
    copy.SetSourceRepresentationName(source.GetSourceRepresentationName())
    copy.CopySegmentFromSegmentation(source, segmentId)
    i, j, k = volumeNode.GetImageData().GetDimensions()
    geometry = slicer.vtkSegmentationConverter.SerializeImageGeometry(
        ijkToSegmentation(volumeNode, segmentationNode), [0, i - 1, 0, j - 1, 0, k - 1]
    )
    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    copy.SetConversionParameter(name, geometry)
    if not copy.CreateRepresentation(LABELMAP):
        text = _("{segment} cannot be turned into voxels. Convert it to a binary labelmap in Segmentations first.")
        raise NoMask(text.format(segment=source.GetSegment(segmentId).GetName()))
    return copy


def _array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])
