"""Codes for places and times, all without parameters."""

import math

import torch
from torch import Tensor


def sine_map(height: int, width: int, channels: int) -> Tensor:
    """Sine code of every pixel of a map, rows first (Vaswani et al., arXiv:1706.03762; normalised as in DETR).

    Returns (height * width, channels) float32: half the channels code y, half code x, both running over (0, 2 pi];
    sines and cosines of one frequency are neighbours.
    """
    return torch.cat(
        (
            _sine_axis(height, channels // 2)[:, None].expand(height, width, -1),
            _sine_axis(width, channels // 2)[None, :].expand(height, width, -1),
        ),
        dim=-1,
    ).reshape(height * width, channels)


def _sine_axis(length: int, channels: int) -> Tensor:
    position = torch.arange(1, length + 1, dtype=torch.float32)
    angle = (position / (length + 1e-6) * (2 * math.pi))[:, None] / _periods(channels)
    return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=-1).flatten(-2)


def sine_times(times: Tensor, channels: int) -> Tensor:
    """(T,) times to their (T, channels) sine code: all sines, then all cosines."""
    angle = times[:, None] / _periods(channels // 2).to(times)
    return torch.cat((angle.sin(), angle.cos()), dim=-1)


def _periods(channels: int) -> Tensor:
    pair = torch.arange(channels, dtype=torch.float32).div(2, rounding_mode="floor")
    return 10000.0 ** (2 * pair / channels)


def axial_rotations(height: int, width: int, channels: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines that rotate the channel pairs of every pixel (Heo et al., RoPE-ViT, arXiv:2403.13298).

    Returns two (height * width, channels / 2) float32; the first half of the pairs turns with x, the second with y.
    """
    frequency = theta ** -(torch.arange(0, channels, 4, dtype=torch.float32) / channels)
    along_x = torch.arange(width, dtype=torch.float32).repeat(height)
    along_y = torch.arange(height, dtype=torch.float32).repeat_interleave(width)
    angle = torch.cat((torch.outer(along_x, frequency), torch.outer(along_y, frequency)), dim=-1)
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (0, 1), (2, 3), ... of the channels of x (..., HW, C) by the angles of `axial_rotations`."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)
