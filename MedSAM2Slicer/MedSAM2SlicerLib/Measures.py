"""What is measured on a lesion: volume, diameters after RECIST 1.1, and extent. Plain numpy, no scene.

Diameters are taken in the slices of the acquisition that are nearest to axial: among the three directions of the
lattice the one whose slices' normal is nearest to the patient's superior direction. The longest diameter is the longest
distance between two pixel centres of one slice and half a pixel more at either end: for discs, ellipses and turned
boxes that is within a pixel of the truth, wherever they lie on the grid. The short axis is the longest chord of the
same slice perpendicular to it, from outermost end to outermost end of its outline (Eisenhauer et al., Eur J Cancer
2009; 45: 228-247).

The slice is the one with the largest width in any of 64 directions, which is its longest diameter to 0.03 %.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Optional

import numpy as np

from medsam2_protocol.prompts import AXES
from MedSAM2SlicerLib.Outline import chordAcross, convexHull, outlineEdges, rowEnds

DIRECTIONS = 64


@dataclass(frozen=True)
class Diameter:
    """From end to end, in world (RAS) millimetres."""

    start_world: tuple[float, float, float]
    end_world: tuple[float, float, float]

    @property
    def length_mm(self) -> float:
        return math.dist(self.start_world, self.end_world)


@dataclass(frozen=True)
class Measures:
    """`extent_mm` is right-left, anterior-posterior, superior-inferior, along the lattice axes nearest to these."""

    volume_ml: float
    axis: str
    slice: int
    longAxis: Diameter
    shortAxis: Diameter
    extent_mm: tuple[float, float, float]


def measure(mask_kji: np.ndarray, start_ijk: tuple[int, int, int], ijk_to_world: np.ndarray) -> Optional[Measures]:
    """Measures of a mask (K, J, I) of bool whose first voxel has index `start_ijk`; None if it is empty.

    `ijk_to_world` (4, 4) may be anisotropic, oblique and flipped.
    """
    columns = np.asarray(ijk_to_world, float)[:3, :3]
    box, first_ijk = cropped(mask_kji)
    if box.size == 0:
        return None
    axis, start = axialAxis(columns), np.add(start_ijk, first_ijk)
    planes = _Planes(box, axis, columns)
    index = planes.longest()

    def diameter(ends: np.ndarray) -> Diameter:
        return Diameter(*[_world(ijk_to_world, start + planes.ijk(index, end)) for end in ends])

    return Measures(
        np.count_nonzero(box) * abs(np.linalg.det(columns)) / 1000.0,
        AXES[axis],
        int(start[axis]) + index,
        *map(diameter, planes.diametersOf(index)),
        _extent_mm(box.shape[::-1], columns),
    )


def cropped(mask_kji: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int]]:
    """The box around what is set, of size 0 if nothing is, and the index IJK of its first voxel."""
    box, first = mask_kji, []
    for axis in range(3):
        found = np.flatnonzero(box.any(axis=tuple(other for other in range(3) if other != axis)))
        if found.size == 0:
            return box[:0], (0, 0, 0)
        box = box[tuple(slice(found[0], found[-1] + 1) if one == axis else slice(None) for one in range(3))]
        first.append(int(found[0]))
    return box, (first[2], first[1], first[0])


def axialAxis(columns: np.ndarray) -> int:
    """Which of I, J, K (0, 1, 2) counts slices that are nearest to axial; `columns` (3, 3) are their steps in RAS."""
    normals = [np.cross(columns[:, (axis + 1) % 3], columns[:, (axis + 2) % 3]) for axis in range(3)]
    return int(np.argmax([abs(normal[2]) / np.linalg.norm(normal) for normal in normals]))


class _Planes:
    """The slices of a box of voxels, not empty, with coordinates in millimetres in their plane.

    In a plane a position is (column, row) in pixels, along the two other axes in the order I, J, K.
    """

    def __init__(self, box_kji: np.ndarray, axis: int, columns: np.ndarray) -> None:
        self._axis = axis
        self._across = [other for other in range(3) if other != axis]
        self._planes = np.moveaxis(box_kji, 2 - axis, 0)
        self._first, self._last, self._isFilled = rowEnds(self._planes)
        u, v = (columns[:, other] for other in self._across)
        length = np.linalg.norm(u)
        along = float(v @ u) / length
        # (column, row) → millimetres in an orthonormal frame of the plane.
        self._toMm = np.array([[length, along], [0.0, math.sqrt(max(float(v @ v) - along**2, 0.0))]])
        self._toPixels = np.linalg.inv(self._toMm)
        self._halfPixel_mm = np.array([np.linalg.norm(u), np.linalg.norm(v)]) / 2

    def longest(self) -> int:
        """Index of the slice with the longest diameter."""
        owners = np.repeat(np.nonzero(self._isFilled)[0], 2)
        widths = _widths((self._centres(self._isFilled) @ self._toMm.T).astype(np.float32), owners)
        return int(np.argmax(widths.max(axis=1)))

    def diametersOf(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The ends (2, 2), in pixels, of the longest diameter of a slice and of its perpendicular."""
        isHere = self._isFilled & (np.arange(len(self._isFilled)) == index)[:, np.newaxis]
        ends_mm = _longest(convexHull(self._centres(isHere) @ self._toMm.T), self._halfPixel_mm)
        across_mm = chordAcross(outlineEdges(self._planes[index]) @ self._toMm.T, ends_mm[1] - ends_mm[0])
        return ends_mm @ self._toPixels.T, across_mm @ self._toPixels.T

    def ijk(self, index: int, pixel: np.ndarray) -> np.ndarray:
        """Continuous IJK in the box."""
        result = np.zeros(3)
        result[self._axis] = index
        result[self._across] = pixel
        return result

    def _centres(self, isWanted: np.ndarray) -> np.ndarray:
        """First and last pixel of the rows that are wanted, (2 N, 2): they span the hull of all pixel centres."""
        row = np.nonzero(isWanted)[1]
        ends = np.stack([self._first[isWanted], row, self._last[isWanted], row], axis=1)
        return ends.reshape(-1, 2).astype(float)


def _widths(points_mm: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Width of every slice's outline in each direction, (slices, DIRECTIONS); `owners` is ascending."""
    angles = np.arange(DIRECTIONS) * math.pi / DIRECTIONS
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    widths = np.zeros((int(owners[-1]) + 1, DIRECTIONS), np.float32)
    for number, angle in enumerate(angles):
        along = points_mm @ np.array([math.cos(angle), math.sin(angle)], np.float32)
        widths[owners[starts], number] = np.maximum.reduceat(along, starts) - np.minimum.reduceat(along, starts)
    return widths


def _longest(centres_mm: np.ndarray, halfPixel_mm: np.ndarray) -> np.ndarray:
    """The ends (2, 2) of the longest line between two pixels, from outer edge to outer edge."""
    between = centres_mm[:, None] - centres_mm[None, :]
    length = np.linalg.norm(between, axis=2)
    unit = between / np.maximum(length, 1e-9)[..., np.newaxis]
    more = np.linalg.norm(unit * halfPixel_mm, axis=2)
    one, other = np.unravel_index(np.argmax(length + 2 * more), length.shape)
    isOnePixel = one == other
    step = np.array([halfPixel_mm[0], 0.0]) if isOnePixel else unit[one, other] * more[one, other]
    return np.array([centres_mm[one] + step, centres_mm[other] - step])


def _extent_mm(shape_ijk: tuple[int, ...], columns: np.ndarray) -> tuple[float, float, float]:
    lengths = np.linalg.norm(columns, axis=0)
    shares = np.abs(columns) / lengths  # (patient axis, lattice axis)
    best = max(itertools.permutations(range(3)), key=lambda order: sum(shares[row, order[row]] for row in range(3)))
    return tuple(float(shape_ijk[axis] * lengths[axis]) for axis in best)


def _world(ijk_to_world: np.ndarray, ijk: np.ndarray) -> tuple[float, float, float]:
    x, y, z = ijk_to_world[:3, :3] @ ijk + ijk_to_world[:3, 3]
    return float(x), float(y), float(z)
