"""Tells when a prompt is clicked in a view, and a moment after the hand rests that it was moved, resized or emptied."""

from __future__ import annotations

from typing import Callable, Optional

import qt
import slicer
import vtk

from MedSAM2SlicerLib.PromptKinds import PlacedPrompt
from MedSAM2SlicerLib.PromptMarkups import readPrompt

REST_MS = 200
OBSERVED_EVENTS = (
    vtk.vtkCommand.ModifiedEvent,
    slicer.vtkMRMLMarkupsNode.PointModifiedEvent,
    slicer.vtkMRMLMarkupsNode.PointRemovedEvent,
)
PICKED_EVENTS = (slicer.vtkMRMLMarkupsNode.PointStartInteractionEvent, vtk.vtkCommand.StartInteractionEvent)


class PromptObserver:
    """Follows markups from where they are when `follow` is called. `onMoved` gets the node and what it meant before."""

    def __init__(
        self, onMoved: Callable[[object, Optional[PlacedPrompt]], None], onPicked: Callable[[object], None]
    ) -> None:
        self._onMoved = onMoved
        self._onPicked = onPicked
        self._known: dict = {}  # node: the prompt it was when it was last heard of
        self._tags: dict = {}  # node: tags of its observers
        self._moved = None
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.connect("timeout()", self.onRest)

    def follow(self, node) -> None:
        self._known[node] = readPrompt(node)
        if node not in self._tags:
            self._tags[node] = [node.AddObserver(event, self.onModified) for event in OBSERVED_EVENTS]
            self._tags[node] += [node.AddObserver(event, self.onPicked) for event in PICKED_EVENTS]

    def known(self, node) -> Optional[PlacedPrompt]:
        """What the prompt was when it was last heard of."""
        return self._known.get(node)

    def forget(self, node) -> None:
        """A node that is about to be removed, or any other."""
        if node in self._tags:
            for tag in self._tags.pop(node):
                node.RemoveObserver(tag)
            self._known.pop(node)
        if node is self._moved:
            self._moved = None

    def stop(self) -> None:
        self._rest.stop()
        for node in list(self._tags):
            self.forget(node)

    def onPicked(self, node, _event) -> None:
        self._onPicked(node)

    def onModified(self, node, _event) -> None:
        self._moved = node
        self._rest.start()

    def onRest(self) -> None:
        """Also called by whoever cannot wait for the hand to rest."""
        self._rest.stop()
        node, self._moved = self._moved, None
        before = self._known.get(node)
        if node is not None and readPrompt(node) != before:
            self._known[node] = readPrompt(node)
            self._onMoved(node, before)
