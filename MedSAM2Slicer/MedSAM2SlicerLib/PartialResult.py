"""What a propagation had written when it was cancelled or failed: offered until something else happens."""

from __future__ import annotations

from dataclasses import dataclass

from MedSAM2SlicerLib.PackedLabelmap import PackedLabelmap, packSegment
from MedSAM2SlicerLib.SegmentTags import Texts, textsOf
from MedSAM2SlicerLib.SliceStates import SliceStates


@dataclass(frozen=True)
class PartialResult:
    """`before` is the segment as it was put back, with `texts`; `came` what it was when the run ended, `states` its
    slices.
    """

    volumeNode: object
    segmentationNode: object
    segmentId: str
    before: PackedLabelmap
    came: PackedLabelmap
    states: SliceStates
    texts: Texts

    def isPossible(self) -> bool:
        """Whether the segment still is what the run found: nothing drawn, locked or approved since."""
        node = self.segmentationNode
        isThere = node.GetScene() is not None and node.GetSegmentation().GetSegment(self.segmentId) is not None
        if not isThere or textsOf(node.GetSegmentation().GetSegment(self.segmentId)) != self.texts:
            return False
        return packSegment(node, self.segmentId).isSame(self.before)
