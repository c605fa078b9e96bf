"""Other contrast on the same slices: what scanners, windows and noise do to intensities.

CT stays in HU, so that the product's CT windows apply to it; the others are measured by their own percentiles anyway.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from medsam2_engine.finetune.clips import Clip

INVERTED_SHARE, GAMMA_SHARE, NOISE_SHARE, SHIFT_SHARE = 0.1, 0.5, 0.3, 0.4
UNNAMED_CT_SHARE = 0.4  # of CTs are read as images of unknown units, as a crop without air is
CT_NOISE_HU, CT_SHIFT_HU = 30.0, 20.0


def with_other_intensities(rng: np.random.Generator, clip: Clip) -> Clip:
    """A clip of other contrast; its masks stay."""
    images = clip.images
    if clip.modality == "CT":
        images = _noisy(rng, images, CT_NOISE_HU) + np.float32(rng.normal(0, CT_SHIFT_HU / 2))
        modality = "MR" if rng.random() < UNNAMED_CT_SHARE else "CT"
        return replace(clip, images=images.astype(np.float32), modality=modality)
    low, high = (float(v) for v in np.percentile(images, (1, 99)))
    scale = max(high - low, 1e-6)
    u = (images - low) / scale
    empty = u == u.min()
    if rng.random() < INVERTED_SHARE and clip.kind != "real":
        u = 1 - u
    if rng.random() < GAMMA_SHARE:
        inside = np.clip(u, 0, 1)
        u = inside ** math.exp(rng.normal(0, 0.25)) + (u - inside)
    if rng.random() < SHIFT_SHARE:
        u = u * (1 + np.linspace(0, rng.normal(0, 0.1), len(u), dtype=np.float32)[:, None, None])
    u = _noisy(rng, u.astype(np.float32), 0.05)
    u = np.where(empty, u.min(), u)  # what is exactly empty stays so
    return replace(clip, images=(u * scale + low).astype(np.float32))


def _noisy(rng: np.random.Generator, images: npt.NDArray[np.float32], largest: float) -> npt.NDArray[np.float32]:
    if rng.random() >= NOISE_SHARE:
        return images
    noise = rng.standard_normal(images.shape, dtype=np.float32)
    return np.asarray(images + noise * np.float32(rng.uniform(0, largest)), dtype=np.float32)
