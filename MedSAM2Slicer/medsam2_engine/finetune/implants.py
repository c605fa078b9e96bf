"""Lesions that nobody drew: random shapes with the looks of lesions, set into real CT, MR and PET.

What surrounds them is real, and so is part of their texture; edges are blurred as by the scanner, some lesions have a
core, and some have others like themselves beside them. That lesions made up in real images teach what real ones look
like is from Hu et al., "Label-Free Liver Tumor Segmentation" (CVPR 2023).
"""

from __future__ import annotations

import numpy as np

from medsam2_engine.finetune.cases import TrainingCase
from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.fields import Field, blurred, smooth_noise
from medsam2_engine.finetune.geometry import slice_axes
from medsam2_engine.finetune.shapes import Mask, Space
from medsam2_protocol.prompts import axis_ijk, axis_kji

SIDES = (40, 56, 80, 112, 160)  # voxels of the region; the lesion is about a quarter as wide
CORE_SHARE, OTHERS_SHARE = 0.3, 0.35
DARKER_SHARE_CT, DARKER_SHARE = 0.65, 0.4
BODY_HU, LUNG_HU, AIR_HU = -200.0, -500.0, -960.0
DARKEST = 0.08  # of the range of an MR's window: less is air
COLD_SUV = 0.2  # a PET's air
AIR_SHARE = 0.1  # of a lesion may reach out of the body


def implanted_clip(rng: np.random.Generator, case: TrainingCase, length: int, is_uptake: bool = False) -> Clip | None:
    """None where there is no tissue, or no room; throw again. is_uptake: a PET, where lesions are hot."""
    axis = str(rng.choice(list(slice_axes(case.volume.spacing_mm))))
    stack = np.moveaxis(case.volume.voxels_kji, axis_kji(axis), 0)
    if rng.random() < 0.5:
        stack = stack[::-1]
    side = min(int(rng.choice(SIDES)), *stack.shape[1:])
    if len(stack) <= length:
        return None
    first, top, left = (int(rng.integers(n - m + 1)) for n, m in zip(stack.shape, (length, side, side), strict=True))
    region = stack[first : first + length, top : top + side, left : left + side]
    images = np.nan_to_num(np.array(region, dtype=np.float32))
    space = Space(rng, length, side)
    target = space.object()
    if target is None:
        return None
    contrast = _contrast(rng, images, target, "PT" if is_uptake else case.volume.modality)
    if contrast is None:
        return None
    others = np.zeros_like(target)
    if rng.random() < OTHERS_SHARE:
        others = space.twin(target)
    core = space.shape(rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05), rng.uniform(0.12, 0.3))
    core &= (target | others) & (rng.random() < CORE_SHARE)
    x, y = (case.volume.spacing_mm[n] for n in range(3) if n != axis_ijk(axis))
    image = _implanted(rng, images, target | others, core, contrast)
    return Clip(image, target, (x, y), case.volume.modality, "implant")


def _contrast(rng: np.random.Generator, images: Field, target: Mask, modality: str) -> float | None:
    """What the lesion is brighter than what was in its place, in the image's units; None in air."""
    places = images[target]
    own = float(np.median(places))
    low, high = (float(v) for v in np.percentile(images, (2, 98)))
    if modality == "PT":
        return float(rng.uniform(1.5, 8) * own) if own > COLD_SUV else None
    if modality == "CT" and AIR_HU < own < LUNG_HU:
        return float(rng.uniform(-80, 60)) - own
    air = BODY_HU if modality == "CT" else low + DARKEST * (high - low)
    if float((places <= air).mean()) > AIR_SHARE:
        return None
    if modality == "CT":
        return float(rng.uniform(12, 90) * _sign(rng, DARKER_SHARE_CT))
    return float(rng.uniform(0.1, 0.6) * (high - low) * _sign(rng, DARKER_SHARE))


def _sign(rng: np.random.Generator, darker: float) -> int:
    return -1 if rng.random() < darker else 1


def _implanted(rng: np.random.Generator, images: Field, lesions: Mask, core: Mask, contrast: float) -> Field:
    """The lesion keeps some of the texture in its place; a core is nearer to what was there, or beyond."""
    t, rows, columns = images.shape
    own = float(np.median(images[lesions]))
    grain = smooth_noise(rng, (t, rows, columns), int(rng.choice([6, 10, 16, 24])))
    texture = rng.uniform(0.1, 0.9) * (images - own) + abs(contrast) * rng.uniform(0, 0.2) * grain
    level = np.where(core, contrast * rng.uniform(-0.2, 0.6), contrast).astype(np.float32)
    sigma = float(rng.uniform(0.3, 0.6 + rows / 100))
    share = blurred(lesions.astype(np.float32), sigma)
    lesion = own + blurred(level, sigma) + texture
    return np.asarray(images * (1 - share) + lesion * share, dtype=np.float32)
