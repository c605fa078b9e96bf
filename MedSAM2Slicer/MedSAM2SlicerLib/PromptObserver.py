"""Tells when a box has been moved or resized, a moment after the hand rests."""

from __future__ import annotations

from typing import Callable

import qt
import vtk

from MedSAM2SlicerLib.PromptMarkups import readBox

REST_MS = 200


class PromptObserver:
    """Follows markups from where they are when `follow` is called. `onMoved` gets the node that was moved last."""

    def __init__(self, onMoved: Callable[[object], None]) -> None:
        self._onMoved = onMoved
        self._known: dict = {}  # node: the box it meant when it was last heard of
        self._tags: dict = {}  # node: tag of its observer
        self._moved = None
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.connect("timeout()", self.onRest)

    def follow(self, node) -> None:
        self._known[node] = readBox(node)
        if node not in self._tags:
            self._tags[node] = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self.onModified)

    def forget(self, node) -> None:
        """A node that is about to be removed, or any other."""
        if node in self._tags:
            node.RemoveObserver(self._tags.pop(node))
            self._known.pop(node)
        if node is self._moved:
            self._moved = None

    def stop(self) -> None:
        self._rest.stop()
        for node in list(self._tags):
            self.forget(node)

    def onModified(self, node, _event) -> None:
        self._moved = node
        self._rest.start()

    def onRest(self) -> None:
        node, self._moved = self._moved, None
        if node is not None and readBox(node) != self._known[node]:
            self._known[node] = readBox(node)
            self._onMoved(node)
