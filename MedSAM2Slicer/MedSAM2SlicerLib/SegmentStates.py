"""The slice states of one segment in the scene, and the masks they speak of.

Marks are compared at quiet moments: when the module is entered, and before a run. No preview may be in the segment
then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from medsam2_protocol.prompts import MaskPrompt
from MedSAM2SlicerLib.SegmentSlices import SegmentSlices, latticeOf
from MedSAM2SlicerLib.SegmentTags import SLICES_TAG, setTag, tagOf
from MedSAM2SlicerLib.SliceStates import Slices, SliceStates, fromText


class SegmentStates:
    """Of one segment on one volume. Made when it is needed: it keeps nothing."""

    def __init__(self, volumeNode, segmentationNode, segmentId: str) -> None:
        self.volumeNode = volumeNode
        self.segmentationNode = segmentationNode
        self.segmentId = segmentId

    @property
    def segment(self):
        """None if it was deleted."""
        return self.segmentationNode.GetSegmentation().GetSegment(self.segmentId)

    def isThere(self) -> bool:
        nodes = (self.volumeNode, self.segmentationNode)
        return all(node is not None and node.GetScene() is not None for node in nodes) and self.segment is not None

    def now(self) -> SliceStates:
        """Those of another volume's lattice say nothing here."""
        states = self.saved()
        return states if states.axis and states.lattice == latticeOf(self.volumeNode) else SliceStates()

    def saved(self) -> SliceStates:
        """Of whatever volume."""
        return fromText(tagOf(self.segment, SLICES_TAG))

    def put(self, states: SliceStates) -> None:
        setTag(self.segment, SLICES_TAG, states.toText())

    def masks(self) -> SegmentSlices:
        return SegmentSlices(self.volumeNode, self.segmentationNode, self.segmentId)

    def begun(self, axis: str) -> SliceStates:
        """The states, or new ones along this axis that know what the segment holds."""
        states = self.now()
        if states.axis:
            return states
        return replace(states, axis=axis, lattice=latticeOf(self.volumeNode), marks=self.masks().marks(axis))

    def noteHandEdits(self) -> Slices:
        """Slices that were changed since the states were noted become edited; returns them."""
        states = self.now()
        if not states.axis:
            return frozenset()
        marks = self.masks().marks(states.axis)
        changed = states.changedSince(marks)
        if changed:
            self.put(states.withHandEdits(changed, marks))
        return changed

    def noteOwnChange(self) -> None:
        """The segment holds now what it is meant to hold; nobody's hand did it."""
        states = self.now()
        if states.axis:
            self.put(replace(states, marks=self.masks().marks(states.axis)))


def keptMasks(masks: SegmentSlices, axis: str, indices: Iterable[int]) -> tuple[MaskPrompt, ...]:
    """The slices as they are, for a request that shall leave them so."""
    return tuple(MaskPrompt(axis, index, masks.region(axis, index)) for index in sorted(indices))
