"""What can be tidied up in a mask: holes, parts without a prompt, small islands, a rough surface. Plain numpy.

Each function takes a mask (K, J, I) of bool and gives a new one of the same shape. `padded` makes room around a mask
first where a function needs some. Costs grow with the box around the segment: a million voxels take 0.1 s at most, a
segment that fills a 512 x 512 x 120 volume some seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from medsam2_protocol.prompts import axis_kji
from MedSAM2SlicerLib.ConnectedParts import IN_PLANE, partsOf

SMOOTHING_REACH = 3.0  # in standard deviations


def fillHoles(mask_kji: np.ndarray, axis: str) -> np.ndarray:
    """With everything that a contour encloses in its slice along `axis`; outside is what reaches the slice's border."""
    planes = np.moveaxis(mask_kji, axis_kji(axis), 0)
    outside = partsOf(~np.pad(planes, ((0, 0), (1, 1), (1, 1))), IN_PLANE)
    rows = outside.shape_kji[1]
    isOutside = np.zeros(len(outside.sizes), bool)
    isOutside[outside.part[outside.row % rows == 0]] = True
    filled = planes | outside.mask(~isOutside)[:, 1:-1, 1:-1]
    return np.moveaxis(filled, 0, axis_kji(axis))


def keepTouched(mask_kji: np.ndarray, seeds_kji: np.ndarray) -> np.ndarray:
    """Only the parts that lie under one of these voxels (N, 3); nothing if none does."""
    parts = partsOf(mask_kji)
    isKept = np.zeros(len(parts.sizes), bool)
    isKept[parts.at(np.asarray(seeds_kji, int).reshape(-1, 3))] = True
    return parts.mask(isKept)


def removeIslands(mask_kji: np.ndarray, fewest: float) -> np.ndarray:
    """Without the parts of fewer voxels than that, even if none is left."""
    parts = partsOf(mask_kji)
    return parts.mask(parts.sizes >= fewest)


def smooth(mask_kji: np.ndarray, spacing_kji: Iterable[float], size_mm: float) -> np.ndarray:
    """Blurred by a Gaussian of this standard deviation, and cut so that there are as many voxels as before."""
    count = int(np.count_nonzero(mask_kji))
    if count == 0:
        return mask_kji.copy()
    blurred = mask_kji.astype(np.float32)
    for axis, spacing in enumerate(spacing_kji):
        blurred = _blurred(blurred, axis, size_mm / spacing)
    level = np.partition(blurred, blurred.size - count, axis=None)[blurred.size - count]
    return blurred >= level


def padded(mask_kji: np.ndarray, margin_kji: Iterable[int]) -> np.ndarray:
    return np.pad(mask_kji, [(margin, margin) for margin in margin_kji])


def smoothingMargin(spacing_kji: Iterable[float], size_mm: float) -> tuple[int, ...]:
    """How far, in voxels, smoothing can reach."""
    return tuple(math.ceil(SMOOTHING_REACH * size_mm / spacing) for spacing in spacing_kji)


def withSlicesOf(original_kji: np.ndarray, changed_kji: np.ndarray, axis: str, indices: Iterable[int]) -> np.ndarray:
    """The changed mask with these slices as they were; indices are those of the arrays, others are left out."""
    result, along = changed_kji.copy(), axis_kji(axis)
    inside = [index for index in indices if 0 <= index < result.shape[along]]
    where = tuple(inside if number == along else slice(None) for number in range(3))
    result[where] = original_kji[where]
    return result


def _blurred(values: np.ndarray, axis: int, sigma: float) -> np.ndarray:
    reach = math.ceil(SMOOTHING_REACH * sigma)
    weights = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2).astype(np.float32)
    weights /= weights[0] + 2 * weights[1:].sum()
    result = weights[0] * values
    for step in range(1, min(reach, values.shape[axis] - 1) + 1):
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(None, -step), slice(step, None)
        result[tuple(low)] += weights[step] * values[tuple(high)]
        result[tuple(high)] += weights[step] * values[tuple(low)]
    return result
