"""A frame and its mask become one memory: a map of 64-channel tokens at stride 16.

Ravi et al., arXiv:2408.00714, section 4; the fuser's blocks: Liu et al., ConvNeXt, arXiv:2201.03545.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medsam2_engine.model.config import MEMORY_CHANNELS, Sam2Config
from medsam2_engine.model.layers import ChannelNorm
from medsam2_engine.model.positions import sine_map


class MemoryEncoder(nn.Module):
    """Downsampled mask plus projected features, fused by two convolutional blocks."""

    positions: Tensor

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        hidden = config.hidden
        self.mask_downsampler = MaskDownsampler(hidden)
        self.pix_feat_proj = nn.Conv2d(hidden, hidden, kernel_size=1)
        self.fuser = Fuser(config)
        self.out_proj = nn.Conv2d(hidden, MEMORY_CHANNELS, kernel_size=1)
        positions = sine_map(config.grid, config.grid, MEMORY_CHANNELS)
        self.register_buffer("positions", positions, persistent=False)  # (n * n, 64), the same for every memory

    def forward(self, frame: Tensor, mask: Tensor) -> Tensor:
        """frame (B, hidden, n, n) without memory, mask (B, 1, S, S) scaled to about +-10; returns (B, 64, n, n)."""
        y: Tensor = self.out_proj(self.fuser(self.pix_feat_proj(frame) + self.mask_downsampler(mask)))
        return y


class MaskDownsampler(nn.Module):
    """Four strided convolutions, each to a quarter of the pixels and four times the channels."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (1, 4, 16, 64):
            layers.append(nn.Conv2d(channels, 4 * channels, kernel_size=3, stride=2, padding=1))
            layers += [ChannelNorm(4 * channels), nn.GELU()]
        self.encoder = nn.Sequential(*layers, nn.Conv2d(256, hidden, kernel_size=1))

    def forward(self, mask: Tensor) -> Tensor:
        """(B, 1, S, S) to (B, hidden, n, n)."""
        y: Tensor = self.encoder(mask)
        return y


class Fuser(nn.Module):
    """The blocks in a row, under their official name."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(FuserBlock(config) for _ in range(config.fuser_layers)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return y


class FuserBlock(nn.Module):
    """Depth-wise 7 x 7 convolution and a pixel-wise perceptron, scaled and added."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        hidden = config.hidden
        self.dwconv = nn.Conv2d(hidden, hidden, kernel_size=7, padding=3, groups=hidden)
        self.norm = ChannelNorm(hidden)
        self.pwconv1 = nn.Linear(hidden, config.fuser_feed_forward)
        self.pwconv2 = nn.Linear(config.fuser_feed_forward, hidden)
        self.gamma = nn.Parameter(torch.full((hidden,), config.fuser_layer_scale))

    def forward(self, x: Tensor) -> Tensor:
        """(B, hidden, n, n) to the same."""
        y = self.norm(self.dwconv(x)).permute(0, 2, 3, 1)
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        z: Tensor = x + y.permute(0, 3, 1, 2)
        return z
