"""Tells when a box that is being followed has been moved or resized, a moment after the hand rests."""

from __future__ import annotations

from typing import Callable, Optional

import qt
import vtk

from MedSAM2SlicerLib.PromptMarkups import readBox

REST_MS = 200


class PromptObserver:
    """Follows one markup at a time. `onMoved` gets the node."""

    def __init__(self, onMoved: Callable[[object], None]) -> None:
        self._onMoved = onMoved
        self._node = None
        self._known: Optional[object] = None
        self._observations: list[tuple[object, int]] = []
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.connect("timeout()", self.onRest)

    def follow(self, node) -> None:
        """Follow this node, and no other any more, from where it is now."""
        self._known = readBox(node)
        if node is self._node:
            return
        self.stop()
        self._known = readBox(node)
        self._node = node
        self._observations.append((node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self.onModified)))

    def stop(self) -> None:
        self._rest.stop()
        for node, tag in self._observations:
            node.RemoveObserver(tag)
        self._observations = []
        self._node = None
        self._known = None

    def onModified(self, _caller, _event) -> None:
        if self._node.GetScene() is not None:
            self._rest.start()

    def onRest(self) -> None:
        node = self._node
        if node is not None and node.GetScene() is not None and readBox(node) != self._known:
            self._onMoved(node)
