"""The prompts of a segment as data: what undo keeps of them. A prompt is known by its place in the order of making."""

from __future__ import annotations

from dataclasses import dataclass

from medsam2_protocol.prompts import slice_of_prompt
from MedSAM2SlicerLib.PromptKinds import PlacedPrompt
from MedSAM2SlicerLib.PromptMarkups import addPrompt, axisOf, orderOf, placePrompt, promptsOf, readPrompt


@dataclass(frozen=True)
class PromptRecord:
    order: int
    axis: str
    prompt: PlacedPrompt

    @property
    def slice(self) -> tuple[str, int]:
        """Axis and index."""
        return self.axis, slice_of_prompt(self.prompt, self.axis)


Records = tuple[PromptRecord, ...]


def recordsOf(volumeNode, segmentationNode, segmentId: str) -> Records:
    """The prompts that are on voxels now, oldest first."""
    nodes = promptsOf(volumeNode, segmentationNode, segmentId)
    read = [(orderOf(node), axisOf(node), readPrompt(node)) for node in nodes]
    return tuple(PromptRecord(*one) for one in read if one[2] is not None)


def restoreRecords(volumeNode, segmentationNode, segmentId: str, records: Records) -> list:
    """Let the scene hold exactly these prompts of the segment; returns the nodes that were added or moved."""
    wanted, touched = {record.order: record for record in records}, []
    for node in promptsOf(volumeNode, segmentationNode, segmentId):
        record = wanted.get(orderOf(node))
        if record is None or type(record.prompt) is not type(readPrompt(node) or record.prompt):
            node.GetScene().RemoveNode(node)
        else:
            del wanted[record.order]
            if readPrompt(node) != record.prompt:
                placePrompt(node, volumeNode, record.prompt)
                touched.append(node)
    for record in wanted.values():
        touched.append(
            addPrompt(volumeNode, segmentationNode, segmentId, record.prompt, record.axis, order=record.order)
        )
    return touched
