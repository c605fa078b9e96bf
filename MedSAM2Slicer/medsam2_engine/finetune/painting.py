"""Synthetic images on real label maps: every label gets a random intensity and texture.

After SynthSeg (Billot et al., arXiv:2107.09559): nothing of the result depends on a scanner, so shapes alone teach.
The object gets a contrast to what surrounds it, and sometimes a distractor of its own intensity.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from medsam2_engine.finetune.fields import Field, blurred, regions, smooth_noise, stretched

DISTRACTOR_SHARE = 0.35
BLACK_SHARE = 0.15  # backgrounds of exactly one value, as around a brain without its skull
TISSUES = (3, 4, 5)

Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def painted(
    rng: np.random.Generator,
    labels: Labels,
    target: Mask,
    pixel: float = 1.0,
    twins: Mask | None = None,
    tissue_share: float = 0.0,
) -> Field:
    """An image (T, rows, columns) in arbitrary units on a label map of that shape (0: nothing known).

    pixel: of the label map over the pixel of a model's frame; blur and noise are meant in the latter.
    twins: what looks exactly as the target and is none of it.
    tissue_share: how often the labels are made of a few tissues, so that neighbours look alike as in a brain.
    """
    looks_like_target = target if twins is None else target | twins
    background = int(rng.choice([1, 2, 3, 4, 6]))
    numbered = np.where(labels > 0, labels + background, regions(rng, _shape(labels), background))
    _, numbered = np.unique(np.where(looks_like_target, numbered.max() + 1, numbered), return_inverse=True)
    numbered = numbered.reshape(labels.shape)
    is_of_tissues = rng.random() < tissue_share
    means = _means(rng, numbered, target, int(numbered[target][0]), is_of_tissues)
    spread = rng.random(len(means)) * rng.choice([0.02, 0.06, 0.12])
    grain = smooth_noise(rng, _shape(labels), int(rng.choice([8, 16, 32, 48])))
    grain = grain + 0.7 * rng.standard_normal(labels.shape, dtype=np.float32)
    image = (means[numbered] + spread[numbered] * grain).astype(np.float32)
    image = _through_a_scanner(rng, image, pixel)
    if rng.random() < BLACK_SHARE:
        empty = (labels == 0) & ~looks_like_target
        image[empty] = image.min()
    return image


def _means(
    rng: np.random.Generator, numbered: Labels, target: Mask, own: int, is_of_tissues: bool
) -> npt.NDArray[np.float64]:
    """The intensity of every label; the target's is set off from its surroundings by 0.1 to 0.6.

    Of tissues, the target is of one of them like any other label, and need not be set off from all its surroundings.
    """
    count = int(numbered.max()) + 1
    if is_of_tissues:
        tissues = rng.random(int(rng.choice(TISSUES)))
        return np.asarray(rng.choice(tissues, count) + rng.normal(0, 0.015, count))
    means = rng.random(count)
    if rng.random() < 0.5:
        means = means[0] + (means - means[0]) * rng.uniform(0.1, 0.8)
    near = _near(target) & (numbered != own)
    around = numbered[near]
    base = means[around].mean() if around.size else means[0]
    means[own] = base + rng.uniform(0.1, 0.6) * rng.choice([-1, 1])
    if around.size and rng.random() < DISTRACTOR_SHARE:
        means[around[rng.integers(around.size)]] = means[own] + rng.uniform(-0.05, 0.05)
    return means


def _through_a_scanner(rng: np.random.Generator, image: Field, pixel: float) -> Field:
    """Blur in the plane, mixing of neighbouring slices, a bias field, and noise that may be coarser than a voxel."""
    image = blurred(image, float(rng.uniform(0.3, 2.0)) / max(pixel, 0.5))
    if len(image) > 2 and rng.random() < 0.5:
        image = image.copy()
        share = rng.uniform(0, 0.3)
        image[1:-1] = image[1:-1] * (1 - share) + 0.5 * share * (image[2:] + image[:-2])
    image = image * np.exp(rng.uniform(0, 0.25) * smooth_noise(rng, _shape(image), 3))
    cells = int(rng.choice([32, 48, 64, 90])) if rng.random() < 0.5 else 0
    if cells:
        noise = torch.from_numpy(rng.standard_normal((1, 1, len(image), cells, cells), dtype=np.float32))
        grain = stretched(noise, image.shape)
    else:
        grain = rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(image + grain * rng.uniform(0, 0.12) * rng.random(), dtype=np.float32)


def _near(target: Mask, reach: int = 7) -> Mask:
    x = torch.from_numpy(target.astype(np.float32))[:, None]
    x = F.max_pool2d(F.max_pool2d(x, (2 * reach + 1, 1), 1, (reach, 0)), (1, 2 * reach + 1), 1, (0, reach))
    return np.asarray(x[:, 0].numpy() > 0)


def _shape(array: npt.NDArray[np.generic]) -> tuple[int, int, int]:
    t, rows, columns = array.shape
    return t, rows, columns
