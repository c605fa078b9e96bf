"""Points, box corners and earlier logits become tokens and a map the mask decoder can attend to.

Kirillov et al., Segment Anything, arXiv:2304.02643, appendix A. Random Fourier features:
Tancik et al., arXiv:2006.10739.
"""

import math

import torch
from torch import Tensor, nn

from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.layers import ChannelNorm

KINDS = 4  # negative point, positive point, top left corner, bottom right corner


class PromptEncoder(nn.Module):
    """One embedding per kind of point, one for "not a point", and a small network for mask logits."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        hidden, channels = config.hidden, config.mask_prompt_channels
        self.pe_layer = RandomFourier(hidden)
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, hidden) for _ in range(KINDS))
        self.not_a_point_embed = nn.Embedding(1, hidden)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, channels // 4, kernel_size=2, stride=2),
            ChannelNorm(channels // 4),
            nn.GELU(),
            nn.Conv2d(channels // 4, channels, kernel_size=2, stride=2),
            ChannelNorm(channels),
            nn.GELU(),
            nn.Conv2d(channels, hidden, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, hidden)
        self._image_size = config.image_size
        self._grid = config.grid

    def sparse(self, points_xy: Tensor, labels: Tensor) -> Tensor:
        """Tokens of a prompt, closed by one "not a point" token as in training.

        points_xy: (B, P, 2) pixels of the model frame, the first pixel's centre at (0, 0). labels: (B, P) int,
        0 negative, 1 positive, 2 and 3 box corners, -1 no point. Returns (B, P + 1, hidden).
        """
        places = self.pe_layer((points_xy + 0.5) / self._image_size)
        kinds = torch.cat([self.get_parameter(f"point_embeddings.{kind}.weight") for kind in range(KINDS)])
        nothing = self.not_a_point_embed.weight
        tokens = torch.where(labels[..., None] < 0, nothing, places + kinds[labels.long().clamp(min=0)])
        return torch.cat((tokens, nothing.expand(len(tokens), 1, -1)), dim=1)

    def no_points(self, batch: int) -> Tensor:
        """Tokens of a frame without any point: (B, 2, hidden)."""
        return self.not_a_point_embed.weight.expand(batch, 2, -1)

    def dense(self, logits: Tensor) -> Tensor:
        """Mask logits (B, 1, 4n, 4n) to the (B, hidden, n, n) added to the frame's features."""
        y: Tensor = self.mask_downscaling(logits)
        return y

    def no_mask(self) -> Tensor:
        """What is added to the frame's features instead: (1, hidden, 1, 1)."""
        return self.no_mask_embed.weight[:, :, None, None]

    def frame_positions(self) -> Tensor:
        """Code of every pixel of the stride-16 map: (n * n, hidden)."""
        centres = (torch.arange(self._grid, device=self.pe_layer.device) + 0.5) / self._grid
        rows, columns = torch.meshgrid(centres, centres, indexing="ij")
        places: Tensor = self.pe_layer(torch.stack((columns, rows), dim=-1))
        return places.flatten(0, 1)


class RandomFourier(nn.Module):
    """Codes places by sines and cosines of fixed random frequencies, which belong to the checkpoint."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, channels // 2))

    @property
    def device(self) -> torch.device:
        return self.positional_encoding_gaussian_matrix.device

    def forward(self, xy: Tensor) -> Tensor:
        """Places (..., 2) in [0, 1] of the frame to (..., channels)."""
        angle = 2 * math.pi * ((2 * xy - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat((angle.sin(), angle.cos()), dim=-1)
