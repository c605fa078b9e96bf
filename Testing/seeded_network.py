"""A network and frames of seeded numbers, the same on every machine: the original predictor was recorded on them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.sam2 import Sam2

SIZE = 256
FRAMES = 8
CONFIG = Sam2Config.hiera_tiny(SIZE)
BOX = ((77.0, 90.0), (148.0, 159.0))
CLICK = (115.0, 128.0)
CORRECTIONS = ((115.0, 128.0), (179.0, 141.0))
CORRECTION_LABELS = (1, 0)


def seeded_state(seed: int = 11) -> dict[str, Tensor]:
    """Weights under official names: matrices keep the scale of what passes, norms near 1, the rest small."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in Sam2(CONFIG).state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name in sorted(shapes):
        noise = torch.randn(shapes[name], generator=generator)
        is_norm = len(shapes[name]) == 1 and name.endswith("weight")
        is_matrix = name.endswith("weight") and len(shapes[name]) > 1 and "embed" not in name and "token" not in name
        state[name] = 1 + 0.1 * noise if is_norm else noise / math.sqrt(noise[0].numel()) if is_matrix else 0.2 * noise
    state["sam_mask_decoder.pred_obj_score_head.layers.2.bias"].fill_(3.0)
    return state


def seeded_frames(seed: int = 12) -> Tensor:
    """(FRAMES, 3, SIZE, SIZE): a bright ellipse that drifts, in noise."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(SIZE) / SIZE, torch.arange(SIZE) / SIZE, indexing="ij")
    images = []
    for time in torch.linspace(-0.5, 0.5, FRAMES):
        inside = ((columns - 0.45 - 0.08 * time) / 0.13) ** 2 + ((rows - 0.5 + 0.06 * time) / 0.1) ** 2 < 1
        images.append((1.5 * inside + 0.1 * torch.randn(SIZE, SIZE, generator=generator)).expand(3, -1, -1))
    return torch.stack(images)


def drawn_mask() -> Tensor:
    """(SIZE, SIZE) bool."""
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    return (columns - 110) ** 2 + (rows - 130) ** 2 < 30**2
