""" "Show 3D": the closed surface of a segmentation on or off.

While a propagation writes, nothing is computed: what is asked for meanwhile happens at `endWriting`. The writer of the
segment has its surface refreshed at the end of a run; `refresh` is for changes made by other means.
"""

from __future__ import annotations

import vtk

LABELMAP = "Binary labelmap"
SURFACE = "Closed surface"


class SurfaceView:
    """One for the module. It holds no node, only ids: what is shown, and what was asked for while it had to wait."""

    def __init__(self) -> None:
        self._isWriting = False
        self._shown: set[str] = set()
        self._wanted: dict[str, bool] = {}  # segmentation's node id → shown

    def isShown(self, segmentationNode) -> bool:
        """What the button shows: what is there, or what will be once the propagation has ended."""
        if segmentationNode is None:
            return False
        wanted = self._wanted.get(segmentationNode.GetID())
        return _hasSurface(segmentationNode) if wanted is None else wanted

    def setShown(self, segmentationNode, isShown: bool) -> None:
        if segmentationNode is None:
            return
        if isShown and self._isWriting:
            self._wanted[segmentationNode.GetID()] = True
            return
        self._wanted.pop(segmentationNode.GetID(), None)
        if isShown:
            self._show(segmentationNode)
        else:
            self._shown.discard(segmentationNode.GetID())
            _hide(segmentationNode)

    def beginWriting(self) -> None:
        self._isWriting = True

    def endWriting(self, segmentationNode) -> None:
        """The run has ended, however it did; `segmentationNode` may be None if it was deleted."""
        self._isWriting = False
        wanted, self._wanted = self._wanted, {}
        if segmentationNode is not None and wanted.get(segmentationNode.GetID()):
            self._show(segmentationNode)

    def refresh(self, segmentationNode) -> None:
        """After a change that no writer made (undo, another module): compute again what is shown.

        Some ways of changing a labelmap throw the surfaces of all its segments away; they come back as well.
        """
        if segmentationNode is None or self._isWriting:
            return
        if segmentationNode.GetID() in self._shown or _hasSurface(segmentationNode):
            segmentationNode.GetSegmentation().RemoveRepresentation(SURFACE)
            self._show(segmentationNode)

    def _show(self, segmentationNode) -> None:
        self._shown.add(segmentationNode.GetID())
        _show(segmentationNode)


def _hasSurface(segmentationNode) -> bool:
    return segmentationNode.GetSegmentation().ContainsRepresentation(SURFACE)


def _show(segmentationNode) -> None:
    segmentationNode.CreateDefaultDisplayNodes()
    if segmentationNode.GetSegmentation().GetNumberOfSegments() == 0:
        return
    _allocateEmptyLabelmaps(segmentationNode.GetSegmentation())
    segmentationNode.CreateClosedSurfaceRepresentation()
    display = segmentationNode.GetDisplayNode()
    display.SetPreferredDisplayRepresentationName3D(SURFACE)
    display.SetVisibility3D(True)


def _allocateEmptyLabelmaps(segmentation) -> None:
    """A labelmap that never held a voxel has no type, which Slicer's conversion reports as an error in the log."""
    for segmentId in segmentation.GetSegmentIDs():
        labelmap = segmentation.GetSegment(segmentId).GetRepresentation(LABELMAP)
        if labelmap is not None and labelmap.GetPointData().GetScalars() is None:
            labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)


def _hide(segmentationNode) -> None:
    """Without a surface no view has to follow the next edit. A segmentation made of surfaces is hidden only."""
    segmentation = segmentationNode.GetSegmentation()
    if segmentation.GetSourceRepresentationName() == SURFACE:
        segmentationNode.CreateDefaultDisplayNodes()
        segmentationNode.GetDisplayNode().SetVisibility3D(False)
    else:
        segmentation.RemoveRepresentation(SURFACE)
