"""The mask decoder's upscaling for inference: each transposed convolution touches one pixel, so it is a linear map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from medsam2_engine.model.fast.affine import Affine, Norm
from medsam2_engine.model.mask_decoder import MaskDecoder


@dataclass(frozen=True)
class FastUpscaling:
    """Twice from a map to one with twice the side, with the skip connections added."""

    widen: Affine
    norm: Norm
    widen_again: Affine
    dtype: torch.dtype

    @classmethod
    def of(cls, decoder: MaskDecoder, dtype: torch.dtype) -> FastUpscaling:
        widen, norm, _, widen_again, _ = decoder.output_upscaling
        return cls(
            Affine.of_transposed(widen).to(dtype), Norm.of(norm), Affine.of_transposed(widen_again).to(dtype), dtype
        )

    def __call__(self, frame: Tensor, middle: Tensor, fine: Tensor) -> Tensor:
        """frame (B, hidden, n, n) to (B, hidden/8, 4n, 4n), as `MaskDecoder` does it."""
        y = self._doubled(self.widen, frame.permute(0, 2, 3, 1)) + middle.permute(0, 2, 3, 1)
        y = self._doubled(self.widen_again, F.gelu(self.norm(y))) + fine.permute(0, 2, 3, 1)
        return F.gelu(y).permute(0, 3, 1, 2)

    def _doubled(self, layer: Affine, x: Tensor) -> Tensor:
        """(B, h, w, C) to (B, 2h, 2w, C') float32."""
        batch, height, width = x.shape[:3]
        y = layer(x.to(self.dtype)).view(batch, height, width, 2, 2, -1).transpose(2, 3)
        return y.reshape(batch, 2 * height, 2 * width, -1).float()
