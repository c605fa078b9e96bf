"""Prompts as nodes of the scene, which is where they live: shown, moved, deleted and saved like any other markup.

A box is a markups ROI, aligned with the axes of its volume and one slice thick: the one markup whose outline and
handles stay a rectangle while it is edited, that needs no view of its own to be edited in, and that carries its
orientation along. A point is a markups fiducial with one control point. Both are under the volume's parent transform.

They are recognised by an attribute; markups of anybody else are never read or touched. Names of attributes and
reference roles are part of the saved scene and stay as they are. `ORDER_ATTRIBUTE` counts the prompts of a segment as
they were made: the engine refines a mask in that order, and undo knows a prompt by it.
"""

from __future__ import annotations

from typing import Optional, Union

import numpy as np
import slicer
from slicer.i18n import tr as _

from medsam2_protocol.prompts import BoxPrompt, PointPrompt, slice_of_prompt
from MedSAM2SlicerLib.Geometry import VolumeFrame, boxOfRoi, ijkToRas, pointOnSlice, roiOfBox, vtkMatrix

PROMPT_ATTRIBUTE = "MedSAM2Slicer.Prompt"
AXIS_ATTRIBUTE = "MedSAM2Slicer.SliceAxis"
SEGMENT_ATTRIBUTE = "MedSAM2Slicer.SegmentID"
ORDER_ATTRIBUTE = "MedSAM2Slicer.Order"
VOLUME_ROLE = "medsam2Volume"
SEGMENTATION_ROLE = "medsam2Segmentation"
BOX, POSITIVE, NEGATIVE = "box", "positive", "negative"
COLOURS = {BOX: (1.0, 0.85, 0.1), POSITIVE: (0.2, 0.9, 0.3), NEGATIVE: (1.0, 0.3, 0.25)}
POINT_SIZE_PERCENT = 2.0
PlacedPrompt = Union[BoxPrompt, PointPrompt]


def addPrompt(volumeNode, segmentationNode, segmentId: str, prompt: PlacedPrompt, axis: str, order: int = 0):
    """A new markup for a prompt on a slice of this axis; `order` 0 makes it the segment's newest."""
    kind = _kindOf(prompt)
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsROINode" if kind == BOX else "vtkMRMLMarkupsFiducialNode")
    node.UnRegister(None)
    title = f"{kindTitle(kind)} {axis}{slice_of_prompt(prompt, axis)}"
    node.SetName(slicer.mrmlScene.GenerateUniqueName(title))
    node.SetAttribute(PROMPT_ATTRIBUTE, kind)
    node.SetAttribute(AXIS_ATTRIBUTE, axis)
    node.SetAttribute(SEGMENT_ATTRIBUTE, segmentId)
    node.SetAttribute(ORDER_ATTRIBUTE, str(order or _nextOrder(volumeNode, segmentationNode, segmentId)))
    slicer.mrmlScene.AddNode(node)
    node.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
    node.SetNodeReferenceID(SEGMENTATION_ROLE, segmentationNode.GetID())
    placePrompt(node, volumeNode, prompt)
    _style(node, kind)
    return node


def addBox(volumeNode, segmentationNode, segmentId: str, box: BoxPrompt):
    """A new box; it replaces the segment's earlier box on the same slice."""
    for node in promptsOf(volumeNode, segmentationNode, segmentId):
        earlier = readPrompt(node) if kindOf(node) == BOX else None
        if earlier is not None and (earlier.axis, earlier.slice) == (box.axis, box.slice):
            node.GetScene().RemoveNode(node)
    return addPrompt(volumeNode, segmentationNode, segmentId, box, box.axis)


def promptsOf(volumeNode, segmentationNode, segmentId: str) -> list:
    """The markups that are prompts of this segment on this volume, oldest first."""
    nodes = [
        node
        for node in allPrompts()
        if node.GetAttribute(SEGMENT_ATTRIBUTE) == segmentId
        and node.GetNodeReference(VOLUME_ROLE) is volumeNode
        and node.GetNodeReference(SEGMENTATION_ROLE) is segmentationNode
    ]
    return sorted(nodes, key=orderOf)


def allPrompts() -> list:
    """The markups of the scene that are prompts of ours."""
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsNode")
    return [node for node in nodes if node.GetAttribute(PROMPT_ATTRIBUTE) in COLOURS]


def placePrompt(node, volumeNode, prompt: PlacedPrompt) -> None:
    """Put a markup where a prompt of a volume is, under the volume's parent transform."""
    if kindOf(node) == BOX:
        placeBox(node, volumeNode, prompt)
        return
    _follow(node, volumeNode)
    ijk_to_ras = ijkToRas(volumeNode)
    position_ras = ijk_to_ras[:3, :3] @ np.array(prompt.ijk) + ijk_to_ras[:3, 3]
    if node.GetNumberOfControlPoints() == 0:
        node.AddControlPoint(*[float(value) for value in position_ras])
    else:
        node.SetNthControlPointPosition(0, *[float(value) for value in position_ras])


def placeBox(roiNode, volumeNode, box: BoxPrompt) -> None:
    """Put an ROI node around a box of a volume, under the volume's parent transform."""
    _follow(roiNode, volumeNode)
    placement = roiOfBox(VolumeFrame(volumeNode), box)
    roiNode.SetAndObserveObjectToNodeMatrix(vtkMatrix(placement.object_to_ras))
    roiNode.SetSize(*placement.size_mm)


def readPrompt(node) -> Optional[PlacedPrompt]:
    """What the markup means now; None if its volume or its point is gone, or it was moved off the voxels."""
    volumeNode = node.GetNodeReference(VOLUME_ROLE)
    if volumeNode is None or volumeNode.GetImageData() is None:
        return None
    frame = VolumeFrame(volumeNode)
    if kindOf(node) == BOX:
        return boxOfRoi(frame, volumeNode, node, axisOf(node))
    if isEmptied(node):
        return None
    position_world = np.zeros(3)
    node.GetNthControlPointPositionWorld(0, position_world)
    return pointOnSlice(frame, position_world, axisOf(node), kindOf(node) == POSITIVE)


def sliceOf(node) -> Optional[int]:
    """Index of the slice that the prompt is on now; None if it is on no voxel."""
    prompt = readPrompt(node)
    return slice_of_prompt(prompt, axisOf(node)) if prompt is not None else None


def centreWorld(node) -> tuple[float, float, float]:
    """Where the views go to see it."""
    position = np.zeros(3)
    if kindOf(node) == BOX:
        node.GetCenterWorld(position)
    else:
        node.GetNthControlPointPositionWorld(0, position)
    return float(position[0]), float(position[1]), float(position[2])


def isEmptied(node) -> bool:
    """A point whose only control point was deleted in a view."""
    return kindOf(node) != BOX and node.GetNumberOfDefinedControlPoints() == 0


def kindOf(node) -> str:
    return node.GetAttribute(PROMPT_ATTRIBUTE)


def axisOf(node) -> str:
    return node.GetAttribute(AXIS_ATTRIBUTE)


def orderOf(node) -> int:
    return int(node.GetAttribute(ORDER_ATTRIBUTE) or 0)


def numberPrompts() -> None:
    """Prompts of scenes that were saved without an order get one: that of the scene."""
    for node in allPrompts():
        if orderOf(node) == 0:
            roles = [node.GetNodeReference(role) for role in (VOLUME_ROLE, SEGMENTATION_ROLE)]
            node.SetAttribute(ORDER_ATTRIBUTE, str(_nextOrder(*roles, node.GetAttribute(SEGMENT_ATTRIBUTE))))


def kindTitle(kind: str) -> str:
    return {BOX: _("Box"), POSITIVE: _("Point +"), NEGATIVE: _("Point -")}[kind]


def _kindOf(prompt: PlacedPrompt) -> str:
    if isinstance(prompt, BoxPrompt):
        return BOX
    return POSITIVE if prompt.positive else NEGATIVE


def _follow(node, volumeNode) -> None:
    parent = volumeNode.GetParentTransformNode()
    node.SetAndObserveTransformNodeID(parent.GetID() if parent is not None else None)


def _nextOrder(volumeNode, segmentationNode, segmentId: str) -> int:
    return 1 + max([orderOf(node) for node in promptsOf(volumeNode, segmentationNode, segmentId)], default=0)


def _style(node, kind: str) -> None:
    node.CreateDefaultDisplayNodes()
    displayNode = node.GetDisplayNode()
    displayNode.SetColor(*COLOURS[kind])
    displayNode.SetSelectedColor(*COLOURS[kind])
    displayNode.SetPropertiesLabelVisibility(False)
    displayNode.SetVisibility3D(False)
    if kind == BOX:
        displayNode.SetFillOpacity(0.0)
        displayNode.SetRotationHandleVisibility(False)
        displayNode.SetTranslationHandleVisibility(False)
    else:
        displayNode.SetPointLabelsVisibility(False)
        displayNode.SetGlyphScale(POINT_SIZE_PERCENT)
        if kind == NEGATIVE:
            displayNode.SetGlyphType(displayNode.ThickCross2D)
