"""Frames whose three channels are one grey image, each normalised in its own way: one channel of work instead of three.

With mean m and deviation s, channel c is a stretched first channel: x_c = (s_0 x_0 + m_0 - m_c) / s_c. So the sum over
channels W_c * x_c is one convolution of x_0 and a map that is the same for every frame. The map is not flat: beyond
the border every channel is padded with zeros, which are different greys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Grey:
    """How a model's frames are normalised, if their channels are equal before that."""

    mean: Channels
    deviation: Channels

    def folded(self, weight: Tensor, size: int, stride: int, padding: int) -> tuple[Tensor, Tensor]:
        """The weight (dim, 3, k, k) as (dim, 1, k, k) for the first channel, and the map (1, dim, h, w) left over in a
        frame of `size` pixels. Computed in float64, so that folding itself rounds nothing."""
        exact = weight.detach().cpu().double()
        mean, deviation = (torch.tensor(values, dtype=torch.float64) for values in (self.mean, self.deviation))
        stretched = (exact * (deviation[0] / deviation)[:, None, None]).sum(1, keepdim=True)
        constant = ((mean[0] - mean) / deviation)[None, :, None, None].expand(1, 3, size, size)
        rest = F.conv2d(constant, exact, stride=stride, padding=padding)
        return stretched.to(weight), rest.to(weight)
