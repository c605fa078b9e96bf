"""One segment to Slicer's Segment Editor and back: opened there, and on return the slices that were changed by hand.

The comparison is exact to the voxel, on the volume's own lattice. Only the box around the segment is kept and looked
at, so a snapshot costs milliseconds. Voxels that were drawn outside the volume are not seen: no model sees them either.
"""

from __future__ import annotations

from typing import Optional

import numpy as np
import slicer
from slicer.i18n import tr as _

from medsam2_protocol.prompts import axis_kji
from MedSAM2SlicerLib.SegmentSlices import Start, readBox, stampOf

EDITOR_TAG = "SegmentEditor"


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
        self._stamp = stampOf(segmentationNode, segmentId)
        self._start, self._voxels = readBox(volumeNode, segmentationNode, segmentId)

    def changedSlices(self, axis: str) -> tuple[int, ...]:
        """Indices along "I", "J" or "K" of all slices in which at least one voxel differs from the snapshot."""
        if not self._isPossible() or stampOf(self.segmentationNode, self.segmentId) == self._stamp:
            return ()
        start, voxels = readBox(self.volumeNode, self.segmentationNode, self.segmentId)
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
