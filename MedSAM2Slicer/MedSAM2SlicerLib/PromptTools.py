"""What a person places with the mouse: boxes and points. A tool knows views and volumes, never the engine.

A tool is told of the press, the moves and the release of the left button, and answers the release with what was placed,
or None. `isOnce` says whether it is put away after that. `forget` ends a gesture in its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
from slicer.i18n import tr as _

from medsam2_protocol.prompts import BoxPrompt, PointPrompt
from MedSAM2SlicerLib.Geometry import VolumeFrame, boxOnSlice, pointOnSlice, viewNormal
from MedSAM2SlicerLib.PromptKinds import PlacedPrompt
from MedSAM2SlicerLib.RubberBand import RubberBand
from MedSAM2SlicerLib.SliceViews import Position, SliceView

SMALLEST_DRAG_PIXELS = 4


@dataclass(frozen=True)
class Placed:
    """A prompt, the axis of its slice, and a sentence about what was left out of it, if something was."""

    prompt: PlacedPrompt
    axis: str
    note: str = ""


class Refused(ValueError):
    """A gesture that cannot become a prompt; the sentence says why and what to do.

    `obliqueView` is the view that would have to be rotated to the volume's planes first, or None.
    """

    def __init__(self, sentence: str, obliqueView: Optional[SliceView] = None) -> None:
        super().__init__(sentence)
        self.obliqueView = obliqueView


class BoxTool:
    """Press, drag, release: a box on the slice that the view shows."""

    isOnce = True

    def __init__(self) -> None:
        self._band = RubberBand()
        self._view: Optional[SliceView] = None
        self._start: Position = (0, 0)

    def press(self, view: SliceView) -> None:
        self._view = view
        self._start = view.position()

    def move(self) -> bool:
        """Returns whether there was something to do."""
        if self._view is None:
            return False
        self._band.show(self._view.renderer, self._corners())
        self._view.render()
        return True

    def release(self, volumeNode) -> Optional[Placed]:
        """None if no button was pressed before.

        Raises:
            Refused: the rectangle is no box of this volume.
        """
        if self._view is None:
            return None
        view, corners = self._view, self._corners()
        self.forget()
        box = boxInView(view, corners, volumeNode)
        return Placed(box, box.axis)

    def forget(self) -> None:
        self._band.hide()
        if self._view is not None:
            self._view.render()
        self._view = None

    def _corners(self) -> list[Position]:
        (x0, y0), (x1, y1) = self._start, self._view.nearestPosition()
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


class PointTool:
    """A click: a point on the slice that the view shows. Shift or Alt turns its sign round."""

    isOnce = False

    def __init__(self, isPositive: bool) -> None:
        self._isPositive = isPositive
        self._view: Optional[SliceView] = None
        self._start: Position = (0, 0)
        self._isTurned = False

    def press(self, view: SliceView) -> None:
        self._view = view
        self._start = view.position()
        self._isTurned = view.isShiftOrAltDown()

    def move(self) -> bool:
        return self._view is not None

    def release(self, volumeNode) -> Optional[Placed]:
        """None if no button was pressed before.

        Raises:
            Refused: there is no voxel of this volume.
        """
        if self._view is None:
            return None
        view = self._view
        self.forget()
        return Placed(*pointInView(view, self._start, volumeNode, self._isPositive != self._isTurned))

    def forget(self) -> None:
        self._view = None


def boxInView(view: SliceView, corners: list[Position], volumeNode) -> BoxPrompt:
    """The box that a rectangle in a view means for a volume.

    Raises:
        Refused: the rectangle is no box of this volume.
    """
    (x0, y0), (x1, y1) = corners[0], corners[2]
    if min(abs(x1 - x0), abs(y1 - y0)) < SMALLEST_DRAG_PIXELS:
        raise Refused(_("Press at one corner of the box, drag to the opposite corner and release."))
    corners_world, axis = inView(view, corners, volumeNode)
    box = boxOnSlice(VolumeFrame(volumeNode), corners_world, axis)
    if box is None:
        raise Refused(_("The box lies outside {volume}. Draw it over the image.").format(volume=volumeNode.GetName()))
    return box


def pointInView(view: SliceView, position: Position, volumeNode, isPositive: bool) -> tuple[PointPrompt, str]:
    """The point that a click in a view means for a volume, and the axis of the slice it lies on.

    Raises:
        Refused: there is no voxel of this volume.
    """
    points_world, axis = inView(view, [position], volumeNode)
    point = pointOnSlice(VolumeFrame(volumeNode), points_world[0], axis, isPositive)
    if point is None:
        raise Refused(_("The point lies outside {volume}. Click on the image.").format(volume=volumeNode.GetName()))
    return point, axis


def inView(view: SliceView, positions: list[Position], volumeNode) -> tuple[np.ndarray, str]:
    """The positions in world (N, 3), and the axis whose slices the view shows.

    Raises:
        Refused: the view shows another volume, no plane of this one, or several slices at once.
    """
    if not view.shows(volumeNode):
        raise Refused(
            _(
                "This view shows {shown}, but the prompt is for {chosen}. Choose the volume that you want to segment."
            ).format(shown=view.shownVolumeName() or _("no volume"), chosen=volumeNode.GetName())
        )
    if volumeNode.GetImageData() is None:
        raise Refused(_("{volume} has no voxels. Choose another volume.").format(volume=volumeNode.GetName()))
    if len(view.slicesUnder(positions)) > 1:
        raise Refused(_("The line goes from one slice of the light box to another. Draw it on one of them."))
    points_world = view.worldAt(positions)
    axis = VolumeFrame(volumeNode).sliceAxisAlong(viewNormal(view.sliceNode), points_world.mean(axis=0))
    if axis is None:
        raise Refused(
            _("This view is oblique to {volume}. Rotate it to the volume plane and draw again.").format(
                volume=volumeNode.GetName()
            ),
            view,
        )
    return points_world, axis
