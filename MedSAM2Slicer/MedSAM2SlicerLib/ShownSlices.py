"""Tells when a slice view shows another slice, a moment after it has changed."""

from __future__ import annotations

from typing import Callable

import qt
import slicer
import vtk

REST_MS = 30


class ShownSlices:
    """Between `start` and `stop`; `onChanged` is called on Slicer's main thread."""

    def __init__(self, onChanged: Callable[[], None]) -> None:
        self._observed: list[tuple[object, int]] = []
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.connect("timeout()", onChanged)

    def start(self) -> None:
        self.stop()
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            self._observed.append((node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self.onModified)))

    def stop(self) -> None:
        self._rest.stop()
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed = []

    def onModified(self, _node, _event) -> None:
        if not self._rest.isActive():
            self._rest.start()
