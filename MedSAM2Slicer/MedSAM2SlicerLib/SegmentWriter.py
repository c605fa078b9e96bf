"""Masks of single slices into one segment of a segmentation node.

The rules:
* From `begin` on the segment has a labelmap of its own, and from the first `write` on it lies on the lattice of the
  volume. Other segments keep theirs, so nothing that is written can erase them, and overlaps stay. When the scene is
  saved, Slicer puts labelmaps into one; another module may resample them: so this is seen to before every `write`.
* What `mayWrite` does not allow is not written: slices that were edited or locked, and those that a run is not about.
* `write` makes one slice of the segment exactly the given region, and touches nothing else. It works inside the
  labelmap's memory and costs a millisecond or so.
* `end` lets Slicer crop the labelmap and refresh what is derived from it (closed surface), once.
* `revert` puts the segment back to the bit, as it was before the first `write`, unless somebody else has changed it
  since.
"""

from __future__ import annotations

import uuid
from typing import Callable, Optional

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from medsam2_protocol.masks import MaskRegion
from medsam2_protocol.prompts import axis_kji
from MedSAM2SlicerLib.EmptyLabelmap import alignEmpty, emptyLabelmap, isEmpty
from MedSAM2SlicerLib.Geometry import NotALattice, ijkToSegmentation
from MedSAM2SlicerLib.LesionTable import otherColors, otherNames
from MedSAM2SlicerLib.PackedLabelmap import packImage, packSegment
from MedSAM2SlicerLib.SegmentTerms import applyTermOfName
from MedSAM2SlicerLib.StructureNames import suggestions

LABELMAP = "Binary labelmap"
SMALLEST_GROWTH = 16
Extent = tuple[int, int, int, int, int, int]
EMPTY_EXTENT: Extent = (0, -1, 0, -1, 0, -1)
Fingerprint = tuple[object, int, int]


class CannotWrite(RuntimeError):
    """The segment cannot take masks of this volume; the sentence says why and what to do."""


class SegmentWriter:
    """One open change of one segment."""

    def __init__(self, volumeNode, segmentationNode, segmentId: str) -> None:
        self.volumeNode = volumeNode
        self.segmentationNode = segmentationNode
        self.segmentId = segmentId
        self._shape_ijk = tuple(volumeNode.GetImageData().GetDimensions())
        self.mayWrite: Callable[[str, int], bool] = lambda axis, index: True
        self._lattice: Optional[vtk.vtkMatrix4x4] = None
        self._before: Optional[slicer.vtkOrientedImageData] = None  # until something was written
        self._valueBefore = 1  # the segment's label value in it
        self._written: Fingerprint = (None, 0, 0)

    def begin(self) -> None:
        """
        Raises:
            CannotWrite: the segmentation is kept in another form, or under a transform that bends the voxel grid.
        """
        try:
            self._lattice = ijkToSegmentation(self.volumeNode, self.segmentationNode)
        except NotALattice:
            raise CannotWrite(
                _(
                    "{segmentation} and {volume} are under different non-linear transforms. Put both under the same."
                ).format(segmentation=self.segmentationNode.GetName(), volume=self.volumeNode.GetName())
            ) from None
        self._requireLabelmaps()
        self._segmentation().SeparateSegmentLabelmap(self.segmentId)
        self._before = None

    def write(self, axis: str, index: int, region: MaskRegion) -> bool:
        """Make slice `index` along `axis` exactly `region`. Returns False, and does nothing, if it may not."""
        if not self.mayWrite(axis, index):
            return False
        labelmap = self._roomFor(region)
        if not isEmpty(labelmap):
            self._paste(labelmap, axis_kji(axis), index, region)
            self._put(labelmap)
        return True

    def end(self) -> None:
        """The change is complete."""
        self._before = None
        if isEmpty(self._labelmap()):
            return
        labelmap = slicer.vtkOrientedImageData()
        labelmap.DeepCopy(self._labelmap())
        self._asOnes(labelmap)
        logic = slicer.modules.segmentations.logic()
        logic.SetBinaryLabelmapToSegment(labelmap, self.segmentationNode, self.segmentId, logic.MODE_REPLACE)
        alignEmpty(self._segmentation())

    def revert(self) -> bool:
        """Undo everything since `begin`. Returns False, doing nothing, if nothing or somebody else's was written."""
        before, self._before = self._before, None
        if before is None or not self.isPossible() or not self._isAsWritten():
            return False
        self._segmentation().SeparateSegmentLabelmap(self.segmentId)
        self._segment().SetLabelValue(self._valueBefore)
        self._put(before)
        return True

    def isTouched(self) -> bool:
        """Whether somebody else has put something in place of what was written last."""
        return self._before is not None and self._fingerprint() != self._written

    def isPossible(self) -> bool:
        """Whether segmentation and segment still are in the scene."""
        node = self.segmentationNode
        return node.GetScene() is not None and self._segmentation().GetSegment(self.segmentId) is not None

    def _segmentation(self):
        return self.segmentationNode.GetSegmentation()

    def _segment(self):
        return self._segmentation().GetSegment(self.segmentId)

    def _labelmap(self):
        return self._segment().GetRepresentation(LABELMAP)

    def _requireLabelmaps(self) -> None:
        if self._segmentation().GetSourceRepresentationName() != LABELMAP:
            raise CannotWrite(
                _("{segmentation} is stored as {form}, not as labelmap. Choose or create another segmentation.").format(
                    segmentation=self.segmentationNode.GetName(),
                    form=self._segmentation().GetSourceRepresentationName(),
                )
            )

    def _volumeExtent(self) -> Extent:
        i, j, k = self._shape_ijk
        return (0, i - 1, 0, j - 1, 0, k - 1)

    def _roomFor(self, region: MaskRegion):
        """The segment's labelmap, or one to take its place: on the volume's lattice, and large enough."""
        labelmap = self._ownLabelmap()
        if self._before is None:
            self._before, self._valueBefore = labelmap, self._segment().GetLabelValue()
            labelmap = _copyOn(self._lattice, labelmap, self._volumeExtent())
        elif not _isOn(self._lattice, labelmap):
            self._lattice = self._latticeNow()
            labelmap = _copyOn(self._lattice, labelmap, self._volumeExtent())
        if region.is_empty:
            return labelmap
        have, wanted = labelmap.GetExtent(), _boundsOf(region)
        if isEmpty(labelmap):
            room = _padded(labelmap, wanted)
            slicer.vtkOrientedImageDataResample.CastImageForValue(room, self._segment().GetLabelValue())
            return room
        if _contains(have, wanted):
            return labelmap
        # Room as well for what will come, on the sides where it has to grow.
        return _padded(labelmap, _union(have, _withMargins(wanted, have, self._volumeExtent())))

    def _ownLabelmap(self):
        if self._fingerprint() != self._written:
            self._segmentation().SeparateSegmentLabelmap(self.segmentId)
        return self._labelmap()

    def _latticeNow(self) -> vtk.vtkMatrix4x4:
        """A transform may have been hardened since `begin`."""
        try:
            return ijkToSegmentation(self.volumeNode, self.segmentationNode)
        except NotALattice:
            return self._lattice

    def _paste(self, labelmap, axis: int, index: int, region: MaskRegion) -> None:
        extent, voxels_kji = labelmap.GetExtent(), _voxels(labelmap)
        plane = list(self._volumeExtent())
        low = 2 * (2 - axis)
        plane[low : low + 2] = [index, index]
        inside = _intersection(extent, plane)
        if inside is not None:
            voxels_kji[_slices(inside, extent)] = 0
        if not region.is_empty:
            box = voxels_kji[_slices(_boundsOf(region), extent)]
            box[region.voxels()] = self._segment().GetLabelValue()

    def _asOnes(self, labelmap) -> None:
        """Slicer's logic takes a mask of ones and gives it the segment's own label value."""
        voxels_kji = _voxels(labelmap)
        voxels_kji[...] = voxels_kji == self._segment().GetLabelValue()

    def _put(self, labelmap) -> None:
        """Another image in place of the segment's: unlike a change of its size, this leaves derived forms alone."""
        if labelmap is not self._labelmap():
            self._segment().AddRepresentation(LABELMAP, labelmap)
        self._announce()

    def _announce(self) -> None:
        """What Slicer's own editing tells, so that views follow but a closed surface is not thrown away."""
        scalars = self._labelmap().GetPointData().GetScalars()
        if scalars is not None:
            scalars.Modified()
        segmentation = self._segmentation()
        segmentation.InvokeEvent(segmentation.SourceRepresentationModified, self.segmentId)
        segmentation.InvokeEvent(segmentation.RepresentationModified, self.segmentId)
        self._written = self._fingerprint()

    def _fingerprint(self) -> Fingerprint:
        return self._labelmap(), self._labelmap().GetMTime(), self._segment().GetLabelValue()

    def _isAsWritten(self) -> bool:
        """Whether the segment holds what was written last, be it on a labelmap that Slicer has put in place of ours."""
        ours, modified, value = self._written
        if self._fingerprint() == self._written:
            return True
        if ours in (None, self._labelmap()) or ours.GetMTime() != modified:
            return False
        matrix = vtk.vtkMatrix4x4()
        self._labelmap().GetImageToWorldMatrix(matrix)
        expected = packImage(_copyOn(matrix, ours, self._labelmap().GetExtent()), value)
        return expected.isSame(packSegment(self.segmentationNode, self.segmentId))


def addSegment(segmentationNode) -> str:
    """A new, empty segment with the first name that is free, its term and a colour; returns its id.

    It is on a labelmap of its own: Slicer would put it on a shared one. Its id was never another's: some versions of
    Slicer make ids of names, and a deleted segment may come back.
    """
    segment, segmentId = slicer.vtkSegment(), f"Segment_{uuid.uuid4().hex}"
    segment.SetName(suggestions(otherNames(segmentationNode))[0])
    segment.AddRepresentation(LABELMAP, emptyLabelmap(segmentationNode.GetSegmentation()))
    segmentationNode.GetSegmentation().AddSegment(segment, segmentId)
    applyTermOfName(segment, otherColors(segmentationNode, segmentId))
    return segmentId


def prepareSegmentation(segmentationNode, volumeNode) -> None:
    """Give an empty segmentation the volume's place and geometry; one that holds segments is left as it is."""
    if segmentationNode.GetSegmentation().GetNumberOfSegments() > 0:
        return
    segmentationNode.CreateDefaultDisplayNodes()
    segmentationNode.GetSegmentation().SetSourceRepresentationName(LABELMAP)
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    parent = volumeNode.GetParentTransformNode()
    segmentationNode.SetAndObserveTransformNodeID(parent.GetID() if parent is not None else None)


def _copyOn(lattice: vtk.vtkMatrix4x4, image, extent: Extent):
    """The image on another lattice, padded so that what lies outside the extent is kept."""
    result, reference = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    reference.SetGeometryFromImageToWorldMatrix(lattice)
    reference.SetExtent(extent)
    if isEmpty(image):
        result.SetGeometryFromImageToWorldMatrix(lattice)
        result.SetExtent(EMPTY_EXTENT)
    elif _isOn(lattice, image):
        result.DeepCopy(image)
    else:
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
            image, reference, result, False, True
        )
    return result


def _padded(image, extent: Extent):
    """The image with a larger extent, zero where it had nothing."""
    result = slicer.vtkOrientedImageData()
    result.CopyDirections(image)
    result.SetOrigin(image.GetOrigin())
    result.SetSpacing(image.GetSpacing())
    result.SetExtent(extent)
    result.AllocateScalars(vtk.VTK_UNSIGNED_CHAR if isEmpty(image) else image.GetScalarType(), 1)
    voxels_kji = _voxels(result)
    voxels_kji[...] = 0
    if not isEmpty(image):
        voxels_kji[_slices(image.GetExtent(), extent)] = _voxels(image)
    return result


def _isOn(lattice: vtk.vtkMatrix4x4, image) -> bool:
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return slicer.vtkOrientedImageDataResample.IsEqual(matrix, lattice)


def _voxels(image) -> np.ndarray:
    """The image's memory as an array in KJI order, from the first voxel of its extent."""
    i, j, k = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(k, j, i)


def _boundsOf(region: MaskRegion) -> Extent:
    k, j, i = region.start_kji
    k1, j1, i1 = region.stop_kji
    return (i, i1 - 1, j, j1 - 1, k, k1 - 1)


def _withMargins(wanted: Extent, have: Extent, limit: Extent) -> Extent:
    """`wanted` with room on the sides where it leaves `have`: half as much again as there is, within `limit`."""
    result = list(wanted)
    for low in (0, 2, 4):
        growth = max(SMALLEST_GROWTH, (have[low + 1] - have[low] + 1) // 2)
        if wanted[low] < have[low]:
            result[low] = max(limit[low], wanted[low] - growth)
        if wanted[low + 1] > have[low + 1]:
            result[low + 1] = min(limit[low + 1], wanted[low + 1] + growth)
    return tuple(result)


def _contains(outer, inner) -> bool:
    return all(outer[low] <= inner[low] and inner[low + 1] <= outer[low + 1] for low in (0, 2, 4))


def _union(one, other) -> Extent:
    return tuple(min(a, b) if side % 2 == 0 else max(a, b) for side, (a, b) in enumerate(zip(one, other)))


def _intersection(one, other) -> Optional[Extent]:
    common = tuple(max(a, b) if side % 2 == 0 else min(a, b) for side, (a, b) in enumerate(zip(one, other)))
    return common if all(common[low] <= common[low + 1] for low in (0, 2, 4)) else None


def _slices(part, whole) -> tuple[slice, slice, slice]:
    """Where `part` lies in the KJI array of `whole`."""
    return tuple(slice(part[low] - whole[low], part[low + 1] - whole[low] + 1) for low in (4, 2, 0))
