"""A segmentation on other voxels than its volume, brought onto them; Slicer may save one cut to its extent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medsam2_engine.volume import Matrix, Volume

TOLERANCE = 1e-3  # of a voxel

Layer = npt.NDArray[np.integer]


def on_voxels_of(volume: Volume, layer_kji: Layer, ijk_to_ras: Matrix) -> Layer:
    """The layer with the volume's shape: itself where it fits, else the nearest voxel's label, 0 beyond its border."""
    to_layer = np.linalg.inv(ijk_to_ras) @ volume.ijk_to_ras
    if layer_kji.shape == volume.shape_kji and np.abs(to_layer - np.eye(4)).max() < TOLERANCE:
        return layer_kji
    placed = np.zeros(volume.shape_kji, layer_kji.dtype)
    k_count, j_count, i_count = volume.shape_kji
    j, i = np.meshgrid(np.arange(j_count), np.arange(i_count), indexing="ij")
    limits = np.array(layer_kji.shape)[::-1, None, None]
    for k in range(k_count):
        ijk = np.stack((i, j, np.full_like(i, k)))
        nearest = np.rint(np.tensordot(to_layer[:3, :3], ijk, 1) + to_layer[:3, 3, None, None]).astype(np.int64)
        inside = ((nearest >= 0) & (nearest < limits)).all(axis=0)
        x, y, z = nearest[:, inside]
        placed[k][inside] = layer_kji[z, y, x]
    return placed
