"""How a preview differs from a result: its own colour and a fainter fill within a wider outline in all views, and the
word "Preview" in those that show its slice. The user's settings come back after.
"""

from __future__ import annotations

from medsam2_protocol.messages import MaskChanged
from MedSAM2SlicerLib.PreviewLabel import PreviewLabel
from MedSAM2SlicerLib.SegmentLook import SegmentLook, lookOf
from MedSAM2SlicerLib.UnfinishedChange import noteLook


class PreviewLook:
    """The look of one segment while it holds the preview `mask` on a slice of a volume."""

    def __init__(self, segmentationNode, segmentId: str, volumeNode, mask: MaskChanged) -> None:
        self._segmentationNode = segmentationNode
        self._displayNode = segmentationNode.GetDisplayNode()
        self._segmentId = segmentId
        self._label = PreviewLabel(volumeNode, mask.axis, mask.slice)

    def show(self) -> None:
        self._label.show()
        if self._displayNode is None:
            return
        self._before = lookOf(self._displayNode, self._segmentId)
        own = self._displayNode.GetSegmentColor(self._segmentId)
        self._shown = self._before.asPreview(self._displayNode, (own.GetX(), own.GetY(), own.GetZ()))
        noteLook(self._segmentationNode, self._segmentId, self._before)
        self._shown.putOn(self._displayNode, self._segmentId)

    def hide(self) -> None:
        """What somebody has changed meanwhile stays as it is now."""
        self.hideLabel()
        display = self._displayNode
        if display is not None and display.GetScene() is not None:
            self._before.where(self._now(), self._shown).putOn(display, self._segmentId)

    def hideLabel(self) -> None:
        """What is in the views goes; what is in the scene is another's to put back."""
        self._label.hide()

    def _now(self) -> SegmentLook:
        """The thickness is there still where the segment was deleted."""
        if self._segmentationNode.GetSegmentation().GetSegment(self._segmentId) is None:
            return SegmentLook(thickness=self._displayNode.GetSliceIntersectionThickness())
        return lookOf(self._displayNode, self._segmentId)
