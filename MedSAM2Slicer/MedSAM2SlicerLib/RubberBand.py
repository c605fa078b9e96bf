"""The rectangle that follows the mouse. It is drawn in the view only; nothing of it is in the scene."""

from __future__ import annotations

from typing import Optional

import vtk

COLOUR = (1.0, 0.85, 0.1)
WIDTH_PIXELS = 2


class RubberBand:
    """One rectangle in one renderer, in pixels."""

    def __init__(self) -> None:
        self._points = vtk.vtkPoints()
        self._points.SetNumberOfPoints(4)
        self._outline = vtk.vtkPolyData()
        self._outline.SetPoints(self._points)
        self._outline.SetLines(_closedLine())
        self._actor = _actorOf(self._outline)
        self._renderer: Optional[vtk.vtkRenderer] = None

    def show(self, renderer, corners: list[tuple[int, int]]) -> None:
        """Draw through four corners, in order around the rectangle."""
        if self._renderer is not renderer:
            self.hide()
            renderer.AddViewProp(self._actor)
            self._renderer = renderer
        for index, (x, y) in enumerate(corners):
            self._points.SetPoint(index, x, y, 0)
        self._points.Modified()
        self._outline.Modified()

    def hide(self) -> None:
        if self._renderer is not None:
            self._renderer.RemoveViewProp(self._actor)
            self._renderer = None


def _closedLine() -> vtk.vtkCellArray:
    line = vtk.vtkCellArray()
    line.InsertNextCell(5)
    for index in (0, 1, 2, 3, 0):
        line.InsertCellPoint(index)
    return line


def _actorOf(polyData) -> vtk.vtkActor2D:
    mapper = vtk.vtkPolyDataMapper2D()
    mapper.SetInputData(polyData)
    actor = vtk.vtkActor2D()
    actor.SetMapper(mapper)
    actor.GetProperty().SetColor(*COLOUR)
    actor.GetProperty().SetLineWidth(WIDTH_PIXELS)
    return actor
