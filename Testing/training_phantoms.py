"""A tiny model, and volumes with tilted ellipsoids in them, as a user's folder has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.losses import CROSS_ENTROPY
from medsam2_engine.finetune.settings import ALL, Settings
from medsam2_engine.model.config import HieraConfig, Sam2Config

TINY = Sam2Config(
    image_size=64,
    hidden=64,
    hiera=HieraConfig(
        dims=(16, 32, 48, 64),
        heads=(1, 2, 3, 4),
        blocks=(1, 1, 1, 1),
        windows=(8, 4, 4, 2),
        global_blocks=(),
        background=(4, 4),
    ),
    decoder_heads=4,
    decoder_feed_forward=64,
    iou_head_hidden=32,
    memory_layers=1,
    memory_feed_forward=64,
    fuser_layers=1,
    fuser_feed_forward=64,
    fuser_layer_scale=0.1,
    num_maskmem=3,
    max_object_pointers=3,
    multimask_min_points=1,
    multimask_for_tracking=False,
    stability_fallback=False,
)
QUICK = Settings(
    trained=ALL, steps=6, frames=6, lengths=(2, 3), learning_rate=1e-3, warmup=2, patience=0, losses=CROSS_ENTROPY
)
SHAPE_KJI = (14, 40, 44)
SPACING_IJK = (0.8, 0.8, 3.0)


class OneClip:
    """The same clip for ever."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip

    def draw(self, rng: np.random.Generator) -> Clip:
        return self._clip


def write_pair(folder: Path, name: str, seed: int) -> None:
    image, labels = ellipsoid(seed)
    sitk.WriteImage(in_space(image), str(folder / f"{name}.nii.gz"))
    sitk.WriteImage(in_space(labels), str(folder / f"{name}_seg.nii.gz"))


def ellipsoid(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels, (K, J, I): a bright ellipsoid of label 1 that ends inside the volume, and noise."""
    rng = np.random.default_rng(seed)
    k, j, i = np.meshgrid(*(np.arange(n) for n in SHAPE_KJI), indexing="ij")
    inside = ((k - 6) / 4.5) ** 2 + ((j - 18 - 0.4 * k) / 8) ** 2 + ((i - 22) / 6) ** 2 < 1
    image = (100 * inside + 20 * rng.standard_normal(SHAPE_KJI)).astype(np.float32)
    return image, inside.astype(np.uint8)


def in_space(voxels: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING_IJK)
    image.SetOrigin((5.0, -30.0, 12.0))
    tilt = 0.3
    image.SetDirection((np.cos(tilt), -np.sin(tilt), 0, np.sin(tilt), np.cos(tilt), 0, 0, 0, 1))
    return image
