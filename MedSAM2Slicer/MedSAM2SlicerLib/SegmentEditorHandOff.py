"""One segment to Slicer's Segment Editor and back: opened there, and on return the slices that were changed by hand.

The comparison is exact to the voxel, on the volume's own lattice. Only the box around the segment is kept and looked
at, so a snapshot costs milliseconds. Voxels that were drawn outside the volume are not seen: no model sees them either.
"""

from __future__ import annotations

from typing import Optional

import numpy as np
import slicer
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from medsam2_protocol.prompts import axis_kji
from MedSAM2SlicerLib.Geometry import NotALattice, ijkToSegmentation

LABELMAP = "Binary labelmap"
EDITOR_TAG = "SegmentEditor"
Start = tuple[int, int, int]


class CannotHandOff(RuntimeError):
    """The Segment Editor cannot be opened; the sentence says why and what to do."""


def openSegmentEditor(volumeNode, segmentationNode, segmentId: str) -> None:
    """Go to the Segment Editor, with this segment selected over this volume.

    Raises:
        CannotHandOff: there is no Segment Editor, or no such segment; nothing was changed.
    """
    if not isSegmentEditorThere():
        raise CannotHandOff(_("This Slicer has no Segment Editor module."))
    if segmentationNode is None or segmentationNode.GetSegmentation().GetSegment(segmentId) is None:
        raise CannotHandOff(_("There is no segment to edit. Add one, or choose one from the list."))
    prepareEditorNode(volumeNode, segmentationNode, segmentId)
    slicer.util.selectModule("SegmentEditor")


def isSegmentEditorThere() -> bool:
    return hasattr(slicer.modules, "segmenteditor")


def prepareEditorNode(volumeNode, segmentationNode, segmentId: str):
    """The node that the Segment Editor reads its choices from; returns it.

    A new one lets segments overlap, so that painting in one lesion does not cut its neighbours. What the user has
    chosen in an existing one stays.
    """
    scene = segmentationNode.GetScene()
    node = scene.GetSingletonNode(EDITOR_TAG, "vtkMRMLSegmentEditorNode")
    if node is None:
        node = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        node.UnRegister(None)
        node.SetSingletonTag(EDITOR_TAG)
        node.SetOverwriteMode(node.OverwriteNone)
        node = scene.AddNode(node)
    node.SetAndObserveSegmentationNode(segmentationNode)
    node.SetAndObserveSourceVolumeNode(volumeNode)
    node.SetSelectedSegmentID(segmentId)
    return node


class SegmentSnapshot:
    """The segment on the volume's voxels as it is now, to compare with later."""

    def __init__(self, volumeNode, segmentationNode, segmentId: str) -> None:
        self.volumeNode = volumeNode
        self.segmentationNode = segmentationNode
        self.segmentId = segmentId
        self._stamp = self._stampNow()
        self._start, self._voxels = self._read()

    def changedSlices(self, axis: str) -> tuple[int, ...]:
        """Indices along "I", "J" or "K" of all slices in which at least one voxel differs from the snapshot."""
        if not self._isPossible() or self._stampNow() == self._stamp:
            return ()
        start, voxels = self._read()
        differs, first = _difference((self._start, self._voxels), (start, voxels))
        along = axis_kji(axis)
        others = tuple(other for other in range(3) if other != along)
        return tuple(int(index) + first[along] for index in np.flatnonzero(differs.any(axis=others)))

    def isOf(self, volumeNode, segmentationNode, segmentId: str) -> bool:
        return (volumeNode, segmentationNode, segmentId) == (self.volumeNode, self.segmentationNode, self.segmentId)

    def _isPossible(self) -> bool:
        """Whether volume, segmentation and segment still are in the scene."""
        nodes = (self.volumeNode, self.segmentationNode)
        return all(node.GetScene() is not None for node in nodes) and self._segment() is not None

    def _segment(self):
        return self.segmentationNode.GetSegmentation().GetSegment(self.segmentId)

    def _stampNow(self) -> tuple:
        """Changes whenever the labelmap does, and now and then without a reason."""
        segment = self._segment()
        labelmap = segment.GetRepresentation(LABELMAP) if segment is not None else None
        scalars = labelmap.GetPointData().GetScalars() if labelmap is not None else None
        stamps = tuple(part.GetMTime() if part is not None else 0 for part in (labelmap, scalars))
        return labelmap, *stamps

    def _read(self) -> tuple[Start, np.ndarray]:
        """The first voxel of the box around the segment, and the box, KJI and bool.

        A labelmap on another lattice (the Segment Editor has a geometry of its own if the user wants one) is brought
        to the volume's voxels by nearest neighbour.
        """
        segment = self._segment()
        labelmap = segment.GetRepresentation(LABELMAP) if segment is not None else None
        shape_ijk = self.volumeNode.GetImageData().GetDimensions()
        if labelmap is None or labelmap.GetPointData().GetScalars() is None or labelmap.IsEmpty():
            return (0, 0, 0), np.zeros((0, 0, 0), bool)
        onVolume = _onLattice(labelmap, self.volumeNode, self.segmentationNode)
        return _cropped(onVolume, segment.GetLabelValue(), shape_ijk)


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
    ends = []
    for axis in range(3):
        found = np.flatnonzero(voxels.any(axis=tuple(other for other in range(3) if other != axis)))
        if found.size == 0:
            return (0, 0, 0), np.zeros((0, 0, 0), bool)
        ends.append((int(found[0]), int(found[-1]) + 1))
    box = voxels[tuple(slice(first, last) for first, last in ends)].copy()
    return tuple(begin + first for begin, (first, _last) in zip(start, ends)), box


def _difference(one: tuple[Start, np.ndarray], other: tuple[Start, np.ndarray]) -> tuple[np.ndarray, Start]:
    """Where two boxes differ, in the box around both, and its first voxel."""
    filled = [part for part in (one, other) if part[1].size]
    if not filled:
        return np.zeros((0, 0, 0), bool), (0, 0, 0)
    first = tuple(min(start[axis] for start, _voxels in filled) for axis in range(3))
    last = tuple(max(start[axis] + voxels.shape[axis] for start, voxels in filled) for axis in range(3))
    differs = np.zeros(np.subtract(last, first), bool)
    for start, voxels in filled:
        box = tuple(slice(s - f, s - f + n) for s, f, n in zip(start, first, voxels.shape))
        differs[box] ^= voxels
    return differs, first


def snapshotOf(volumeNode, segmentationNode, segmentId: str) -> Optional[SegmentSnapshot]:
    """A snapshot, or None while there is nothing to take one of."""
    if volumeNode is None or volumeNode.GetImageData() is None or segmentationNode is None:
        return None
    if segmentationNode.GetSegmentation().GetSegment(segmentId) is None:
        return None
    return SegmentSnapshot(volumeNode, segmentationNode, segmentId)
