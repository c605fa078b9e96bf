"""A segment that was deleted, kept whole, so that it can come back as it was: to the voxel, with name, colour, tags,
look, place in the list and prompts, and under its own id.

A segment that is a labelmap is kept packed; one that is anything else (surfaces, contours) as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Optional

import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.DiameterLines import drawLines, linesOf, removeLines
from MedSAM2SlicerLib.EmptyLabelmap import alignEmpty
from MedSAM2SlicerLib.PackedLabelmap import LABELMAP, PackedLabelmap, packSegment, unpacked
from MedSAM2SlicerLib.PromptMarkups import (
    SEGMENT_ATTRIBUTE,
    SEGMENTATION_ROLE,
    VOLUME_ROLE,
    allPrompts,
    orderOf,
    promptsOf,
)
from MedSAM2SlicerLib.PromptRecords import Records, recordsOf, restoreRecords
from MedSAM2SlicerLib.SegmentMeasures import SegmentMeasures
from MedSAM2SlicerLib.WindowChoice import WINDOW_ATTRIBUTE

LOOK = (
    "Visibility",
    "Visibility2DFill",
    "Visibility2DOutline",
    "Visibility3D",
    "Opacity2DFill",
    "Opacity2DOutline",
    "Opacity3D",
)


class CannotBringBack(RuntimeError):
    """Not where it was; the sentence says what to do."""


@dataclass(frozen=True)
class PromptsOn:
    """The prompts of the segment on one volume; `windows` are (order of the prompt, what it was computed with)."""

    volumeNode: object
    records: Records
    windows: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class DeletedSegment:
    """A change for the undo stack. `body` is a vtkSegment with everything that `voxels` does not hold.

    `volumeNode` is the volume that was worked on, None if it is gone; `following` are the ids that came after it in
    the list, `parent` is the transform that the segmentation was under.
    """

    slice: ClassVar[Optional[tuple[str, int]]] = None
    title: str
    volumeNode: object
    segmentationNode: object
    segmentId: str
    body: object
    source: str
    voxels: Optional[PackedLabelmap]
    following: tuple[str, ...]
    look: tuple
    parent: object
    prompts: tuple[PromptsOn, ...]
    hasDiameters: bool

    @property
    def bytes(self) -> int:
        if self.voxels is not None:
            return self.voxels.bytes
        form = self.body.GetRepresentation(self.source)
        return 1024 * form.GetActualMemorySize() if form is not None else 0

    def without(self, node) -> Optional[DeletedSegment]:
        """What is left once the node leaves the scene: a volume takes its prompts along, the segmentation all."""
        if node is self.segmentationNode:
            return None
        prompts = tuple(one for one in self.prompts if one.volumeNode is not node)
        volumeNode = None if node is self.volumeNode else self.volumeNode
        return replace(self, volumeNode=volumeNode, prompts=prompts)


def keep(title: str, volumeNode, segmentationNode, segmentId: str) -> DeletedSegment:
    """All there is of a segment that is about to be deleted. No preview may be in it."""
    segmentation = segmentationNode.GetSegmentation()
    segment, source = segmentation.GetSegment(segmentId), segmentation.GetSourceRepresentationName()
    body, ids = slicer.vtkSegment(), list(segmentation.GetSegmentIDs())
    if source == LABELMAP:
        body.DeepCopyMetadata(segment)
    else:
        body.DeepCopy(segment)
    return DeletedSegment(
        title,
        volumeNode,
        segmentationNode,
        segmentId,
        body,
        source,
        packSegment(segmentationNode, segmentId) if source == LABELMAP else None,
        tuple(ids[ids.index(segmentId) + 1 :]),
        _lookOf(segmentationNode.GetDisplayNode(), segmentId),
        segmentationNode.GetParentTransformNode(),
        tuple(_promptsOn(volume, segmentationNode, segmentId) for volume in _volumesOf(segmentationNode, segmentId)),
        bool(linesOf(segmentationNode, segmentId)),
    )


def remove(segmentationNode, segmentId: str) -> None:
    """The segment, its diameters, and its prompts on whatever volume they are."""
    removeLines(segmentationNode, segmentId)
    for node in _promptNodes(segmentationNode, segmentId):
        node.GetScene().RemoveNode(node)
    segmentationNode.GetSegmentation().RemoveSegment(segmentId)


def bringBack(deleted: DeletedSegment) -> tuple[str, list]:
    """Returns the id, another one only if its own was given to a new segment since, and the nodes of the prompts.

    Raises:
        CannotBringBack: the segmentation is under another transform now, or kept in another form.
    """
    segmentationNode = deleted.segmentationNode
    _requireItsPlace(deleted)
    segmentation, segment = segmentationNode.GetSegmentation(), slicer.vtkSegment()
    if deleted.voxels is None:
        segment.DeepCopy(deleted.body)
    else:
        segment.DeepCopyMetadata(deleted.body)
        segment.AddRepresentation(LABELMAP, unpacked(deleted.voxels, segment.GetLabelValue()))
    segmentId = segmentation.GenerateUniqueSegmentID(deleted.segmentId)
    before = next((one for one in deleted.following if segmentation.GetSegment(one) is not None), "")
    segmentation.AddSegment(segment, segmentId, before)
    alignEmpty(segmentation)
    segment.SetColor(*deleted.body.GetColor())  # Slicer may have made one up
    _setLook(segmentationNode.GetDisplayNode(), segmentId, deleted.look)
    nodes = [node for prompts in deleted.prompts for node in _restored(prompts, segmentationNode, segmentId)]
    if deleted.hasDiameters:
        drawLines(segmentationNode, segmentId, SegmentMeasures().of(segmentationNode, segmentId))
    return segmentId, nodes


def _requireItsPlace(deleted: DeletedSegment) -> None:
    """Its voxels are kept in the segmentation's own frame: there they are right under the same transform only."""
    node, parent = deleted.segmentationNode, deleted.parent
    isEmpty = node.GetSegmentation().GetNumberOfSegments() == 0
    isGone = parent is not None and parent.GetScene() is None
    if node.GetParentTransformNode() is not parent and not isGone:
        if not isEmpty:
            raise CannotBringBack(_placeSentence(node, parent))
        node.SetAndObserveTransformNodeID(parent.GetID() if parent is not None else None)
    if node.GetSegmentation().GetSourceRepresentationName() != deleted.source:
        if not isEmpty:
            text = _("{segmentation} is kept as {form} now. Make it {source} again (module Segmentations), then undo.")
            form = node.GetSegmentation().GetSourceRepresentationName()
            raise CannotBringBack(text.format(segmentation=node.GetName(), form=form, source=deleted.source))
        node.GetSegmentation().SetSourceRepresentationName(deleted.source)


def _placeSentence(segmentationNode, parent) -> str:
    name = segmentationNode.GetName()
    if parent is None:
        text = _("{segmentation} is under a transform now. Take it out of the transform, then undo.")
        return text.format(segmentation=name)
    text = _("{segmentation} is not under {transform} any more. Put it there again, then undo.")
    return text.format(segmentation=name, transform=parent.GetName())


def _promptNodes(segmentationNode, segmentId: str) -> list:
    return [
        node
        for node in allPrompts()
        if node.GetAttribute(SEGMENT_ATTRIBUTE) == segmentId
        and node.GetNodeReference(SEGMENTATION_ROLE) is segmentationNode
    ]


def _volumesOf(segmentationNode, segmentId: str) -> list:
    volumes = [node.GetNodeReference(VOLUME_ROLE) for node in _promptNodes(segmentationNode, segmentId)]
    return list(dict.fromkeys(volume for volume in volumes if volume is not None))


def _promptsOn(volumeNode, segmentationNode, segmentId: str) -> PromptsOn:
    nodes = promptsOf(volumeNode, segmentationNode, segmentId)
    windows = tuple((orderOf(node), node.GetAttribute(WINDOW_ATTRIBUTE) or "") for node in nodes)
    return PromptsOn(volumeNode, recordsOf(volumeNode, segmentationNode, segmentId), windows)


def _restored(prompts: PromptsOn, segmentationNode, segmentId: str) -> list:
    nodes = restoreRecords(prompts.volumeNode, segmentationNode, segmentId, prompts.records)
    windows = dict(prompts.windows)
    for node in nodes:
        if windows.get(orderOf(node)):
            node.SetAttribute(WINDOW_ATTRIBUTE, windows[orderOf(node)])
    return nodes


def _lookOf(display, segmentId: str) -> tuple:
    return tuple(getattr(display, f"GetSegment{one}")(segmentId) for one in LOOK) if display is not None else ()


def _setLook(display, segmentId: str, look: tuple) -> None:
    if display is not None:
        for one, value in zip(LOOK, look):
            getattr(display, f"SetSegment{one}")(segmentId, value)
