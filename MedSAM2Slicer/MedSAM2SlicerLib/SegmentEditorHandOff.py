"""One segment to Slicer's Segment Editor; what was changed there is recognised by `HandEdits`, as after any module."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

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
