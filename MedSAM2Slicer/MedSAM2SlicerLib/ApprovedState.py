"""Whether a lesion is approved as a whole, which is one of the states that the lesion list shows."""

from __future__ import annotations

from MedSAM2SlicerLib.LesionTable import APPROVED, stateOf


def isApproved(segment) -> bool:
    return segment is not None and stateOf(segment) == APPROVED


def approvedIds(segmentationNode) -> list[str]:
    """Ids of the approved segments, in the order of the segmentation."""
    segmentation = segmentationNode.GetSegmentation()
    return [segmentId for segmentId in segmentation.GetSegmentIDs() if isApproved(segmentation.GetSegment(segmentId))]
