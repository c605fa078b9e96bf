"""Hiera trunk and feature pyramid: a frame becomes three maps at strides 4, 8 and 16.

Hiera: Ryali et al., arXiv:2306.00989, with windowed attention and the absolute-win position embedding of
Bolya et al., arXiv:2311.05613. Maps inside the trunk are channels last, (B, H, W, C); the pyramid's are (B, C, H, W).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medsam2_engine.model.config import HieraConfig
from medsam2_engine.model.layers import Mlp


class ImageEncoder(nn.Module):
    """Trunk and neck under the names they have in official checkpoints."""

    def __init__(self, hiera: HieraConfig, hidden: int, top_down_levels: tuple[int, ...]) -> None:
        super().__init__()
        self.trunk = Hiera(hiera)
        self.neck = FeaturePyramid(hiera.dims, hidden, top_down_levels)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) normalised pixels to three (B, hidden, s, s) maps, s = S/4, S/8, S/16."""
        fine, middle, coarse = self.neck(self.trunk(pixels))
        return fine, middle, coarse


class Hiera(nn.Module):
    """Four stages of transformer blocks; each stage after the first halves the map and widens it."""

    def __init__(self, config: HieraConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(config.dims[0])
        self.pos_embed = nn.Parameter(torch.zeros(1, config.dims[0], *config.background))
        self.pos_embed_window = nn.Parameter(torch.zeros(1, config.dims[0], config.windows[0], config.windows[0]))
        self.blocks = nn.ModuleList(_blocks(config))
        self._stage_ends = {first - 1 for first in config.pooling_blocks} | {sum(config.blocks) - 1}

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """(B, 3, S, S) to the four stages' (B, s, s, dim), s = S/4 ... S/32."""
        x = self.patch_embed(pixels)
        x = x + self._positions(x.shape[1], x.shape[2])
        stages = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self._stage_ends:
                stages.append(x)
        return stages

    def _positions(self, height: int, width: int) -> Tensor:
        """A coarse embedding stretched over the map plus one window's embedding repeated over it: (1, H, W, C)."""
        window = self.pos_embed_window
        stretched = F.interpolate(self.pos_embed, size=(height, width), mode="bicubic")
        repeated = window.tile(1, 1, height // window.shape[2], width // window.shape[3])
        return (stretched + repeated).permute(0, 2, 3, 1)


class PatchEmbedding(nn.Module):
    """Overlapping 7 x 7 patches every 4 pixels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=7, stride=4, padding=3)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, S, S) to (B, S/4, S/4, dim)."""
        patches: Tensor = self.proj(pixels)
        return patches.permute(0, 2, 3, 1)


class HieraBlock(nn.Module):
    """Attention within windows (or over the whole map) and a perceptron; a pooling block halves the map."""

    def __init__(self, dim_in: int, dim: int, heads: int, window: int, pools: bool, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim_in, eps=1e-6)
        self.attn = WindowAttention(dim_in, dim, heads, window, pools)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = GeluMlp(dim, int(dim * mlp_ratio))
        self.proj = nn.Linear(dim_in, dim) if dim_in != dim else None
        self._pools = pools

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dim_in) to (B, H, W, dim), or half of H and W where the block pools."""
        normed = self.norm1(x)
        if self.proj is not None:
            x = self.proj(normed)
            x = pool(x) if self._pools else x
        x = x + self.attn(normed)
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class WindowAttention(nn.Module):
    """Multi-head self attention inside windows of `window` tokens a side; 0 is one window over the whole map."""

    def __init__(self, dim_in: int, dim: int, heads: int, window: int, pools: bool) -> None:
        super().__init__()
        self.qkv = nn.Linear(dim_in, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self._heads = heads
        self._window = window
        self._pools = pools

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dim_in) to (B, H', W', dim); H' = H / 2 where queries are pooled."""
        height, width = x.shape[1:3]
        window = self._window or height
        qkv = self._projected(x, window)
        q, k, v = qkv.chunk(3, dim=-1)
        if self._pools:
            q = pool(q)
            height, width, window = height // 2, width // 2, window // 2
        attended = F.scaled_dot_product_attention(self._split(q), self._split(k), self._split(v))
        windows = attended.transpose(1, 2).reshape(-1, window, window, self.proj.in_features)
        y: Tensor = self.proj(from_windows(windows, height, width))
        return y

    def _projected(self, x: Tensor, window: int) -> Tensor:
        """Queries, keys and values by window: (N, w, w, 3 * dim).

        Padding tokens are zeros before the projection, so all they ever hold is its bias: project the real ones only.
        The module itself is called, and not its weights, for the sake of adapters laid over it.
        """
        y = self.qkv(x)
        if x.shape[1] % window == x.shape[2] % window == 0:
            return to_windows(y, window)
        return to_windows(y - self.qkv.bias, window) + self.qkv.bias

    def _split(self, x: Tensor) -> Tensor:
        """(N, w, w, dim) to (N, heads, w * w, dim / heads)."""
        return torch.unflatten(x.flatten(1, 2), -1, (self._heads, -1)).transpose(1, 2)


class GeluMlp(Mlp):
    """Two layers with GELU between them."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__(dim, hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        widen, narrow = self.layers
        y: Tensor = narrow(F.gelu(widen(x)))
        return y


class FeaturePyramid(nn.Module):
    """Brings the stages to one width and adds the coarser ones to the finer (Lin et al., arXiv:1612.03144)."""

    def __init__(self, dims: tuple[int, ...], hidden: int, top_down_levels: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(Lateral(dim, hidden) for dim in reversed(dims))
        self._top_down_levels = top_down_levels

    def forward(self, stages: list[Tensor]) -> list[Tensor]:
        """Stages (B, s, s, dim), finest first, to (B, hidden, s, s), finest first; the coarsest is only added in."""
        levels: list[Tensor] = []
        for level in reversed(range(len(stages))):
            x = self.convs[len(stages) - 1 - level](stages[level].permute(0, 3, 1, 2))
            if levels and level in self._top_down_levels:
                x = x + F.interpolate(levels[-1], scale_factor=2.0, mode="nearest")
            levels.append(x)
        return levels[:0:-1]


class Lateral(nn.Module):
    """A 1 x 1 convolution under the name official checkpoints give it."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, hidden, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


def to_windows(x: Tensor, size: int) -> Tensor:
    """(B, H, W, C), zero-padded to whole windows, to (windows, size, size, C)."""
    x = F.pad(x, (0, 0, 0, -x.shape[2] % size, 0, -x.shape[1] % size))
    rows_and_columns = torch.unflatten(torch.unflatten(x, 2, (-1, size)), 1, (-1, size))
    return rows_and_columns.transpose(2, 3).flatten(0, 2)


def from_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """Undo `to_windows` and drop its padding: (windows, size, size, C) to (B, height, width, C)."""
    size = windows.shape[1]
    rows, columns = -(-height // size), -(-width // size)
    x = torch.unflatten(windows, 0, (-1, rows, columns)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return x[:, :height, :width]


def pool(x: Tensor) -> Tensor:
    """Maximum over 2 x 2 tokens: (B, H, W, C) to (B, H/2, W/2, C).

    As a convolutional pooling: two maxima of slices have the same values, but gradients that take 15 times as long.
    """
    return F.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def _blocks(config: HieraConfig) -> list[HieraBlock]:
    blocks: list[HieraBlock] = []
    for stage, count in enumerate(config.blocks):
        for index in range(count):
            pools = stage > 0 and index == 0
            source = stage - 1 if pools else stage
            blocks.append(
                HieraBlock(
                    dim_in=config.dims[source],
                    dim=config.dims[stage],
                    heads=config.heads[stage],
                    window=0 if len(blocks) in config.global_blocks else config.windows[source],
                    pools=pools,
                    mlp_ratio=config.mlp_ratio,
                )
            )
    return blocks
