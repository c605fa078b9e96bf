"""What a propagation had written when it was cancelled or failed: offered until something else happens."""

from __future__ import annotations

from dataclasses import dataclass

from MedSAM2SlicerLib.PackedLabelmap import PackedLabelmap, packSegment
from MedSAM2SlicerLib.SliceStates import SliceStates


@dataclass(frozen=True)
class PartialResult:
    """`before` is the segment as it was put back, `came` what it was when the run ended, `states` its slices."""

    volumeNode: object
    segmentationNode: object
    segmentId: str
    before: PackedLabelmap
    came: PackedLabelmap
    states: SliceStates

    def isPossible(self) -> bool:
        """Whether the segment still is what the run found."""
        node = self.segmentationNode
        isThere = node.GetScene() is not None and node.GetSegmentation().GetSegment(self.segmentId) is not None
        return isThere and packSegment(node, self.segmentId).isSame(self.before)
