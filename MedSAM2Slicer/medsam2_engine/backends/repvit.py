"""RepViT-M1, the image encoder of EdgeTAM, with the names of timm's module, whose weights official files hold.

Wang et al., RepViT: Revisiting Mobile CNN From ViT Perspective, arXiv:2307.09283. timm itself imports torchvision,
which nothing else here needs. `fold` turns the parallel branches of training into single convolutions.
"""

from __future__ import annotations

from collections import OrderedDict
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

WIDTHS = (48, 96, 192, 384)
DEPTHS = (2, 2, 14, 2)
SQUEEZED_TO = 0.25
SQUEEZE_STEP = 8  # a squeezed width is a multiple of it


class RepVit(nn.Module):
    """Maps of strides 4, 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            OrderedDict(
                conv1=ConvNorm(3, WIDTHS[0] // 2, 3, stride=2),
                act1=nn.GELU(),
                conv2=ConvNorm(WIDTHS[0] // 2, WIDTHS[0], 3, stride=2),
            )
        )
        self.stages_0 = Stage(WIDTHS[0], WIDTHS[0], DEPTHS[0])
        self.stages_1 = Stage(WIDTHS[0], WIDTHS[1], DEPTHS[1])
        self.stages_2 = Stage(WIDTHS[1], WIDTHS[2], DEPTHS[2])
        self.stages_3 = Stage(WIDTHS[2], WIDTHS[3], DEPTHS[3])

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """pixels: (B, 3, S, S). Returns (B, width, S / stride, S / stride) for each stage."""
        x = self.stem(pixels)
        maps = []
        for stage in (self.stages_0, self.stages_1, self.stages_2, self.stages_3):
            x = stage(x)
            maps.append(x)
        return maps


class RepVitBackbone(nn.Module):
    """What transformers expects in the place of its timm wrapper."""

    def __init__(self) -> None:
        super().__init__()
        self.timm_model = RepVit()

    def forward(self, pixel_values: Tensor, **kwargs: object) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.timm_model(pixel_values), hidden_states=None)


class ConvNorm(nn.Sequential):
    """A convolution that keeps the map's size (over its stride), then batch normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__(OrderedDict(c=conv, bn=nn.BatchNorm2d(outputs)))

    def folded(self) -> nn.Conv2d:
        """One convolution that does the same in evaluation mode."""
        conv, norm = self
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        return fuse_conv_bn_eval(conv, norm)


class TokenMixer(nn.Module):
    """Two depthwise convolutions and the identity side by side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = ConvNorm(width, width, 3, groups=width)
        self.conv1 = ConvNorm(width, width, 1, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) + self.conv1(x) + x
        return y

    def folded(self) -> nn.Conv2d:
        """One depthwise convolution that does the same in evaluation mode."""
        wide, point = self.conv.folded(), self.conv1.folded()
        assert wide.bias is not None
        assert point.bias is not None
        centre = F.pad(point.weight + 1, (1, 1, 1, 1))
        wide.weight = nn.Parameter(wide.weight + centre, requires_grad=False)
        wide.bias = nn.Parameter(wide.bias + point.bias, requires_grad=False)
        return wide


class SqueezeExcite(nn.Module):
    """Channels weighted by their mean over the map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        squeezed = int(width * SQUEEZED_TO + SQUEEZE_STEP / 2) // SQUEEZE_STEP * SQUEEZE_STEP
        self.fc1 = nn.Conv2d(width, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))).sigmoid()
        return x * weights


class ChannelMixer(nn.Module):
    """A perceptron of twice the width at every place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(width, 2 * width)
        self.conv2 = ConvNorm(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(F.gelu(self.conv1(x)))
        return y


class Block(nn.Module):
    def __init__(self, width: int, squeezes: bool) -> None:
        super().__init__()
        self.token_mixer = TokenMixer(width)
        self.se = SqueezeExcite(width) if squeezes else nn.Identity()
        self.channel_mixer = ChannelMixer(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.se(self.token_mixer(x))
        y: Tensor = x + self.channel_mixer(x)
        return y


class Downsample(nn.Module):
    """Half the map, more channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.pre_block = Block(inputs, squeezes=False)
        self.spatial_downsample = ConvNorm(inputs, inputs, 3, stride=2, groups=inputs)
        self.channel_downsample = ConvNorm(inputs, outputs)
        self.ffn = ChannelMixer(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.channel_downsample(self.spatial_downsample(self.pre_block(x)))
        y: Tensor = x + self.ffn(x)
        return y


class Stage(nn.Module):
    """Every other block squeezes, the first one too."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        self.downsample = nn.Identity() if inputs == outputs else Downsample(inputs, outputs)
        self.blocks = nn.Sequential(*(Block(outputs, squeezes=index % 2 == 0) for index in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks(self.downsample(x))
        return y


@torch.no_grad()
def fold(module: nn.Module) -> None:
    """Replace every folding part of a loaded network, in evaluation mode, for good."""
    for name, child in module.named_children():
        if isinstance(child, ConvNorm | TokenMixer):
            setattr(module, name, child.folded())
        else:
            fold(child)
