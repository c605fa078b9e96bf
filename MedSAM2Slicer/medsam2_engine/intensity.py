"""Intensities as a model wants them: a window of the volume's own units becomes 0..1. The voxels stay untouched."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window

CT_WINDOW = Window(-160.0, 240.0)  # soft tissue, level 40 HU, width 400 HU: MedSAM2's (arXiv:2504.03600)
PERCENTILES = (0.5, 99.5)  # of the non-zero voxels; MedSAM2's for everything but CT
AIR_HU = -500


def is_ct(volume: Volume) -> bool:
    """What the header says; without a word there, signed integers that reach far below water are taken for HU."""
    if volume.modality:
        return volume.modality.upper() == "CT"
    return volume.voxels_kji.dtype.kind == "i" and bool(volume.sample.min() < AIR_HU)


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
