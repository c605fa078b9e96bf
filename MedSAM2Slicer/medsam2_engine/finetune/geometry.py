"""From a volume to the slices of a clip: which, which part of them, and how turned and stretched."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

REGION_OVER_OBJECT = 3.8  # side of the kept part over the object's long side: the crop, its jitter, and room to move
ISOTROPIC = 1.6
THIN_MM = 1.6
TURNED_SHARE, COARSE_SHARE = 0.5, 0.25
LARGEST_STRETCH = 0.15

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Region:
    """A part of a slice, possibly turned: pixel (row, column) is the voxel at `centre + matrix @ (pixel - middle)`.

    centre: voxel (row, column) of the region's middle. matrix: (2, 2) voxels per pixel. shape: rows, columns.
    """

    centre: tuple[float, float]
    matrix: npt.NDArray[np.float64]
    shape: tuple[int, int]
    spacing_xy: tuple[float, float]
    is_plain: bool

    def cut(self, slices: Array, fill: float, mode: str = "bilinear") -> Array:
        """The region of (T, rows, columns), float32 unless it is a plain part; `fill` beyond the slice's border."""
        if self.is_plain:
            top, left = (round(c - (n - 1) / 2) for c, n in zip(self.centre, self.shape, strict=True))
            return slices[:, top : top + self.shape[0], left : left + self.shape[1]]
        rows, columns = slices.shape[1:]
        row, column = self._voxels()
        x = torch.from_numpy((2 * column + 1) / columns - 1).float()
        y = torch.from_numpy((2 * row + 1) / rows - 1).float()
        stack = torch.from_numpy(np.ascontiguousarray(slices, dtype=np.float32))[None]
        sampled = F.grid_sample(
            stack, torch.stack((x, y), -1)[None], mode=mode, padding_mode="border", align_corners=False
        )
        outside = (row < -0.5) | (row > rows - 0.5) | (column < -0.5) | (column > columns - 0.5)
        cut = sampled[0].numpy()
        cut[:, outside] = fill
        return np.asarray(cut)

    def _voxels(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        rows, columns = (np.arange(n) - (n - 1) / 2 for n in self.shape)
        pixel = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1)
        voxel = pixel @ self.matrix.T + np.array(self.centre)
        return voxel[..., 0], voxel[..., 1]


def slice_axes(spacing_mm: tuple[float, float, float]) -> str:
    """Axes along which a volume has slices that a person would look at: all of an isotropic one, else the odd one out.

    The odd one, and not the one with the largest spacing: in PET the voxels are coarser in the plane than along it.
    """
    if max(spacing_mm) / min(spacing_mm) < ISOTROPIC:
        return "IJK"
    logs = np.log(spacing_mm)
    return "IJK"[int(np.abs(logs[:, None] - logs[None]).sum(1).argmax())]


def plain_region(box: tuple[int, int, int, int], shape: tuple[int, int], spacing_xy: tuple[float, float]) -> Region:
    """The voxels around a box (first and last row, first and last column), as they are, inside the slice."""
    half = REGION_OVER_OBJECT / 2 * _long_side_mm(box, spacing_xy)
    ends = []
    for (first, last), size, step in zip((box[:2], box[2:]), shape, spacing_xy[::-1], strict=True):
        reach = math.ceil(half / step)
        middle = (first + last) // 2
        ends.append((max(0, middle - reach), min(size, middle + reach + 1)))
    (top, bottom), (left, right) = ends
    centre = ((top + bottom - 1) / 2, (left + right - 1) / 2)
    return Region(centre, np.eye(2), (bottom - top, right - left), spacing_xy, True)


def turned_region(rng: np.random.Generator, box: tuple[int, int, int, int], spacing_xy: tuple[float, float]) -> Region:
    """A square around a box, turned by any angle, stretched a little, sometimes with coarser pixels."""
    length = _long_side_mm(box, spacing_xy)
    step = min(spacing_xy)
    if rng.random() < COARSE_SHARE:
        step = min(step * float(rng.uniform(1, 2)), length / 12)
    step = max(step, REGION_OVER_OBJECT * length / 320)
    size = max(16, math.ceil(REGION_OVER_OBJECT * length / step))
    angle, stretch = rng.uniform(-math.pi, math.pi), math.exp(rng.uniform(-LARGEST_STRETCH, LARGEST_STRETCH))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    to_voxels = np.diag(1 / np.array(spacing_xy[::-1]))
    matrix = to_voxels @ turn @ np.diag([stretch, 1 / stretch]) * step
    return Region(((box[0] + box[1]) / 2, (box[2] + box[3]) / 2), matrix, (size, size), (step, step), False)


def _long_side_mm(box: tuple[int, int, int, int], spacing_xy: tuple[float, float]) -> float:
    return max((box[1] - box[0] + 1) * spacing_xy[1], (box[3] - box[2] + 1) * spacing_xy[0])
