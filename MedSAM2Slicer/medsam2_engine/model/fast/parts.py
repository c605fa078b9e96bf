"""The parts of a model that inference replaces, folded once after loading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medsam2_engine.model.fast.grey import Grey
from medsam2_engine.model.fast.image_encoder import FastImageEncoder
from medsam2_engine.model.fast.memory_attention import FastMemoryAttention
from medsam2_engine.model.fast.memory_encoder import FastMemoryEncoder
from medsam2_engine.model.fast.upscaling import FastUpscaling
from medsam2_engine.model.frame import ImageFeatures

if TYPE_CHECKING:
    from medsam2_engine.model.sam2 import Sam2


@dataclass(frozen=True)
class FastParts:
    """What `Sam2.prepare` makes. The parameters they were folded from must not change any more."""

    image_encoder: FastImageEncoder
    memory_attention: FastMemoryAttention
    memory_encoder: FastMemoryEncoder
    upscaling: FastUpscaling

    @classmethod
    @torch.no_grad()
    def of(cls, model: Sam2, dtype: torch.dtype, grey: Grey | None = None) -> FastParts | None:
        """None for an architecture that no published SAM 2 has: many memory heads, or a pyramid added further down."""
        config = model.config
        if config.memory_heads != 1 or min(config.fpn_top_down_levels, default=3) < 2:
            return None
        places, age_codes = model.memory_encoder.positions, model.maskmem_tpos_enc[:, 0, 0]
        return cls(
            FastImageEncoder.of(model.image_encoder, model.sam_mask_decoder, config.image_size, dtype, grey),
            FastMemoryAttention.of(model.memory_attention, places, age_codes, dtype),
            FastMemoryEncoder.of(model.memory_encoder, dtype),
            FastUpscaling.of(model.sam_mask_decoder, dtype),
        )

    def begun(self, features: ImageFeatures) -> Tensor:
        """As it was kept, or now where the features come from elsewhere."""
        return self.memory_attention.begin(features.coarse) if features.begun is None else features.begun
