"""Freehand lines: a scribble through the object, or through what it is not, and a lasso round it."""

from __future__ import annotations

from typing import Callable, Optional

import numpy as np
from slicer.i18n import tr as _

from medsam2_protocol.prompts import LassoPrompt, Path, ScribblePrompt, axis_kji
from medsam2_protocol.strokes import lasso_interior, thinned
from MedSAM2SlicerLib.Geometry import VolumeFrame, pathOnSlice
from MedSAM2SlicerLib.PromptKinds import LASSO, NEGATIVE_SCRIBBLE, SCRIBBLE
from MedSAM2SlicerLib.PromptStyle import COLOURS
from MedSAM2SlicerLib.PromptTools import Placed, Refused, inView
from MedSAM2SlicerLib.RubberBand import RubberBand
from MedSAM2SlicerLib.SliceViews import Position, SliceView

SHORTEST_PIXELS = 6


class Stroke:
    """The positions that the mouse passed in one view, drawn while it goes on. Positions outside the view are kept
    apart: there the line would lie on what another view shows."""

    def __init__(self, isClosed: bool, colour: tuple[float, float, float]) -> None:
        self.view: Optional[SliceView] = None
        self.positions: list[Position] = []
        self.hasLeftView = False
        self._band = RubberBand(isClosed, colour)

    @property
    def reach(self) -> int:
        """Pixels that the line extends over, the larger of width and height."""
        return int(np.ptp(np.array(self.positions), axis=0).max()) if self.positions else 0

    def begin(self, view: SliceView) -> None:
        self.end()
        self.view = view
        self.goOn()

    def goOn(self) -> None:
        position = self.view.position()
        if not self.view.holds(position):
            self.hasLeftView = True
        elif not self.positions or position != self.positions[-1]:
            self.positions.append(position)
            self._band.show(self.view.renderer, self.positions)
            self.view.render()

    def end(self) -> None:
        self._band.hide()
        if self.view is not None:
            self.view.render()
        self.view, self.positions, self.hasLeftView = None, [], False


class StrokeTool:
    """Press, drag, release: `promptOf` makes a prompt of the line, or refuses it."""

    def __init__(self, isOnce: bool, stroke: Stroke, promptOf: Callable) -> None:
        self.isOnce = isOnce
        self._stroke = stroke
        self._promptOf = promptOf
        self._isTurned = False

    def press(self, view: SliceView) -> None:
        self._isTurned = view.isShiftOrAltDown()
        self._stroke.begin(view)

    def move(self) -> bool:
        if self._stroke.view is None:
            return False
        self._stroke.goOn()
        return True

    def release(self, volumeNode) -> Optional[Placed]:
        """
        Raises:
            Refused: the line is no prompt of this volume.
        """
        stroke = self._stroke
        if stroke.view is None:
            return None
        stroke.goOn()
        view, positions, reach, hasLeft = stroke.view, list(stroke.positions), stroke.reach, stroke.hasLeftView
        self.forget()
        placed = self._promptOf(view, positions, reach, volumeNode, self._isTurned)
        note = _("What was drawn outside the view was left out.") if hasLeft else placed.note
        return Placed(placed.prompt, placed.axis, note)

    def forget(self) -> None:
        self._stroke.end()


def scribbleTool(isPositive: bool = True) -> StrokeTool:
    def promptOf(view: SliceView, positions: list[Position], reach: int, volumeNode, isTurned: bool) -> Placed:
        return scribbleInView(view, positions, reach, volumeNode, isPositive != isTurned)

    colour = COLOURS[SCRIBBLE if isPositive else NEGATIVE_SCRIBBLE]
    return StrokeTool(False, Stroke(False, colour), promptOf)


def lassoTool() -> StrokeTool:
    def promptOf(view: SliceView, positions: list[Position], reach: int, volumeNode, isTurned: bool) -> Placed:
        return lassoInView(view, positions, reach, volumeNode)

    return StrokeTool(True, Stroke(True, COLOURS[LASSO]), promptOf)


def scribbleInView(view: SliceView, positions: list[Position], reach: int, volumeNode, isPositive: bool) -> Placed:
    """The scribble that a line in a view means for a volume; what lies outside the volume is left out.

    Raises:
        Refused: too short, or on no voxel.
    """
    if reach < SHORTEST_PIXELS:
        raise Refused(_("That is too short for a scribble. Press, draw a line through the object and release."))
    axis, index, path, shape = _pathInView(view, positions, volumeNode)
    inside = _longestInside(path, shape)
    if len(inside) < 2:
        raise Refused(
            _("The scribble lies outside {volume}. Draw it over the image.").format(volume=volumeNode.GetName())
        )
    try:
        prompt = ScribblePrompt(axis, index, thinned(inside), isPositive)
    except ValueError:
        raise Refused(_("That is too short for a scribble. Zoom in, or click a point (P).")) from None
    hasLeft = len(inside) < len(path)
    return Placed(prompt, axis, _("What was drawn outside the volume was left out.") if hasLeft else "")


def lassoInView(view: SliceView, positions: list[Position], reach: int, volumeNode) -> Placed:
    """The lasso that a line in a view means for a volume.

    Raises:
        Refused: too small, or without a voxel inside.
    """
    if reach < SHORTEST_PIXELS or len(set(positions)) < 3:
        raise Refused(_("That is too small for a lasso. Press, draw a line round the object and release."))
    axis, index, path, shape = _pathInView(view, positions, volumeNode)
    if not _reaches(path, shape):
        raise Refused(_("The lasso lies outside {volume}. Draw it over the image.").format(volume=volumeNode.GetName()))
    line = thinned(path)
    if len(set(line)) < 3 or not lasso_interior(line, shape).any():
        raise Refused(_("The lasso encloses no voxel. Draw it round the object, or zoom in."))
    return Placed(LassoPrompt(axis, index, line), axis)


def _pathInView(view: SliceView, positions: list[Position], volumeNode) -> tuple[str, int, Path, tuple[int, int]]:
    """Axis, slice and path of a line in a view, and rows and columns of the slice."""
    points_world, axis = inView(view, positions, volumeNode)
    frame = VolumeFrame(volumeNode)
    found = pathOnSlice(frame, points_world, axis)
    if found is None:
        raise Refused(
            _("This view shows no slice of {volume}. Scroll to the image.").format(volume=volumeNode.GetName())
        )
    rows, columns = (size for n, size in enumerate(frame.shape_ijk[::-1]) if n != axis_kji(axis))
    return axis, found[0], found[1], (rows, columns)


def _longestInside(path: Path, shape: tuple[int, int]) -> Path:
    """The longest run of vertices on voxels."""
    rows, columns = shape
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in path:
        if -0.5 <= x < columns - 0.5 and -0.5 <= y < rows - 0.5:
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    return tuple(max(runs, key=len))


def _reaches(path: Path, shape: tuple[int, int]) -> bool:
    """Whether the box around a path touches the slice."""
    low, high = np.min(path, axis=0), np.max(path, axis=0)
    rows, columns = shape
    return bool((high >= -0.5).all() and low[0] < columns - 0.5 and low[1] < rows - 0.5)
