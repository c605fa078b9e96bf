"""The line round a mask on a slice, for people to see; the mask itself is kept exactly."""

from __future__ import annotations

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from medsam2_protocol.prompts import MaskPrompt, Path, axis_kji
from medsam2_protocol.strokes import thinned


def outlineOf(prompt: MaskPrompt) -> Path:
    """Round the piece of the mask with the longest outline, through the edges of its voxels, in slice coordinates."""
    axis = axis_kji(prompt.axis)
    mask = np.squeeze(prompt.region.voxels(), axis=axis)
    row, column = (start for n, start in enumerate(prompt.region.start_kji) if n != axis)
    longest = max(_outlines(np.pad(mask, 1)), key=_length)
    return thinned(tuple((x + column - 1, y + row - 1) for x, y in longest))


def _outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Closed lines (N, 2) as x, y, half-way between the voxels of a mask whose border is empty."""
    image = vtk.vtkImageData()
    image.SetDimensions(mask.shape[1], mask.shape[0], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
    contours = vtk.vtkMarchingSquares()
    contours.SetInputData(image)
    contours.SetValue(0, 0.5)
    joined = vtk.vtkStripper()
    joined.SetInputConnection(contours.GetOutputPort())
    joined.SetMaximumLength(mask.size * 4)
    joined.Update()
    lines, points = joined.GetOutput().GetLines(), vtk_to_numpy(joined.GetOutput().GetPoints().GetData())[:, :2]
    found, ids = [], vtk.vtkIdList()
    lines.InitTraversal()
    while lines.GetNextCell(ids):
        found.append(points[[ids.GetId(number) for number in range(ids.GetNumberOfIds())]])
    return found


def _length(line: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
