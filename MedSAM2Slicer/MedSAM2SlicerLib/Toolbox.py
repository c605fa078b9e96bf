"""The tools of `PromptTools` and `StrokeTools`, of which at most one is armed.

It gets the mouse in all slice views until it is put away.
Armed again while it is armed, or put away in the middle of a drag, a tool forgets what it had begun.
"""

from __future__ import annotations

from typing import Callable

from MedSAM2SlicerLib.PromptKinds import BOX, LASSO, NEGATIVE, POSITIVE, SCRIBBLE
from MedSAM2SlicerLib.PromptTools import BoxTool, Placed, PointTool, Refused
from MedSAM2SlicerLib.SliceViews import SliceView, SliceViewEvents
from MedSAM2SlicerLib.StrokeTools import lassoTool, scribbleTool


class Toolbox:
    """`armed` is the kind of prompt that the mouse makes now, or empty."""

    def __init__(
        self,
        onPlaced: Callable[[Placed], None],
        onRefused: Callable[[Refused], None],
        onDisarmed: Callable[[], None],
    ) -> None:
        self.armed = ""
        self._tools = {
            BOX: BoxTool(),
            LASSO: lassoTool(),
            SCRIBBLE: scribbleTool(),
            POSITIVE: PointTool(True),
            NEGATIVE: PointTool(False),
        }
        self._onPlaced = onPlaced
        self._onRefused = onRefused
        self._onDisarmed = onDisarmed
        self._events = SliceViewEvents(self.onViewEvent)
        self._volumeNode = None

    def arm(self, kind: str, volumeNode) -> None:
        """Wait for a prompt of this kind on this volume, in any slice view."""
        self._forgetGesture()
        self.armed, self._volumeNode = kind, volumeNode
        self._events.start()
        for view in self._events.views:
            view.setCrossCursor(True)

    def disarm(self) -> None:
        if not self.armed:
            return
        self._forgetGesture()
        for view in self._events.views:
            view.setCrossCursor(False)
        self._events.stop()
        self.armed, self._volumeNode = "", None
        self._onDisarmed()

    def onViewEvent(self, view: SliceView, event: str) -> bool:
        """Returns whether the event was used up."""
        if event == "LeftButtonPressEvent":
            self._tools[self.armed].press(view)
            return True
        if event == "LeftButtonDoubleClickEvent":
            return self._onPressedTwice(view)
        if event == "MouseMoveEvent":
            return self._tools[self.armed].move()
        if event == "LeftButtonReleaseEvent":
            return self._onRelease()
        if event == "RightButtonPressEvent" or view.interactor.GetKeySym() == "Escape":
            self.disarm()
            return True
        return False

    def _onPressedTwice(self, view: SliceView) -> bool:
        """The second press begins another box or line; a second point on the first would say nothing new. In any case
        Slicer would make the view as large as the layout."""
        if self.armed not in (POSITIVE, NEGATIVE):
            self._tools[self.armed].press(view)
        return True

    def _onRelease(self) -> bool:
        tool = self._tools[self.armed]
        try:
            placed = tool.release(self._volumeNode)
        except Refused as refusal:
            self._onRefused(refusal)
            return True
        if placed is None:
            return False
        if tool.isOnce:
            self.disarm()
        self._onPlaced(placed)
        return True

    def _forgetGesture(self) -> None:
        if self.armed:
            self._tools[self.armed].forget()
