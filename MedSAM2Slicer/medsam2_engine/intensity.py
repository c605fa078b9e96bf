"""Intensities as a model wants them: a window of the volume's own units becomes 0..1. The voxels stay untouched."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window

CT_WINDOW = Window(-160.0, 240.0)  # soft tissue, level 40 HU, width 400 HU: MedSAM2's (arXiv:2504.03600)
PERCENTILES = (0.5, 99.5)  # of the non-zero voxels; MedSAM2's for everything but CT
AIR_HU = -800
LUNG_WINDOW = Window(-1350.0, 150.0)  # level -600 HU, width 1500 HU
LUNG_HU = (-950.0, -500.0)  # aerated lung: air around the patient is darker, fat and everything else brighter
LUNG_AROUND, LUNG_INSIDE = 0.15, 0.03  # shares of the voxels around and in a box


def is_ct(volume: Volume) -> bool:
    """What the header says; without a word there, values that reach down to those of air are taken for HU."""
    if volume.modality:
        return volume.modality.upper() == "CT"
    return volume.voxels_kji.dtype.kind in "if" and bool(volume.sample.min() < AIR_HU)


def ct_window(image: npt.NDArray[np.float32], box: tuple[float, float, float, float]) -> Window:
    """The window for an object in a box (x0, y0, x1, y1) on a slice in HU (rows, columns): lung, or soft tissue.

    Lung, if it is a good part of what surrounds the box and some of what is in it, as in the corners of a box around a
    nodule. A couch or a blanket beside the patient is as dark, but outside the box.
    """
    in_lung = _lung_share(image, box, 0.5) >= LUNG_AROUND and _lung_share(image, box, 0.0) >= LUNG_INSIDE
    return LUNG_WINDOW if in_lung else CT_WINDOW


def default_window(volume: Volume) -> Window:
    """The window for whole slices when nobody chose one: soft tissue for CT, percentiles for everything else."""
    if is_ct(volume):
        return CT_WINDOW
    values = volume.sample
    values = values[values != 0] if np.any(values) else values
    lower, upper = (float(value) for value in np.percentile(values, PERCENTILES))
    return Window(lower, upper) if upper > lower else Window(lower, lower + max(1.0, 1e-6 * abs(lower)))


def apply_window(values: npt.NDArray[np.float32], window: Window) -> npt.NDArray[np.float32]:
    """Intensities clipped to the window and scaled to 0..1, float32, same shape."""
    scaled = (values - window.lower) / (window.upper - window.lower)
    return np.asarray(np.clip(scaled, 0.0, 1.0), dtype=np.float32)


def _lung_share(image: npt.NDArray[np.float32], box: tuple[float, float, float, float], growth: float) -> float:
    """Share of lung in a box that is grown by a part of its size on every side; at least one voxel is looked at."""
    x0, y0, x1, y1 = box
    part = image
    for axis, (low, high) in enumerate(((y0, y1), (x0, x1))):
        margin, last = growth * (high - low), image.shape[axis] - 1
        first = min(max(int(low - margin), 0), last)
        stop = max(first + 1, int(high + margin) + 1)
        part = np.take(part, range(first, min(stop, last + 1)), axis=axis)
    return float(((part > LUNG_HU[0]) & (part < LUNG_HU[1])).mean())
