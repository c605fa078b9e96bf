"""The line that follows the mouse. It is drawn in the view only; nothing of it is in the scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import vtk

COLOUR = (1.0, 0.85, 0.1)
WIDTH_PIXELS = 2


class RubberBand:
    """One line in one renderer, in pixels; a closed one goes back to its first position."""

    def __init__(self, isClosed: bool = True, colour: tuple[float, float, float] = COLOUR) -> None:
        self._isClosed = isClosed
        self._line = vtk.vtkPolyData()
        self._actor = _actorOf(self._line, colour)
        self._renderer: Optional[vtk.vtkRenderer] = None

    def show(self, renderer, positions: Sequence[tuple[int, int]]) -> None:
        """Draw through these positions, in order."""
        if self._renderer is not renderer:
            self.hide()
            renderer.AddViewProp(self._actor)
            self._renderer = renderer
        points, line = vtk.vtkPoints(), vtk.vtkCellArray()
        for x, y in positions:
            points.InsertNextPoint(x, y, 0)
        numbers = [*range(len(positions)), *([0] if self._isClosed else [])]
        line.InsertNextCell(len(numbers))
        for number in numbers:
            line.InsertCellPoint(number)
        self._line.SetPoints(points)
        self._line.SetLines(line)

    def hide(self) -> None:
        if self._renderer is not None:
            self._renderer.RemoveViewProp(self._actor)
            self._renderer = None


def _actorOf(polyData, colour: tuple[float, float, float]) -> vtk.vtkActor2D:
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.SetInputData(polyData)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*colour)
    actor.GetProperty().SetLineWidth(WIDTH_PIXELS)
    return actor
