"""How slices of a volume are shown to a radiologist: which in-plane axis is horizontal, and which way it points.

Patient's right is on the left and anterior on top (axial), superior on top (coronal, sagittal), anterior on the left
(sagittal), as in Slicer. An oblique slice is shown as the one of the three that it is nearest to.

A position in the plane is the two remaining IJK coordinates in rising order, in voxels, as in prompts. On the screen it
is horizontal and vertical millimetres; `x_limits` and `y_limits` run from left to right and from bottom to top.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from medsam2_engine.volume import Volume
from medsam2_protocol.prompts import AXES, axis_ijk, axis_kji

Limits = tuple[float, float]
# By the letter of the slice's normal: what points right and what points up on the screen.
_RIGHT_AND_UP = {0: ("P", "S"), 1: ("L", "S"), 2: ("L", "A")}
_DIRECTIONS = {"R": (1, 0, 0), "A": (0, 1, 0), "S": (0, 0, 1), "L": (-1, 0, 0), "P": (0, -1, 0), "I": (0, 0, -1)}


@dataclass(frozen=True)
class SliceView:
    """The same square part of every slice of an axis.

    Attributes:
        is_turned: the later in-plane axis is the horizontal one.
        plane_spacing_mm: of the earlier and the later in-plane axis.
        letters: anatomical directions at the left, right, bottom and top edge.
    """

    axis: str
    is_turned: bool
    plane_spacing_mm: tuple[float, float]
    x_limits: Limits
    y_limits: Limits
    letters: tuple[str, str, str, str]

    def on_screen(self, plane: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Screen mm of positions (..., 2) in the plane."""
        mm = np.asarray(plane, dtype=np.float64) * self.plane_spacing_mm
        return mm[..., ::-1] if self.is_turned else mm

    def image(self, voxels_kji: npt.NDArray[np.generic], index: int) -> npt.NDArray[np.generic]:
        """One slice, rows along the vertical and columns along the horizontal screen axis, not flipped."""
        plane = np.take(voxels_kji, index, axis_kji(self.axis))
        return np.asarray(plane.T if self.is_turned else plane)

    def edges_mm(self, voxels_kji: npt.NDArray[np.generic]) -> tuple[float, float, float, float]:
        """Horizontal and vertical mm of the outer edges of the first and the last voxel."""
        later, earlier = np.delete(voxels_kji.shape, axis_kji(self.axis))
        low, high = self.on_screen([-0.5, -0.5]), self.on_screen([earlier - 0.5, later - 0.5])
        return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def view_of_slices(
    volume: Volume, axis: str, plane_low: npt.ArrayLike, plane_high: npt.ArrayLike, margin: float, smallest_mm: float
) -> SliceView:
    """The square around a rectangle of the plane, wider by `margin` of its longer edge on each side."""
    columns = [n for n in range(3) if n != axis_ijk(axis)]
    spacing = tuple(volume.spacing_mm[n] for n in columns)
    towards = volume.ijk_to_ras[:3, columns] / spacing
    right, up = _RIGHT_AND_UP[int(np.argmax(np.abs(np.cross(towards[:, 0], towards[:, 1]))))]
    along = np.array([_DIRECTIONS[right], _DIRECTIONS[up]]) @ towards
    is_turned = bool(abs(along[0, 1]) + abs(along[1, 0]) > abs(along[0, 0]) + abs(along[1, 1]))
    horizontal, vertical = (along[0, 1], along[1, 0]) if is_turned else (along[0, 0], along[1, 1])
    view = SliceView(axis, is_turned, (spacing[0], spacing[1]), (0, 0), (0, 0), ("", "", "", ""))
    low, high = view.on_screen(plane_low), view.on_screen(plane_high)
    left, edge_right, bottom, edge_top = view.edges_mm(volume.voxels_kji)
    wanted = max(float(np.max(high - low)) * (1 + 2 * margin), smallest_mm)
    side = min(wanted, max(edge_right - left, edge_top - bottom))
    x_limits = _window((low[0] + high[0]) / 2, side, left, edge_right)
    y_limits = _window((low[1] + high[1]) / 2, side, bottom, edge_top)
    return SliceView(
        axis,
        is_turned,
        view.plane_spacing_mm,
        x_limits if horizontal > 0 else x_limits[::-1],
        y_limits if vertical > 0 else y_limits[::-1],
        (_opposite(right), right, _opposite(up), up),
    )


def plane_axes(axis: str) -> tuple[int, int]:
    """Positions in an IJK triple of the two in-plane axes, the earlier first."""
    earlier, later = (n for n in range(len(AXES)) if n != axis_ijk(axis))
    return earlier, later


def _window(centre: float, side: float, first: float, last: float) -> Limits:
    """An interval of that length, moved into the volume if it fits there, else around the volume's middle."""
    is_larger = side >= last - first
    middle = (first + last) / 2 if is_larger else min(max(centre, first + side / 2), last - side / 2)
    return middle - side / 2, middle + side / 2


def _opposite(letter: str) -> str:
    return {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}[letter]
