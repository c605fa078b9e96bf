"""Objects that nobody drew: connected voxels of similar intensity in a real volume, with its real texture.

They teach "what I am shown, wherever it ends" on organs, vessels and bones that no label map names; the idea of
self-supervised superpixel labels is from Ouyang et al., arXiv:2007.09886.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from medsam2_engine.finetune.cases import TrainingCase
from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.geometry import REGION_OVER_OBJECT, slice_axes
from medsam2_engine.slice_prompts import box_of_mask
from medsam2_protocol.prompts import axis_ijk, axis_kji

LARGEST_WINDOW = 160  # voxels
SMALLEST_AREA, LARGEST_SHARE, SOLIDITY = 40, 0.2, 0.4

Mask = npt.NDArray[np.bool_]


def pseudo_clip(rng: np.random.Generator, case: TrainingCase, length: int) -> Clip | None:
    """None where what was grown is no compact object; throw again."""
    axis = str(rng.choice(list(slice_axes(case.volume.spacing_mm))))
    stack = np.moveaxis(case.volume.voxels_kji, axis_kji(axis), 0)
    if rng.random() < 0.5:
        stack = stack[::-1]
    if len(stack) <= length:
        return None
    first = int(rng.integers(len(stack) - length))
    window = [_window(rng, size) for size in stack.shape[1:]]
    images = np.nan_to_num(np.asarray(stack[first : first + length, window[0], window[1]], dtype=np.float32))
    masks = _grown(rng, images)
    if masks is None:
        return None
    x, y = (case.volume.spacing_mm[n] for n in range(3) if n != axis_ijk(axis))
    return Clip(images, masks, (x, y), case.volume.modality, "pseudo")


def _window(rng: np.random.Generator, size: int) -> slice:
    wanted = min(size, LARGEST_WINDOW)
    start = int(rng.integers(size - wanted + 1))
    return slice(start, start + wanted)


def _grown(rng: np.random.Generator, images: npt.NDArray[np.float32]) -> Mask | None:
    low, high = np.percentile(images, (2, 98))
    if high <= low:
        return None
    smooth = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(images), [float(rng.uniform(0.5, 1.5))] * 2 + [0.3])
    rows, columns = images.shape[1:]
    seed = int(rng.integers(columns // 5, 4 * columns // 5)), int(rng.integers(rows // 5, 4 * rows // 5)), 0
    value, reach = smooth[seed], rng.uniform(0.04, 0.15) * (high - low)
    if value < low + 0.05 * (high - low):
        return None  # air
    grown = sitk.ConnectedThreshold(smooth, [seed], value - reach, value + reach)
    grown = sitk.BinaryMorphologicalOpening(grown, [1, 1, 0]) if rng.random() < 0.7 else grown
    grown = sitk.ConnectedComponent(grown)
    number = grown[seed]
    if number == 0:
        return None
    masks = np.asarray(sitk.GetArrayFromImage(grown) == number)
    first = _without_holes(masks[0])
    if not _is_compact(first):
        return None
    return np.stack([first, *(_without_holes(mask) if mask.any() else mask for mask in masks[1:])])


def _without_holes(mask: Mask) -> Mask:
    filled = sitk.BinaryFillhole(sitk.GetImageFromArray(mask.astype(np.uint8)))
    return np.asarray(sitk.GetArrayFromImage(filled) > 0)


def _is_compact(mask: Mask) -> bool:
    """Large enough to be prompted, and small enough that its crop lies in the window."""
    area = int(mask.sum())
    if not SMALLEST_AREA <= area <= LARGEST_SHARE * mask.size:
        return False
    x0, y0, x1, y1 = box_of_mask(mask)
    width, height = x1 - x0 + 1, y1 - y0 + 1
    return area >= SOLIDITY * width * height and max(width, height) * REGION_OVER_OBJECT / 2 <= max(mask.shape)
