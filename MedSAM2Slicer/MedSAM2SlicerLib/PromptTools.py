"""One class per prompt that a person places with the mouse. A tool knows views and volumes, never the engine.

A tool is armed, used once and disarmed. Armed again while it is armed, or disarmed in the middle of a drag, it forgets
what it had begun.
"""

from __future__ import annotations

from typing import Callable, Optional

from slicer.i18n import tr as _

from medsam2_protocol.prompts import BoxPrompt
from MedSAM2SlicerLib.Geometry import VolumeFrame, boxOnSlice, viewNormal
from MedSAM2SlicerLib.RubberBand import RubberBand
from MedSAM2SlicerLib.SliceViews import Position, SliceView, SliceViewEvents

SMALLEST_DRAG_PIXELS = 4


class Refused(ValueError):
    """A gesture that cannot become a prompt; the sentence says why and what to do."""


class BoxTool:
    """Press, drag, release: a box on the slice that the view shows."""

    def __init__(
        self, onPlaced: Callable[[BoxPrompt], None], onRefused: Callable[[str], None], onDisarmed: Callable[[], None]
    ) -> None:
        self._onPlaced = onPlaced
        self._onRefused = onRefused
        self._onDisarmed = onDisarmed
        self._events = SliceViewEvents(self.onViewEvent)
        self._band = RubberBand()
        self._volumeNode = None
        self._view: Optional[SliceView] = None
        self._start: Position = (0, 0)

    @property
    def isArmed(self) -> bool:
        return self._volumeNode is not None

    def arm(self, volumeNode) -> None:
        """Wait for a box on this volume, in any slice view."""
        self._forgetDrag()
        self._volumeNode = volumeNode
        self._events.start()
        for view in self._events.views:
            view.setCrossCursor(True)

    def disarm(self) -> None:
        if not self.isArmed:
            return
        self._forgetDrag()
        for view in self._events.views:
            view.setCrossCursor(False)
        self._events.stop()
        self._volumeNode = None
        self._onDisarmed()

    def onViewEvent(self, view: SliceView, event: str) -> bool:
        """Returns whether the event was used up."""
        if event == "LeftButtonPressEvent":
            return self._onPress(view)
        if event == "MouseMoveEvent":
            return self._onMove()
        if event == "LeftButtonReleaseEvent":
            return self._onRelease()
        if event == "RightButtonPressEvent" or view.interactor.GetKeySym() == "Escape":
            self.disarm()
            return True
        return False

    def _onPress(self, view: SliceView) -> bool:
        self._view = view
        self._start = view.position()
        return True

    def _onMove(self) -> bool:
        if self._view is None:
            return False
        self._band.show(self._view.renderer, self._corners())
        self._view.render()
        return True

    def _onRelease(self) -> bool:
        if self._view is None:
            return False
        view, corners, volumeNode = self._view, self._corners(), self._volumeNode
        self._forgetDrag()
        try:
            box = boxInView(view, corners, volumeNode)
        except Refused as refusal:
            self._onRefused(str(refusal))
            return True
        self.disarm()
        self._onPlaced(box)
        return True

    def _corners(self) -> list[Position]:
        (x0, y0), (x1, y1) = self._start, self._view.position()
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]

    def _forgetDrag(self) -> None:
        self._band.hide()
        if self._view is not None:
            self._view.render()
        self._view = None


def boxInView(view: SliceView, corners: list[Position], volumeNode) -> BoxPrompt:
    """The box that a rectangle in a view means for a volume.

    Raises:
        Refused: the rectangle is no box of this volume.
    """
    (x0, y0), (x1, y1) = corners[0], corners[2]
    if min(abs(x1 - x0), abs(y1 - y0)) < SMALLEST_DRAG_PIXELS:
        raise Refused(_("Press at one corner of the box, drag to the opposite corner and release."))
    if not view.shows(volumeNode):
        raise Refused(
            _(
                "This view shows {shown}, but the box is for {chosen}. Choose the volume that you want to segment."
            ).format(shown=view.shownVolumeName() or _("no volume"), chosen=volumeNode.GetName())
        )
    frame = VolumeFrame(volumeNode)
    corners_world = view.worldAt(corners)
    axis = frame.sliceAxisAlong(viewNormal(view.sliceNode), corners_world.mean(axis=0))
    if axis is None:
        raise Refused(
            _(
                "This view is oblique to {volume}. Rotate it to the volume plane (slice view menu) and draw again."
            ).format(volume=volumeNode.GetName())
        )
    box = boxOnSlice(frame, corners_world, axis)
    if box is None:
        raise Refused(_("The box lies outside {volume}. Draw it over the image.").format(volume=volumeNode.GetName()))
    return box
