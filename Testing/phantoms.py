"""Synthetic volumes with one bright, slightly lopsided object, of which every voxel is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medsam2_engine.volume import Volume
from medsam2_protocol.masks import region_of_slice
from medsam2_protocol.prompts import BoxPrompt, MaskPrompt, PointPrompt, axis_ijk, axis_kji

SHAPE_KJI = (20, 48, 56)
CENTER_KJI = (9.0, 21.0, 33.0)
RADII_KJI = (5.0, 8.0, 11.0)
TISSUE, OBJECT, NOISE = 60.0, 160.0, 6.0


def affine(directions: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """IJK-to-RAS of a volume whose axes run along the columns of `directions`, off the origin."""
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = directions @ np.diag(spacing)
    ijk_to_ras[:3, 3] = (-31.5, 18.25, 402.0)
    return ijk_to_ras


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """About X, then Y, then Z, in radians."""
    turns = []
    for angle, (a, b) in zip((x, y, z), ((1, 2), (2, 0), (0, 1)), strict=True):
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[b, a], turn[a, b] = np.sin(angle), -np.sin(angle)
        turns.append(turn)
    return turns[2] @ turns[1] @ turns[0]


OBLIQUE = rotation(0.4, -0.3, 0.7)
DIRECTIONS = {
    "RAS": np.eye(3),
    "LPS": np.diag([-1.0, -1.0, 1.0]),
    "oblique": OBLIQUE,
    "left-handed": np.diag([-1.0, 1.0, 1.0]),
    "oblique left-handed": OBLIQUE @ np.diag([1.0, 1.0, -1.0]),
    "sagittal": np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
}


@dataclass(frozen=True)
class Phantom:
    """A volume and the truth about its object, (K, J, I) bool."""

    volume: Volume
    truth_kji: np.ndarray

    def slice_of_truth(self, axis: str, index: int) -> np.ndarray:
        return np.take(self.truth_kji, index, axis=axis_kji(axis))

    def largest_slice(self, axis: str) -> int:
        others = tuple(n for n in range(3) if n != axis_kji(axis))
        return int(np.argmax(self.truth_kji.sum(axis=others)))

    def occupied(self, axis: str) -> tuple[int, int]:
        """First and last slice that hold the object."""
        others = tuple(n for n in range(3) if n != axis_kji(axis))
        slices = np.flatnonzero(self.truth_kji.any(axis=others))
        return int(slices[0]), int(slices[-1])

    def box(self, axis: str, index: int, grown: float = 0.05) -> BoxPrompt:
        """The object's bounding box on a slice, every side moved outwards by a part of its length."""
        rows, columns = np.nonzero(self.slice_of_truth(axis, index))
        (x0, x1), (y0, y1) = (columns.min(), columns.max()), (rows.min(), rows.max())
        dx, dy = grown * (x1 - x0 + 1), grown * (y1 - y0 + 1)
        return BoxPrompt(axis, index, (x0 - dx, y0 - dy), (x1 + dx, y1 + dy))

    def mask(self, axis: str, index: int) -> MaskPrompt:
        return MaskPrompt(axis, index, region_of_slice(self.slice_of_truth(axis, index), axis_kji(axis), index))

    def point(self, axis: str, index: int, positive: bool = True) -> PointPrompt:
        """The object's middle on a slice, or a place well outside of it."""
        rows, columns = np.nonzero(self.slice_of_truth(axis, index))
        x, y = (columns.mean(), rows.mean()) if positive else (columns.min() - 5, rows.min() - 5)
        ijk = np.insert([x, y], axis_ijk(axis), index)
        return PointPrompt((float(ijk[0]), float(ijk[1]), float(ijk[2])), positive)

    def with_voxels(self, voxels_kji: np.ndarray) -> Phantom:
        return replace(self, volume=replace(self.volume, voxels_kji=voxels_kji))

    def permuted(self, order_kji: tuple[int, int, int]) -> Phantom:
        """The same patient, its array axes stored in another order."""
        order_ijk = [2 - order_kji[2 - n] for n in range(3)]
        matrix = self.volume.ijk_to_ras[:, [*order_ijk, 3]]
        voxels = np.ascontiguousarray(self.volume.voxels_kji.transpose(order_kji))
        return Phantom(Volume(voxels, matrix, self.volume.modality), self.truth_kji.transpose(order_kji))

    def flipped(self, axis: str) -> Phantom:
        """The same patient, one axis stored the other way round."""
        n, ijk = axis_kji(axis), axis_ijk(axis)
        matrix = self.volume.ijk_to_ras.copy()
        matrix[:3, 3] += matrix[:3, ijk] * (self.volume.shape_kji[n] - 1)
        matrix[:3, ijk] *= -1
        voxels = np.flip(self.volume.voxels_kji, n).copy()
        return Phantom(Volume(voxels, matrix, self.volume.modality), np.flip(self.truth_kji, n))


def a_phantom(
    directions: np.ndarray | None = None,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    shape_kji: tuple[int, int, int] = SHAPE_KJI,
    center_kji: tuple[float, float, float] = CENTER_KJI,
    radii_kji: tuple[float, float, float] = RADII_KJI,
) -> Phantom:
    """Float voxels; sizes are in voxels, so that `spacing` and `directions` change nothing but the matrix."""
    offsets = [c - center for c, center in zip(np.indices(shape_kji), center_kji, strict=True)]
    offsets[1] = offsets[1] - 0.15 * offsets[2]  # sheared: nothing is symmetric
    truth = sum((offset / radius) ** 2 for offset, radius in zip(offsets, radii_kji, strict=True)) <= 1
    noise = np.random.default_rng(3).normal(0.0, NOISE, shape_kji)
    voxels = (np.where(truth, OBJECT, TISSUE) + noise).astype(np.float32)
    matrix = affine(np.eye(3) if directions is None else directions, spacing)
    return Phantom(Volume(voxels, matrix, "MR"), truth)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * np.logical_and(one, other).sum() / max(1, one.sum() + other.sum()))
