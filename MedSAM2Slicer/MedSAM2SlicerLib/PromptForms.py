"""What a prompt is in the scene: one form of markup for every kind, each of which puts it there and reads it back.

A box is a markups ROI, aligned with the axes of its volume and one slice thick: the one markup whose outline and
handles stay a rectangle while it is edited, that needs no view of its own to be edited in, and that carries its
orientation along. A point is a fiducial with one control point, a scribble an open and a lasso a closed curve of
straight lines. A mask is its outline, which cannot be moved; the exact voxels are an attribute of the node.
"""

from __future__ import annotations

import base64
import zlib
from functools import lru_cache
from typing import Optional, Protocol

import numpy as np
import slicer

from medsam2_protocol.prompts import BoxPrompt, LassoPrompt, MaskPrompt, Path, PointPrompt, ScribblePrompt, axis_kji
from medsam2_protocol.strokes import lasso_interior
from medsam2_protocol.tagged import from_json, to_json
from MedSAM2SlicerLib.Geometry import (
    VolumeFrame,
    boxOfCorners,
    cornersOfRoi,
    pathOnSlice,
    pointOnSlice,
    rasOfIjk,
    rasOfPath,
    roiOfBox,
    vtkMatrix,
)
from MedSAM2SlicerLib.MaskOutline import outlineOf
from MedSAM2SlicerLib.PromptKinds import BOX, LASSO, MASK, NEGATIVE, NEGATIVE_SCRIBBLE, POSITIVE, SCRIBBLE

MASK_ATTRIBUTE = "MedSAM2Slicer.Mask"
MASKS_READ = 256
PROMPTS_READ = 512


class Form(Protocol):
    """`read` and `place` take the volume's frame of now. The node is under the volume's parent transform."""

    nodeClass: str

    def place(self, node, frame: VolumeFrame, prompt) -> None:
        """Put the markup where the prompt is."""

    def read(self, node, frame: VolumeFrame, volumeNode, axis: str):
        """What the markup means now; None if it is on no voxel."""

    def isEmptied(self, node) -> bool:
        """Whether what made it a prompt was deleted in a view."""


class BoxForm:
    nodeClass = "vtkMRMLMarkupsROINode"

    def place(self, node, frame: VolumeFrame, prompt: BoxPrompt) -> None:
        placement = roiOfBox(frame, prompt)
        with slicer.util.NodeModify(node):
            node.SetAndObserveObjectToNodeMatrix(vtkMatrix(placement.object_to_ras))
            node.SetSize(*placement.size_mm)

    def read(self, node, frame: VolumeFrame, volumeNode, axis: str) -> Optional[BoxPrompt]:
        return _understood(boxOfCorners, frame, cornersOfRoi(volumeNode, node), axis)

    def isEmptied(self, node) -> bool:
        return False


class PointForm:
    nodeClass = "vtkMRMLMarkupsFiducialNode"

    def __init__(self, isPositive: bool) -> None:
        self._isPositive = isPositive

    def place(self, node, frame: VolumeFrame, prompt: PointPrompt) -> None:
        _setPoints(node, rasOfIjk(frame, np.array([prompt.ijk])))

    def read(self, node, frame: VolumeFrame, volumeNode, axis: str) -> Optional[PointPrompt]:
        if self.isEmptied(node):
            return None
        return _understood(_pointOf, frame, pointsWorld(node), axis, self._isPositive)

    def isEmptied(self, node) -> bool:
        return node.GetNumberOfDefinedControlPoints() == 0


class ScribbleForm:
    nodeClass = "vtkMRMLMarkupsCurveNode"

    def __init__(self, isPositive: bool) -> None:
        self._isPositive = isPositive

    def place(self, node, frame: VolumeFrame, prompt: ScribblePrompt) -> None:
        _placePath(node, frame, prompt.axis, prompt.slice, prompt.path)

    def read(self, node, frame: VolumeFrame, volumeNode, axis: str) -> Optional[ScribblePrompt]:
        if self.isEmptied(node):
            return None
        return _understood(_scribbleOf, frame, pointsWorld(node), axis, self._isPositive)

    def isEmptied(self, node) -> bool:
        return node.GetNumberOfDefinedControlPoints() < 2


class LassoForm:
    nodeClass = "vtkMRMLMarkupsClosedCurveNode"

    def place(self, node, frame: VolumeFrame, prompt: LassoPrompt) -> None:
        _placePath(node, frame, prompt.axis, prompt.slice, prompt.path)

    def read(self, node, frame: VolumeFrame, volumeNode, axis: str) -> Optional[LassoPrompt]:
        if self.isEmptied(node):
            return None
        return _understood(_lassoOf, frame, pointsWorld(node), axis)

    def isEmptied(self, node) -> bool:
        return node.GetNumberOfDefinedControlPoints() < 3


class MaskForm:
    nodeClass = "vtkMRMLMarkupsClosedCurveNode"

    def place(self, node, frame: VolumeFrame, prompt: MaskPrompt) -> None:
        node.SetAttribute(MASK_ATTRIBUTE, _textOfMask(prompt))
        _placePath(node, frame, prompt.axis, prompt.slice, outlineOf(prompt))
        node.SetLocked(True)

    def read(self, node, frame: VolumeFrame, volumeNode, axis: str) -> Optional[MaskPrompt]:
        """None too if the volume has other dimensions now."""
        prompt = _maskFromText(node.GetAttribute(MASK_ATTRIBUTE) or "")
        if prompt is None or any(stop > size for stop, size in zip(prompt.region.stop_kji, frame.shape_ijk[::-1])):
            return None
        return prompt

    def isEmptied(self, node) -> bool:
        return node.GetNumberOfDefinedControlPoints() == 0


FORMS: dict[str, Form] = {
    BOX: BoxForm(),
    LASSO: LassoForm(),
    MASK: MaskForm(),
    POSITIVE: PointForm(True),
    NEGATIVE: PointForm(False),
    SCRIBBLE: ScribbleForm(True),
    NEGATIVE_SCRIBBLE: ScribbleForm(False),
}


def pointsWorld(node) -> np.ndarray:
    """Control points (N, 3) in world."""
    points, position = [], np.zeros(3)
    for number in range(node.GetNumberOfControlPoints()):
        node.GetNthControlPointPositionWorld(number, position)
        points.append(position.copy())
    return np.array(points).reshape(-1, 3)


def _understood(reading, frame: VolumeFrame, points: np.ndarray, axis: str, *details):
    """`reading(frame, points, axis, *details)`. The panel asks for every prompt often, and few have moved meanwhile."""
    if frame.isBent:
        return reading(frame, points, axis, *details)
    return _remembered(reading, frame, points.tobytes(), axis, details)


@lru_cache(maxsize=PROMPTS_READ)
def _remembered(reading, frame: VolumeFrame, points: bytes, axis: str, details: tuple):
    return reading(frame, np.frombuffer(points).reshape(-1, 3), axis, *details)


def _pointOf(frame: VolumeFrame, points_world: np.ndarray, axis: str, isPositive: bool) -> Optional[PointPrompt]:
    return pointOnSlice(frame, points_world[0], axis, isPositive)


def _scribbleOf(frame: VolumeFrame, points_world: np.ndarray, axis: str, isPositive: bool) -> Optional[ScribblePrompt]:
    found = pathOnSlice(frame, points_world, axis)
    if found is None or not _touchesSlice(found[1], frame, axis):
        return None
    return _promptOrNone(lambda: ScribblePrompt(axis, *found, isPositive))


def _lassoOf(frame: VolumeFrame, points_world: np.ndarray, axis: str) -> Optional[LassoPrompt]:
    found = pathOnSlice(frame, points_world, axis)
    if found is None or not lasso_interior(found[1], _sliceShape(frame, axis)).any():
        return None
    return _promptOrNone(lambda: LassoPrompt(axis, *found))


def _textOfMask(prompt: MaskPrompt) -> str:
    """In characters that need no care in a scene file."""
    return base64.b64encode(zlib.compress(to_json(prompt).encode("ascii"))).decode("ascii")


@lru_cache(maxsize=MASKS_READ)
def _maskFromText(text: str) -> Optional[MaskPrompt]:
    """The panel asks for every prompt often, and a mask may be large."""
    try:
        prompt = from_json(zlib.decompress(base64.b64decode(text, validate=True)), MaskPrompt)
    except (ValueError, zlib.error):
        return None
    return prompt if not prompt.region.is_empty else None


def _placePath(node, frame: VolumeFrame, axis: str, index: int, path: Path) -> None:
    node.SetCurveTypeToLinear()
    node.SetNumberOfPointsPerInterpolatingSegment(1)
    _setPoints(node, rasOfPath(frame, axis, index, path))


def _setPoints(node, points_ras: np.ndarray) -> None:
    """As many control points, at these places (N, 3) in the node's own frame; told once."""
    with slicer.util.NodeModify(node):
        while node.GetNumberOfControlPoints() > len(points_ras):
            node.RemoveNthControlPoint(node.GetNumberOfControlPoints() - 1)
        for number, point in enumerate(points_ras):
            position = [float(value) for value in point]
            if number < node.GetNumberOfControlPoints():
                node.SetNthControlPointPosition(number, *position)
            else:
                node.AddControlPoint(*position)


def _sliceShape(frame: VolumeFrame, axis: str) -> tuple[int, int]:
    rows, columns = (size for n, size in enumerate(frame.shape_ijk[::-1]) if n != axis_kji(axis))
    return rows, columns


def _touchesSlice(path: Path, frame: VolumeFrame, axis: str) -> bool:
    rows, columns = _sliceShape(frame, axis)
    return any(-0.5 <= x < columns - 0.5 and -0.5 <= y < rows - 0.5 for x, y in path)


def _promptOrNone(make):
    """Control points that were pulled into one another make no stroke."""
    try:
        return make()
    except ValueError:
        return None
