"""Tells of changes of one segmentation, by whomever they were made: of its list, or of the voxels in it.

Many changes in a row are told once, when the event loop comes to it: `onListChanged` at once then, `onVoxelsChanged`
some time after the first of them.
"""

from __future__ import annotations

from typing import Callable

import qt
import slicer
from slicer.util import VTKObservationMixin

VOXELS_AFTER_MS = 300


class SegmentationObserver(VTKObservationMixin):
    """Of at most one segmentation node at a time."""

    def __init__(self, onListChanged: Callable[[], None], onVoxelsChanged: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._node = None
        self._list = _timer(0, onListChanged)
        self._voxels = _timer(VOXELS_AFTER_MS, onVoxelsChanged)

    def follow(self, segmentationNode) -> None:
        """None: nobody."""
        if segmentationNode is self._node:
            return
        self.removeObservers()
        self._list.stop()
        self._voxels.stop()
        self._node = segmentationNode
        if segmentationNode is None:
            return
        segmentation = slicer.vtkSegmentation
        for event in (
            segmentation.SegmentAdded,
            segmentation.SegmentRemoved,
            segmentation.SegmentModified,
            segmentation.SegmentsOrderModified,
            slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent,
        ):
            self.addObserver(segmentationNode, event, self.onList)
        self.addObserver(segmentationNode, segmentation.SourceRepresentationModified, self.onVoxels)

    def onList(self, _caller, _event) -> None:
        self._list.start()

    def onVoxels(self, _caller, _event) -> None:
        if not self._voxels.isActive():
            self._voxels.start()


def _timer(interval_ms: int, slot: Callable[[], None]):
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(interval_ms)
    timer.connect("timeout()", slot)
    return timer
