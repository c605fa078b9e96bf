"""A linear layer ready for inference, and the algebra of folding several into one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Affine:
    """x W^T + b over the last axis, in the precision of its weights."""

    weight: Tensor  # (out, in)
    bias: Tensor  # (out,)

    @classmethod
    def of(cls, layer: nn.Module) -> Affine:
        """A linear layer, or a 1 x 1 convolution, which is one over the channels."""
        assert isinstance(layer, (nn.Linear, nn.Conv2d))
        assert layer.bias is not None
        return cls(layer.weight.detach().flatten(1), layer.bias.detach())

    @classmethod
    def of_transposed(cls, layer: nn.Module) -> Affine:
        """A 2 x 2 transposed convolution of stride 2: each pixel alone becomes its 4 successors, (4 * out) channels."""
        assert isinstance(layer, nn.ConvTranspose2d)
        assert layer.bias is not None
        weight = layer.weight.detach().permute(2, 3, 1, 0).flatten(0, 2)
        return cls(weight.contiguous(), layer.bias.detach().repeat(4))

    @classmethod
    def stacked(cls, layers: list[Affine]) -> Affine:
        """All layers of one input at once, their outputs side by side."""
        return cls(torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers]))

    def after(self, first: Affine) -> Affine:
        """W (V x + c) + b = (W V) x + (W c + b). Folded in float64, so that folding itself rounds nothing."""
        # On the CPU: Apple's GPUs have no float64.
        weight, bias, inner, offset = (t.cpu().double() for t in (self.weight, self.bias, first.weight, first.bias))
        folded = weight @ inner, weight @ offset + bias
        return Affine(folded[0].to(self.weight), folded[1].to(self.bias))

    def rows(self, order: Tensor) -> Affine:
        """The same outputs in another order."""
        return Affine(self.weight[order], self.bias[order])

    def scaled(self, factor: float | Tensor) -> Affine:
        """Every output times a factor."""
        column = factor[:, None] if isinstance(factor, Tensor) else factor
        return Affine(self.weight * column, self.bias * factor)

    def to(self, dtype: torch.dtype) -> Affine:
        return Affine(self.weight.to(dtype).contiguous(), self.bias.to(dtype))

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def add_to(self, total: Tensor, x: Tensor) -> None:
        """total (..., out) float32 += x W^T + b for x (..., in), in place: a product can begin with what is there."""
        if self.weight.dtype == total.dtype:
            total += self.bias
            rows = total.view(-1, total.shape[-1])
            torch.addmm(rows, x.flatten(0, -2), self.weight.T, out=rows)
        else:
            total += self(x).view(total.shape)


@dataclass(frozen=True)
class Norm:
    """Layer normalisation over the last axis; in float32 whatever precision follows."""

    weight: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, layer: nn.Module) -> Norm:
        assert isinstance(layer, nn.LayerNorm)
        return cls(layer.weight.detach(), layer.bias.detach(), layer.eps)

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, limit: int = 1 << 22) -> Tensor:
    """softmax(q k^T) v for q (B, Q, D) already scaled, k (B, K, D), v (B, K, E), which may be narrower than the keys.

    On the CPU queries go in blocks of `limit` weights, which then stay in the cache; each row is normalised by itself.
    """
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None], scale=1.0)[:, 0]
    out = torch.empty(*q.shape[:2], v.shape[2], dtype=v.dtype)
    rows = max(64, limit // k.shape[1])
    for item in range(len(q)):
        for start in range(0, q.shape[1], rows):
            part = slice(start, start + rows)
            weights = torch.softmax(q[item, part] @ k[item].T, dim=-1)
            torch.mm(weights, v[item], out=out[item, part])
    return out
