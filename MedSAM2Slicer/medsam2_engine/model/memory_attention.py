"""The current frame's features look at what the memory bank recalls.

Ravi et al., arXiv:2408.00714, section 4: per layer self attention, cross attention to memories, perceptron, all with
normalisation first. Rotary positions along both axes: Heo et al., arXiv:2403.13298.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medsam2_engine.model.config import MEMORY_CHANNELS, Sam2Config
from medsam2_engine.model.positions import axial_rotations, rotate, sine_map


class MemoryAttention(nn.Module):
    """A stack of layers over the stride-16 map, n * n tokens wide."""

    positions: Tensor
    cos: Tensor
    sin: Tensor

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(config) for _ in range(config.memory_layers))
        self.norm = nn.LayerNorm(config.hidden)
        grid, head = config.grid, config.hidden // config.memory_downsample // config.memory_heads
        cos, sin = axial_rotations(grid, grid, head, config.rope_theta)
        self.register_buffer("positions", 0.1 * sine_map(grid, grid, config.hidden), persistent=False)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, frame: Tensor, keys: Tensor, values: Tensor, pointers: int) -> Tensor:
        """Features that know the object's past.

        frame: (B, n * n, hidden). values: (B, K, 64), whole memory maps first, then `pointers` tokens that have no
        place on the frame. keys: values plus their codes of place and time. Returns (B, n * n, hidden).
        """
        x = frame + self.positions
        for layer in self.layers:
            x = layer(x, keys, values, pointers, self.cos, self.sin)
        y: Tensor = self.norm(x)
        return y


class MemoryAttentionLayer(nn.Module):
    """Self attention, cross attention, perceptron; each adds to what came before."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        hidden, heads = config.hidden, config.memory_heads
        inner = hidden // config.memory_downsample
        self.norm1 = nn.LayerNorm(hidden)
        self.self_attn = RotaryAttention(hidden, hidden, inner, heads)
        self.norm2 = nn.LayerNorm(hidden)
        self.cross_attn_image = RotaryAttention(hidden, MEMORY_CHANNELS, inner, heads)
        self.norm3 = nn.LayerNorm(hidden)
        self.linear1 = nn.Linear(hidden, config.memory_feed_forward)
        self.linear2 = nn.Linear(config.memory_feed_forward, hidden)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, pointers: int, cos: Tensor, sin: Tensor) -> Tensor:
        y = self.norm1(x)
        x = x + self.self_attn(y, y, y, 0, cos, sin)
        x = x + self.cross_attn_image(self.norm2(x), keys, values, pointers, cos, sin)
        z: Tensor = x + self.linear2(F.relu(self.linear1(self.norm3(x))))
        return z


class RotaryAttention(nn.Module):
    """Attention whose queries and keys are turned by their place on the frame."""

    def __init__(self, hidden: int, source: int, inner: int, heads: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(hidden, inner)
        self.k_proj = nn.Linear(source, inner)
        self.v_proj = nn.Linear(source, inner)
        self.out_proj = nn.Linear(inner, hidden)
        self._heads = heads

    def forward(self, q: Tensor, k: Tensor, v: Tensor, unplaced: int, cos: Tensor, sin: Tensor) -> Tensor:
        """q (B, n * n, hidden); k, v (B, K, source), of which the last `unplaced` are not turned."""
        q, k, v = self._split(self.q_proj(q)), self._split(self.k_proj(k)), self._split(self.v_proj(v))
        attended = F.scaled_dot_product_attention(rotate(q, cos, sin), _rotate_maps(k, unplaced, cos, sin), v)
        y: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return y

    def _split(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, -1, (self._heads, -1)).transpose(1, 2)


def _rotate_maps(k: Tensor, unplaced: int, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each of the maps that k (B, heads, maps * n * n + unplaced, C) begins with."""
    placed = k.shape[-2] - unplaced
    maps = torch.unflatten(k[..., :placed, :], -2, (-1, len(cos)))
    return torch.cat((rotate(maps, cos, sin).flatten(-3, -2), k[..., placed:, :]), dim=-2)
