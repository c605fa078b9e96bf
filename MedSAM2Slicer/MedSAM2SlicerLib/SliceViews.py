"""The slice views as a prompt tool needs them: where the mouse is in world, and events that can be kept from others.

Rule: observers exist only between `start` and `stop`. They come before the views' own interactor styles, and an event
that the tool used is aborted, so that a drag does not also change the window or move a markup.
"""

from __future__ import annotations

from typing import Callable

import numpy as np
import qt
import slicer
import vtk

PRIORITY = 10.0
OBSERVED_EVENTS = (
    vtk.vtkCommand.LeftButtonPressEvent,
    vtk.vtkCommand.LeftButtonDoubleClickEvent,  # VTK tells it instead of the second press
    vtk.vtkCommand.LeftButtonReleaseEvent,
    vtk.vtkCommand.RightButtonPressEvent,
    vtk.vtkCommand.MouseMoveEvent,
    vtk.vtkCommand.KeyPressEvent,
)
Position = tuple[int, int]


class SliceView:
    """One slice view."""

    def __init__(self, sliceWidget) -> None:
        self._view = sliceWidget.sliceView()
        self._logic = sliceWidget.sliceLogic()
        self.interactor = self._view.interactor()

    @property
    def sliceNode(self):
        return self._logic.GetSliceNode()

    @property
    def renderer(self):
        return self._view.renderWindow().GetRenderers().GetFirstRenderer()

    def position(self) -> Position:
        """Where the mouse is, in pixels from the lower left."""
        x, y = self.interactor.GetEventPosition()
        return int(x), int(y)

    def holds(self, position: Position) -> bool:
        """Whether a position is inside the view; a button held down brings positions from beside it too."""
        return position == self._inside(position)

    def nearestPosition(self) -> Position:
        """Where the mouse is, or the nearest place inside the view."""
        return self._inside(self.position())

    def _inside(self, position: Position) -> Position:
        width, height = self._view.renderWindow().GetSize()
        return min(max(position[0], 0), width - 1), min(max(position[1], 0), height - 1)

    def slicesUnder(self, positions: list[Position]) -> set[float]:
        """Which of the slices of a light box are under these positions; an ordinary view shows one."""
        return {self._view.convertDeviceToXYZ(position)[2] for position in positions}

    def isShiftOrAltDown(self) -> bool:
        """At the time of the event that is being handled."""
        return bool(self.interactor.GetShiftKey() or self.interactor.GetAltKey())

    def worldAt(self, positions: list[Position]) -> np.ndarray:
        """Points (N, 3) in world, on the view's plane."""
        return np.array([self._view.convertXYZToRAS(self._view.convertDeviceToXYZ(xy)) for xy in positions])

    def shows(self, volumeNode) -> bool:
        return any(
            layer is not None and layer.GetVolumeNode() is volumeNode
            for layer in (self._logic.GetBackgroundLayer(), self._logic.GetForegroundLayer())
        )

    def shownVolumeName(self) -> str:
        volumeNode = self._logic.GetBackgroundLayer().GetVolumeNode()
        return volumeNode.GetName() if volumeNode is not None else ""

    def setCrossCursor(self, isCross: bool) -> None:
        if isCross:
            self._view.setViewCursor(qt.QCursor(qt.Qt.CrossCursor))
        else:
            self._view.unsetViewCursor()

    def render(self) -> None:
        self._view.scheduleRender()


def sliceViewNodes() -> list:
    """The nodes of the slice views that the layout shows, red first.

    The layout manager names those of earlier layouts too, which are hidden, and names them in no order.
    """
    layoutManager = slicer.app.layoutManager()
    names = layoutManager.sliceViewNames() if layoutManager is not None else ()
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    return [node for node in nodes if node.GetName() in names and node.IsMappedInLayout()]


class SliceViewEvents:
    """Hands every mouse and key event of every slice view to one handler, while started.

    The handler gets the view and VTK's name of the event, and returns whether nobody else shall see the event.
    """

    def __init__(self, handler: Callable[[SliceView, str], bool]) -> None:
        self._handler = handler
        self._observations: list[tuple[object, int]] = []
        self.views: list[SliceView] = []

    def start(self) -> None:
        self.stop()
        layoutManager = slicer.app.layoutManager()
        if layoutManager is None:
            return
        for name in layoutManager.sliceViewNames():
            self._observe(SliceView(layoutManager.sliceWidget(name)))

    def stop(self) -> None:
        for interactor, tag in self._observations:
            interactor.RemoveObserver(tag)
        self._observations = []
        self.views = []

    def _observe(self, view: SliceView) -> None:
        self.views.append(view)
        for event in OBSERVED_EVENTS:
            self._observations.append((view.interactor, self._addObserver(view, event)))

    def _addObserver(self, view: SliceView, event: int) -> int:
        def onEvent(_caller, name):
            # Stopping removes the observer, and its command with it, so the command is fetched before.
            command = view.interactor.GetCommand(tag)
            if self._handler(view, name):
                command.SetAbortFlag(1)

        tag = view.interactor.AddObserver(event, onEvent, PRIORITY)
        return tag
