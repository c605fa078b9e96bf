"""Prompts as nodes of the scene, which is where they live: shown, moved, deleted and saved like any other markup.

They are recognised by an attribute; markups of anybody else are never read or touched. Names of attributes and
reference roles are part of the saved scene and stay as they are. `ORDER_ATTRIBUTE` counts the prompts of a segment as
they were made: the engine refines a mask in that order, and undo knows a prompt by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np
import slicer

from medsam2_protocol.prompts import slice_of_prompt
from MedSAM2SlicerLib.Geometry import VolumeFrame
from MedSAM2SlicerLib.PromptForms import FORMS, pointsWorld
from MedSAM2SlicerLib.PromptKinds import BOX, CURVES, KINDS, ONE_ON_A_SLICE, PlacedPrompt, kindOfPrompt, kindTitle
from MedSAM2SlicerLib.PromptStyle import setChosen, showOnSlice, style

PROMPT_ATTRIBUTE = "MedSAM2Slicer.Prompt"
AXIS_ATTRIBUTE = "MedSAM2Slicer.SliceAxis"
SEGMENT_ATTRIBUTE = "MedSAM2Slicer.SegmentID"
ORDER_ATTRIBUTE = "MedSAM2Slicer.Order"
VOLUME_ROLE = "medsam2Volume"
SEGMENTATION_ROLE = "medsam2Segmentation"


def addPrompt(volumeNode, segmentationNode, segmentId: str, prompt: PlacedPrompt, axis: str, order: int = 0):
    """A new markup for a prompt on a slice of this axis; `order` 0 makes it the segment's newest."""
    kind = kindOfPrompt(prompt)
    node = slicer.mrmlScene.CreateNodeByClass(FORMS[kind].nodeClass)
    node.UnRegister(None)
    title = f"{kindTitle(kind)} {axis}{slice_of_prompt(prompt, axis)}"
    node.SetName(slicer.mrmlScene.GenerateUniqueName(title))
    node.SetAttribute(PROMPT_ATTRIBUTE, kind)
    node.SetAttribute(AXIS_ATTRIBUTE, axis)
    node.SetAttribute(SEGMENT_ATTRIBUTE, segmentId)
    node.SetAttribute(ORDER_ATTRIBUTE, str(order or _nextOrder(volumeNode, segmentationNode, segmentId)))
    addToScene(node)
    node.SetNodeReferenceID(VOLUME_ROLE, volumeNode.GetID())
    node.SetNodeReferenceID(SEGMENTATION_ROLE, segmentationNode.GetID())
    style(node, kind)
    placePrompt(node, volumeNode, prompt)
    return node


def addToScene(node) -> None:
    """Slicer lets the clicks of its own place mode go to the markup that was added last: they stay the user's."""
    selection = slicer.app.applicationLogic().GetSelectionNode()
    className, nodeId = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    slicer.mrmlScene.AddNode(node)
    selection.SetReferenceActivePlaceNodeClassName(className)
    selection.SetActivePlaceNodeID(nodeId)


def addNewest(volumeNode, segmentationNode, segmentId: str, prompts: Sequence[PlacedPrompt], axis: str) -> list:
    """New prompts, in this order; returns their nodes. Where a slice can have only one of a kind, a new one takes the
    place of the segment's earlier one."""
    earlier = promptsOf(volumeNode, segmentationNode, segmentId)
    places = {place for prompt in prompts for place in _placesOf(kindOfPrompt(prompt), slice_of_prompt(prompt, axis))}
    for node in earlier:
        if axisOf(node) == axis and places.intersection(_placesOf(kindOf(node), sliceOf(node))):
            node.GetScene().RemoveNode(node)
    first = 1 + max(map(orderOf, earlier), default=0)
    return [
        addPrompt(volumeNode, segmentationNode, segmentId, prompt, axis, first + number)
        for number, prompt in enumerate(prompts)
    ]


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
    return [node for node in nodes if node.GetAttribute(PROMPT_ATTRIBUTE) in KINDS]


def placePrompt(node, volumeNode, prompt: PlacedPrompt) -> None:
    """Put a markup where a prompt of a volume is, under the volume's parent transform."""
    follow(node, volumeNode)
    frame = VolumeFrame(volumeNode)
    FORMS[kindOf(node)].place(node, frame, prompt)
    if kindOf(node) in CURVES:
        showOnSlice(node, frame.sliceThicknessMm(axisOf(node), pointsWorld(node)[0]))


def follow(node, volumeNode) -> None:
    """Let a markup be under the transform that its volume is under."""
    parent = volumeNode.GetParentTransformNode()
    node.SetAndObserveTransformNodeID(parent.GetID() if parent is not None else None)


def readPrompt(node) -> Optional[PlacedPrompt]:
    """What the markup means now; None if its volume or its points are gone, or it was moved off the voxels."""
    volumeNode = node.GetNodeReference(VOLUME_ROLE)
    if volumeNode is None or volumeNode.GetImageData() is None:
        return None
    return FORMS[kindOf(node)].read(node, VolumeFrame(volumeNode), volumeNode, axisOf(node))


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
        position = pointsWorld(node).mean(axis=0)
    return float(position[0]), float(position[1]), float(position[2])


def isEmptied(node) -> bool:
    """Whether the points that made it a prompt were deleted in a view."""
    return FORMS[kindOf(node)].isEmptied(node)


def showOnly(nodes, chosen) -> None:
    """Of all prompts show these, and make the one stand out that is chosen in the list; `chosen` may be None."""
    for node in allPrompts():
        setChosen(node, kindOf(node), node is chosen)
        if node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(node in nodes)


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


def _nextOrder(volumeNode, segmentationNode, segmentId: str) -> int:
    return 1 + max([orderOf(node) for node in promptsOf(volumeNode, segmentationNode, segmentId)], default=0)


def _placesOf(kind: str, index: Optional[int]) -> list[tuple[tuple[str, ...], Optional[int]]]:
    """What a prompt shares with its rivals: the group of its kind and its slice; nothing if it has no rivals."""
    return [(group, index) for group in ONE_ON_A_SLICE if kind in group]
