"""The memory encoder for inference: the same function as `model.memory_encoder`, channels last throughout.

Exact savings: normalisations find their channels side by side, 1 x 1 convolutions are matrix products, and the scale
at the end of a fuser block is part of its last layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medsam2_engine.model.fast.affine import Affine, Norm
from medsam2_engine.model.memory_encoder import FuserBlock, MemoryEncoder


@dataclass(frozen=True)
class FastFuserBlock:
    """Depth-wise convolution and perceptron."""

    depthwise: tuple[Tensor, Tensor]
    norm: Norm
    widen: Affine
    narrow: Affine

    @classmethod
    def of(cls, block: nn.Module, dtype: torch.dtype) -> FastFuserBlock:
        assert isinstance(block, FuserBlock)
        narrow = Affine.of(block.pwconv2).scaled(block.gamma.detach())
        return cls(_kernel(block.dwconv), Norm.of(block.norm), Affine.of(block.pwconv1).to(dtype), narrow.to(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        """(B, n, n, hidden) float32 to the same."""
        weight, bias = self.depthwise
        y = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=3, groups=len(weight)).permute(0, 2, 3, 1)
        return x + self.narrow(F.gelu(self.widen(self.norm(y).to(self.widen.weight.dtype))))


@dataclass(frozen=True)
class FastMemoryEncoder:
    """Downsampled mask plus projected features, fused."""

    steps: list[tuple[tuple[Tensor, Tensor], Norm]]
    from_mask: Affine
    from_frame: Affine
    fuser: list[FastFuserBlock]
    out: Affine
    dtype: torch.dtype

    @classmethod
    def of(cls, encoder: MemoryEncoder, dtype: torch.dtype) -> FastMemoryEncoder:
        layers = list(encoder.mask_downsampler.encoder)
        convolutions, norms = layers[:-1:3], layers[1:-1:3]
        return cls(
            steps=[(_kernel(conv), Norm.of(norm)) for conv, norm in zip(convolutions, norms, strict=True)],
            from_mask=Affine.of(layers[-1]).to(dtype),
            from_frame=Affine.of(encoder.pix_feat_proj).to(dtype),
            fuser=[FastFuserBlock.of(block, dtype) for block in encoder.fuser.layers],
            out=Affine.of(encoder.out_proj).to(dtype),
            dtype=dtype,
        )

    def __call__(self, frame: Tensor, mask: Tensor) -> Tensor:
        """frame (B, hidden, n, n), mask (B, 1, S, S) scaled to about +-10; returns (B, n * n, 64) float32."""
        x = mask
        for (weight, bias), norm in self.steps:
            y = F.conv2d(x.contiguous(memory_format=torch.channels_last), weight, bias, stride=2, padding=1)
            x = F.gelu(norm(y.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        features = frame.permute(0, 2, 3, 1).to(self.dtype)
        fused = self.from_mask(x.permute(0, 2, 3, 1).to(self.dtype)).float() + self.from_frame(features)
        for block in self.fuser:
            fused = block(fused)
        return self.out(fused.to(self.dtype)).float().flatten(1, 2)


def _kernel(layer: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    return layer.weight.detach().contiguous(memory_format=torch.channels_last), layer.bias.detach()
