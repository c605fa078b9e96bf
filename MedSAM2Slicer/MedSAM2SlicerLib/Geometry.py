"""Where a voxel is: the only matrix code on Slicer's side.

Three frames, and every coordinate says which one it is in:

* IJK: continuous voxel indices of a volume, the centre of a voxel at an integer.
* RAS: millimetres of one node, before its parent transforms. The volume's own matrix, the one the engine is told, maps
  IJK to this frame.
* world: millimetres after all parent transforms, linear or not: what the views show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional, Union

import numpy as np
import slicer
import vtk

from medsam2_protocol.prompts import AXES, BoxPrompt, Path, PointPrompt

PARALLEL_TOLERANCE_DEG = 1.0
SIGNS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
Rows = tuple[tuple[float, float, float, float], ...]
Mapping = Union[None, np.ndarray, vtk.vtkAbstractTransform]  # nothing to do, a matrix (4, 4), or what bends


class NotALattice(ValueError):
    """Between two nodes lies a non-linear transform, so voxels of one are no grid in the other."""


class VolumeFrame:
    """Conversions for one volume where it is now; make a new one when the volume or its transform may have moved."""

    def __init__(self, volumeNode) -> None:
        self.shape_ijk = tuple(volumeNode.GetImageData().GetDimensions())
        self.ijk_to_ras = ijkToRas(volumeNode)
        self._ras_to_ijk = _inverse(self.ijk_to_ras.tobytes())
        self._rasToWorld = _mapping(volumeNode, None)
        self._worldToRas = _mapping(None, volumeNode)
        self._numbers = (self.shape_ijk, self.ijk_to_ras.tobytes(), _numbersOf(self._rasToWorld))

    def __eq__(self, other) -> bool:
        """Whether both say the same of every point; of bent ones that is known of one and the same only."""
        return self is other or (not self.isBent and self._numbers == getattr(other, "_numbers", None))

    def __hash__(self) -> int:
        return hash(self._numbers)

    @property
    def isBent(self) -> bool:
        """Whether the volume is under a non-linear transform."""
        return self._numbers[-1] is None

    def worldFromIjk(self, points_ijk: np.ndarray) -> np.ndarray:
        """Points (N, 3) in world."""
        return _transformed(self._rasToWorld, _applied(self.ijk_to_ras, points_ijk))

    def ijkFromWorld(self, points_world: np.ndarray) -> np.ndarray:
        """Points (N, 3) in continuous IJK."""
        return _applied(self._ras_to_ijk, _transformed(self._worldToRas, points_world))

    def ijkFromRas(self, points_ras: np.ndarray) -> np.ndarray:
        """Points (N, 3), given in the volume's own RAS, in continuous IJK."""
        return _applied(self._ras_to_ijk, points_ras)

    def sliceAxisAlong(self, normal_world: np.ndarray, at_world: np.ndarray) -> Optional[str]:
        """The axis whose slices lie, at one point, parallel to a plane with this unit normal; None if there is none.

        The normal of a slice is perpendicular to the two other axes. Under a shearing or non-linear transform that is
        not the direction of the axis itself.
        """
        limit = math.cos(math.radians(PARALLEL_TOLERANCE_DEG))
        for letter, normal in zip(AXES, self.sliceNormals(at_world)):
            if abs(np.dot(normal, normal_world)) >= limit:
                return letter
        return None

    def sliceAt(self, point_world, axis: str) -> Optional[int]:
        """The slice along an axis that a point is nearest to; None if the volume has none there."""
        along = AXES.index(axis)
        index = math.floor(self.ijkFromWorld(np.atleast_2d(point_world))[0][along] + 0.5)
        return index if 0 <= index < self.shape_ijk[along] else None

    def sliceThicknessMm(self, axis: str, at_world: np.ndarray) -> float:
        """From one slice along an axis to the next, in world and around a point."""
        along = AXES.index(axis)
        step = self._axesInWorld(at_world)[along]
        return abs(float(step @ self.sliceNormals(at_world)[along]))

    def sliceNormals(self, at_world: np.ndarray) -> list[np.ndarray]:
        """Unit normals, in world and around a point, of the slices along I, J and K."""
        columns = self._axesInWorld(at_world)
        normals = np.cross(columns[[1, 2, 0]], columns[[2, 0, 1]])
        return list(normals / np.linalg.norm(normals, axis=1, keepdims=True))

    def _axesInWorld(self, at_world: np.ndarray) -> np.ndarray:
        """World displacement (3, 3) of one voxel's step along I, J and K, around a point."""
        centre_ijk = self.ijkFromWorld(np.atleast_2d(at_world))
        half = 0.5 * np.eye(3)
        return self.worldFromIjk(centre_ijk + half) - self.worldFromIjk(centre_ijk - half)


@dataclass(frozen=True)
class RoiPlacement:
    """A box in millimetres: `object_to_ras` has its unit directions (right-handed) and its centre."""

    object_to_ras: np.ndarray
    size_mm: tuple[float, float, float]


def viewNormal(sliceNode) -> np.ndarray:
    """Unit normal of a slice view's plane, in world."""
    sliceToRas = sliceNode.GetSliceToRAS()
    normal = np.array([sliceToRas.GetElement(row, 2) for row in range(3)])
    return normal / np.linalg.norm(normal)


def ijkToRas(volumeNode) -> np.ndarray:
    """The volume's own matrix (4, 4), without parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return _array(matrix)


def rows(matrix: np.ndarray) -> Rows:
    """A (4, 4) matrix as the protocol writes it."""
    return tuple(tuple(float(value) for value in row) for row in matrix)


def transformBetween(sourceNode, targetNode) -> vtk.vtkGeneralTransform:
    """From the frame of one transformable node to that of another; None is world."""
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(_parent(sourceNode), _parent(targetNode), transform)
    return transform


def boxOnSlice(frame: VolumeFrame, corners_world: np.ndarray, axis: str) -> Optional[BoxPrompt]:
    """The box on the nearest slice that encloses these points, clipped to the voxels; None if it lies outside."""
    return _clipped(frame, frame.ijkFromWorld(corners_world), axis)


def pointOnSlice(frame: VolumeFrame, point_world: np.ndarray, axis: str, isPositive: bool) -> Optional[PointPrompt]:
    """The point in the nearest slice along the axis; None if it lies outside the voxels."""
    ijk = frame.ijkFromWorld(np.atleast_2d(point_world))[0]
    ijk[AXES.index(axis)] = math.floor(ijk[AXES.index(axis)] + 0.5)
    if (ijk < -0.5).any() or (ijk > np.array(frame.shape_ijk) - 0.5).any():
        return None
    return PointPrompt((float(ijk[0]), float(ijk[1]), float(ijk[2])), isPositive)


def pathOnSlice(frame: VolumeFrame, points_world: np.ndarray, axis: str) -> Optional[tuple[int, Path]]:
    """The slice along the axis that most of these points are nearest to, and where they lie in it, on voxels or not.

    None if the volume has no such slice.
    """
    points_ijk = frame.ijkFromWorld(points_world)
    along = AXES.index(axis)
    index = math.floor(float(np.median(points_ijk[:, along])) + 0.5)
    if not 0 <= index < frame.shape_ijk[along]:
        return None
    return index, tuple((float(x), float(y)) for x, y in np.delete(points_ijk, along, axis=1))


def rasOfPath(frame: VolumeFrame, axis: str, index: int, path: Path) -> np.ndarray:
    """The vertices (N, 3) of a path on a slice, in the volume's own RAS."""
    return rasOfIjk(frame, np.insert(np.asarray(path, float), AXES.index(axis), index, axis=1))


def rasOfIjk(frame: VolumeFrame, points_ijk: np.ndarray) -> np.ndarray:
    """Points (N, 3) in the volume's own RAS."""
    return _applied(frame.ijk_to_ras, points_ijk)


def roiOfBox(frame: VolumeFrame, box: BoxPrompt) -> RoiPlacement:
    """The box, one slice thick, in the volume's own RAS."""
    low, high = _corners(box)
    columns = frame.ijk_to_ras[:3, :3]
    spacing_mm = np.linalg.norm(columns, axis=0)
    directions = columns / spacing_mm
    if np.linalg.det(directions) < 0:
        directions[:, 2] *= -1
    placement = np.eye(4)
    placement[:3, :3] = directions
    placement[:3, 3] = _applied(frame.ijk_to_ras, (low + high)[np.newaxis] / 2)[0]
    size_mm = (high - low) * spacing_mm
    return RoiPlacement(placement, (float(size_mm[0]), float(size_mm[1]), float(size_mm[2])))


def boxOfRoi(frame: VolumeFrame, volumeNode, roiNode, axis: str) -> Optional[BoxPrompt]:
    """The box that an ROI now means for a volume, whichever transforms the two are under; None if it lies outside."""
    return boxOfCorners(frame, cornersOfRoi(volumeNode, roiNode), axis)


def cornersOfRoi(volumeNode, roiNode) -> np.ndarray:
    """The corners (8, 3) of an ROI in the RAS of a volume."""
    corners = _applied(_array(roiNode.GetObjectToNodeMatrix()), SIGNS * (np.array(roiNode.GetSize()) / 2))
    return _transformed(_mapping(roiNode, volumeNode), corners)


def boxOfCorners(frame: VolumeFrame, corners_ras: np.ndarray, axis: str) -> Optional[BoxPrompt]:
    """The box on the nearest slice that encloses these points (N, 3); None if it lies outside."""
    return _clipped(frame, frame.ijkFromRas(corners_ras), axis)


def ijkToSegmentation(volumeNode, segmentationNode) -> vtk.vtkMatrix4x4:
    """The volume's lattice in the frame of a segmentation node.

    Raises:
        NotALattice: the two nodes are under different transforms and the difference is not linear.
    """
    difference = vtk.vtkTransform()
    between = transformBetween(volumeNode, segmentationNode)
    if not slicer.vtkMRMLTransformNode.IsGeneralTransformLinear(between, difference):
        raise NotALattice
    lattice = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Multiply4x4(difference.GetMatrix(), vtkMatrix(ijkToRas(volumeNode)), lattice)
    return lattice


def vtkMatrix(matrix: np.ndarray) -> vtk.vtkMatrix4x4:
    result = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            result.SetElement(row, column, matrix[row][column])
    return result


def _clipped(frame: VolumeFrame, corners_ijk: np.ndarray, axis: str) -> Optional[BoxPrompt]:
    along = AXES.index(axis)
    across = [other for other in range(3) if other != along]
    low, high = corners_ijk.min(axis=0), corners_ijk.max(axis=0)
    index = math.floor((low[along] + high[along]) / 2 + 0.5)
    size = np.array(frame.shape_ijk)
    if not 0 <= index < size[along] or (high < -0.5)[across].any() or (low > size - 0.5)[across].any():
        return None
    low, high = np.clip(low, 0, size - 1)[across], np.clip(high, 0, size - 1)[across]
    return BoxPrompt(axis, index, (float(low[0]), float(low[1])), (float(high[0]), float(high[1])))


def _corners(box: BoxPrompt) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner in IJK: the drawn edges across, half a voxel to either side along the slice axis."""
    along = AXES.index(box.axis)
    return np.insert(np.array(box.min), along, box.slice - 0.5), np.insert(np.array(box.max), along, box.slice + 0.5)


def _parent(node):
    return node.GetParentTransformNode() if node is not None else None


def _array(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    result = np.empty((4, 4))
    matrix.DeepCopy(result.ravel(), matrix)
    return result


def _mapping(sourceNode, targetNode) -> Mapping:
    """From the frame of one node to that of another; None is world."""
    if _parent(sourceNode) is _parent(targetNode):
        return None
    transform, linear = transformBetween(sourceNode, targetNode), vtk.vtkTransform()
    if slicer.vtkMRMLTransformNode.IsGeneralTransformLinear(transform, linear):
        return _array(linear.GetMatrix())
    return transform


def _numbersOf(mapping: Mapping) -> Optional[bytes]:
    """None for what bends."""
    if mapping is None:
        return b""
    return mapping.tobytes() if isinstance(mapping, np.ndarray) else None


@lru_cache(maxsize=16)
def _inverse(matrix: bytes) -> np.ndarray:
    """Of a (4, 4) matrix."""
    result = np.linalg.inv(np.frombuffer(matrix).reshape(4, 4))
    result.flags.writeable = False
    return result


def _applied(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(points) @ matrix[:3, :3].T + matrix[:3, 3]


def _transformed(mapping: Mapping, points: Sequence) -> np.ndarray:
    if mapping is None:
        return np.asarray(points, float)
    if isinstance(mapping, np.ndarray):
        return _applied(mapping, points)
    return np.array([mapping.TransformPoint([float(value) for value in point]) for point in points])
