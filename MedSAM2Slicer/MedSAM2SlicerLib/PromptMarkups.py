"""Prompts as nodes of the scene, which is where they live: shown, moved, deleted and saved like any other markup.

A box is a markups ROI, aligned with the axes of its volume and one slice thick, under the volume's parent transform.
An ROI is the one markup whose outline and handles stay a rectangle while it is edited, that needs no view of its own
to be edited in, and that carries its orientation along. It is recognised by an attribute; ROIs of anybody else are
never read or touched. Names of attributes and reference roles are part of the saved scene and stay as they are.
"""

from __future__ import annotations

from typing import Optional

import slicer
from slicer.i18n import tr as _

from medsam2_protocol.prompts import BoxPrompt
from MedSAM2SlicerLib.Geometry import VolumeFrame, boxOfRoi, roiOfBox, vtkMatrix

PROMPT_ATTRIBUTE = "MedSAM2Slicer.Prompt"
AXIS_ATTRIBUTE = "MedSAM2Slicer.SliceAxis"
SEGMENT_ATTRIBUTE = "MedSAM2Slicer.SegmentID"
VOLUME_ROLE = "medsam2Volume"
SEGMENTATION_ROLE = "medsam2Segmentation"
BOX = "box"
COLOUR = (1.0, 0.85, 0.1)


def addBox(volumeNode, segmentationNode, segmentId: str, box: BoxPrompt):
    """A new ROI node for this box; it replaces the segment's earlier box on the same slice."""
    for roiNode in boxesOf(volumeNode, segmentationNode, segmentId):
        earlier = readBox(roiNode)
        if earlier is not None and (earlier.axis, earlier.slice) == (box.axis, box.slice):
            roiNode.GetScene().RemoveNode(roiNode)
    name = _("Box {axis}{slice}").format(axis=box.axis, slice=box.slice)
    roiNode = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsROINode")
    roiNode.UnRegister(None)
    roiNode.SetName(slicer.mrmlScene.GenerateUniqueName(name))
    roiNode.SetAttribute(PROMPT_ATTRIBUTE, BOX)
    roiNode.SetAttribute(AXIS_ATTRIBUTE, box.axis)
    roiNode.SetAttribute(SEGMENT_ATTRIBUTE, segmentId)
    slicer.mrmlScene.AddNode(roiNode)
    roiNode.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
    roiNode.SetNodeReferenceID(SEGMENTATION_ROLE, segmentationNode.GetID())
    placeBox(roiNode, volumeNode, box)
    _style(roiNode)
    return roiNode


def boxesOf(volumeNode, segmentationNode, segmentId: str) -> list:
    """The ROI nodes that are boxes of this segment on this volume, oldest first."""
    return [
        roiNode
        for roiNode in allBoxes()
        if roiNode.GetAttribute(SEGMENT_ATTRIBUTE) == segmentId
        and roiNode.GetNodeReference(VOLUME_ROLE) is volumeNode
        and roiNode.GetNodeReference(SEGMENTATION_ROLE) is segmentationNode
    ]


def placeBox(roiNode, volumeNode, box: BoxPrompt) -> None:
    """Put an ROI node around a box of a volume, under the volume's parent transform."""
    placement = roiOfBox(VolumeFrame(volumeNode), box)
    parent = volumeNode.GetParentTransformNode()
    roiNode.SetAndObserveTransformNodeID(parent.GetID() if parent is not None else None)
    roiNode.SetAndObserveObjectToNodeMatrix(vtkMatrix(placement.object_to_ras))
    roiNode.SetSize(*placement.size_mm)


def allBoxes() -> list:
    """The ROI nodes of the scene that are boxes of ours."""
    roiNodes = slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")
    return [roiNode for roiNode in roiNodes if roiNode.GetAttribute(PROMPT_ATTRIBUTE) == BOX]


def readBox(roiNode) -> Optional[BoxPrompt]:
    """What the ROI means now; None if its volume is gone or it was moved off the voxels."""
    volumeNode = roiNode.GetNodeReference(VOLUME_ROLE)
    if volumeNode is None or volumeNode.GetImageData() is None:
        return None
    return boxOfRoi(VolumeFrame(volumeNode), volumeNode, roiNode, roiNode.GetAttribute(AXIS_ATTRIBUTE))


def _style(roiNode) -> None:
    roiNode.CreateDefaultDisplayNodes()
    displayNode = roiNode.GetDisplayNode()
    displayNode.SetColor(*COLOUR)
    displayNode.SetSelectedColor(*COLOUR)
    displayNode.SetFillOpacity(0.0)
    displayNode.SetPropertiesLabelVisibility(False)
    displayNode.SetVisibility3D(False)
    displayNode.SetRotationHandleVisibility(False)
    displayNode.SetTranslationHandleVisibility(False)
