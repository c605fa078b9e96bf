"""Which segment of which segmentation is worked on, for which volume.

The parameter node knows; this reads and changes it. Without a scene (`parameters` is None) nothing is chosen.
"""

from __future__ import annotations

from typing import Optional

import slicer
from slicer.i18n import tr as _

from medsam2_protocol.prompts import slice_of_prompt
from MedSAM2SlicerLib.PromptKinds import PlacedPrompt
from MedSAM2SlicerLib.PromptMarkups import axisOf, promptsOf, readPrompt
from MedSAM2SlicerLib.SegmentStates import SegmentStates
from MedSAM2SlicerLib.SegmentWriter import SegmentWriter, addSegment, prepareSegmentation


class SegmentChoice:
    """One for the module; `parameters` is replaced with the scene."""

    def __init__(self) -> None:
        self.parameters = None

    @property
    def volumeNode(self):
        return self.parameters.volume if self.parameters is not None else None

    @property
    def segmentationNode(self):
        return self.parameters.segmentation if self.parameters is not None else None

    @property
    def segmentId(self) -> str:
        return self.parameters.segmentId if self.parameters is not None else ""

    def choose(self, segmentId: str) -> None:
        self.parameters.segmentId = segmentId

    def chooseAll(self, volumeNode, segmentationNode, segmentId: str) -> None:
        """Nothing is written where nothing changes, so that nobody is told of it."""
        parameters = self.parameters
        if (parameters.volume, parameters.segmentation) != (volumeNode, segmentationNode):
            parameters.volume, parameters.segmentation = volumeNode, segmentationNode
        if parameters.segmentId != segmentId:
            parameters.segmentId = segmentId

    def promptNodes(self) -> list:
        """The prompts of the chosen segment on the chosen volume, oldest first."""
        if self.volumeNode is None or self.segmentationNode is None:
            return []
        return promptsOf(self.volumeNode, self.segmentationNode, self.segmentId)

    def promptsAlong(self, axis: str, index: Optional[int] = None) -> tuple[PlacedPrompt, ...]:
        """Those made on slices of this axis, on one of them or all, oldest first; what is on no voxel is left out."""
        nodes = [node for node in self.promptNodes() if axisOf(node) == axis]
        prompts = [prompt for prompt in map(readPrompt, nodes) if prompt is not None]
        return tuple(one for one in prompts if index is None or slice_of_prompt(one, axis) == index)

    def isOf(self, writer: SegmentWriter) -> bool:
        """Whether that writer writes what is chosen."""
        chosen = (self.volumeNode, self.segmentationNode, self.segmentId)
        return chosen == (writer.volumeNode, writer.segmentationNode, writer.segmentId)

    def place(self) -> Optional[SegmentStates]:
        """The chosen segment and its slice states; None while there is none."""
        if self.volumeNode is None or self.volumeNode.GetImageData() is None or self.segmentationNode is None:
            return None
        place = SegmentStates(self.volumeNode, self.segmentationNode, self.segmentId)
        return place if place.isThere() else None

    def require(self):
        """The chosen segmentation, holding the chosen segment; both are made if they are missing."""
        parameters, volumeNode = self.parameters, self.volumeNode
        if parameters.segmentation is None:
            name = _("{volume} segmentation").format(volume=volumeNode.GetName())
            parameters.segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        segmentationNode = parameters.segmentation
        prepareSegmentation(segmentationNode, volumeNode)
        if segmentationNode.GetSegmentation().GetSegment(parameters.segmentId) is None:
            parameters.segmentId = addSegment(segmentationNode)
        return segmentationNode

    def addSegment(self) -> None:
        """Another, empty segment, and choose it."""
        self.parameters.segmentId = ""
        self.require()
