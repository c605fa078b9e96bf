"""The adapters of SAM-Med2D: one beside the perceptron of every block of SAM 1's image encoder.

Cheng et al., SAM-Med2D, arXiv:2308.16184: channels weighted by their mean over the map, then a convolution down and up
again. Everything else is SAM ViT-B at 256 pixels.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

SQUEEZED_TO = 0.25


class Adapter(nn.Module):
    """Names are those of official checkpoints."""

    def __init__(self, width: int) -> None:
        super().__init__()
        squeezed = int(width * SQUEEZED_TO)
        self.norm = nn.LayerNorm(width)
        self.channel = nn.Sequential(
            nn.Linear(width, squeezed, bias=False), nn.ReLU(), nn.Linear(squeezed, width, bias=False), nn.Sigmoid()
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, bias=False),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, n, n, width), normalised; n is even."""
        weighted = x * self.channel(x.mean((1, 2)))[:, None, None]
        y: Tensor = self.norm(x + self.spatial(weighted.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        return y


def add_adapters(model: Any) -> None:
    """Lay an adapter beside the perceptron of every block of a transformers `SamModel`."""
    for layer in model.vision_encoder.layers:
        layer.mlp.Adapter = Adapter(layer.layer_norm2.normalized_shape[0])
        layer.mlp.register_forward_hook(_with_adapter)


def _with_adapter(perceptron: Any, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    adapted: Tensor = output + perceptron.Adapter(inputs[0])
    return adapted
