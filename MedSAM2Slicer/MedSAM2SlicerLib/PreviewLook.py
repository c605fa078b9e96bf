"""How a preview differs from a result: its fill is fainter in the slice views. The user's setting comes back after."""

from __future__ import annotations

from MedSAM2SlicerLib.UnfinishedChange import noteFill

FAINT = 0.35


class PreviewLook:
    """The look of one segment while it holds a preview."""

    def __init__(self, segmentationNode, segmentId: str) -> None:
        self._segmentationNode = segmentationNode
        self._displayNode = segmentationNode.GetDisplayNode()
        self._segmentId = segmentId
        self._fill = 1.0

    def show(self) -> None:
        if self._displayNode is not None:
            self._fill = self._displayNode.GetSegmentOpacity2DFill(self._segmentId)
            noteFill(self._segmentationNode, self._segmentId, self._fill)
            self._displayNode.SetSegmentOpacity2DFill(self._segmentId, FAINT * self._fill)

    def hide(self) -> None:
        if self._displayNode is not None and self._displayNode.GetScene() is not None:
            self._displayNode.SetSegmentOpacity2DFill(self._segmentId, self._fill)
