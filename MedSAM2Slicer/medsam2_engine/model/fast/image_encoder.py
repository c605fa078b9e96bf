"""The image encoder for inference: the same function as `model.image_encoder`, in fewer steps.

Exact savings: the position embedding is computed once; grey frames need one channel (`fast.grey`); padding tokens of a
window hold nothing but the bias of their projection, so they are filled in, not computed; where the pyramid has no
top-down path, its lateral and the mask decoder's projection of that level are two linear maps in a row, thus one. And
sums are made in place, the perceptrons' on as many tokens at a time as stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from medsam2_engine.model.fast.affine import Affine, Norm
from medsam2_engine.model.fast.grey import Grey
from medsam2_engine.model.fast.windows import WindowOrder
from medsam2_engine.model.frame import ImageFeatures
from medsam2_engine.model.image_encoder import Hiera, HieraBlock, ImageEncoder, pool
from medsam2_engine.model.mask_decoder import MaskDecoder

Pause = Callable[[], None]  # called between blocks; what it raises ends the encoding
IN_CACHE = 1 << 20  # numbers in the widest part of a perceptron on the CPU: 4 MB


@dataclass(frozen=True)
class FastImageEncoder:
    """Trunk, pyramid and the decoder's two projections, channels last throughout."""

    patches: tuple[Tensor, Tensor]  # for the first channel only, or for all three
    positions: Tensor  # (1, S / 4, S / 4, dim), with what other channels of grey frames contribute
    blocks: list[FastBlock]
    stage_ends: set[int]
    laterals: list[Affine]  # finest first; the first two end in the decoder's channels
    adds_coarsest: bool
    dtype: torch.dtype

    @classmethod
    def of(
        cls,
        encoder: ImageEncoder,
        decoder: MaskDecoder,
        image_size: int,
        dtype: torch.dtype,
        grey: Grey | None = None,
    ) -> FastImageEncoder:
        """grey: how frames are normalised, if all of them have three equal channels before that."""
        trunk, neck = encoder.trunk, encoder.neck
        fine, middle, coarse, coarsest = [Affine.of(lateral.get_submodule("conv")) for lateral in reversed(neck.convs)]
        laterals = [Affine.of(decoder.conv_s0).after(fine), Affine.of(decoder.conv_s1).after(middle), coarse, coarsest]
        side = image_size // 4
        patches = trunk.patch_embed.proj
        assert patches.bias is not None
        weight, positions = patches.weight.detach(), trunk._positions(side, side).detach()
        if grey is not None:
            weight, rest = grey.folded(weight, image_size, stride=4, padding=3)
            positions = positions + rest.permute(0, 2, 3, 1)
        return cls(
            patches=(weight, patches.bias.detach()),
            positions=positions.contiguous(),
            blocks=_blocks(trunk, side, dtype),
            stage_ends=trunk._stage_ends,
            laterals=[lateral.to(dtype) for lateral in laterals],
            adds_coarsest=2 in neck._top_down_levels,
            dtype=dtype,
        )

    def __call__(self, pixels: Tensor, pause: Pause) -> ImageFeatures:
        """(B, 3, S, S) float32 normalised pixels to features, float32."""
        seen = pixels[:, : self.patches[0].shape[1]]
        x = F.conv2d(seen, *self.patches, stride=4, padding=3).permute(0, 2, 3, 1) + self.positions
        stages = []
        for index, block in enumerate(self.blocks):
            pause()
            x = block(x)
            if index in self.stage_ends:
                stages.append(x)
        fine, middle, coarse, coarsest = (
            lateral(stage.to(self.dtype)).float().permute(0, 3, 1, 2)
            for lateral, stage in zip(self.laterals, stages, strict=True)
        )
        if self.adds_coarsest:
            coarse = coarse + F.interpolate(coarsest, scale_factor=2.0, mode="nearest")
        return ImageFeatures(fine, middle, coarse)


def _blocks(trunk: Hiera, side: int, dtype: torch.dtype) -> list[FastBlock]:
    blocks = []
    for block in trunk.blocks:
        assert isinstance(block, HieraBlock)
        blocks.append(FastBlock.of(block, side, dtype))
        side = side // 2 if block._pools else side
    return blocks


@dataclass(frozen=True)
class FastBlock:
    """One block of the trunk."""

    norm1: Norm
    norm2: Norm
    qkv: Affine
    attended: Affine
    widen: Affine
    narrow: Affine
    shortcut: Affine | None
    heads: int
    pools: bool
    side: int  # tokens along the map's side
    before: WindowOrder | None  # None: one window over the whole map
    after: WindowOrder | None  # as before, of half the side where queries are pooled
    dtype: torch.dtype

    @classmethod
    def of(cls, block: HieraBlock, side: int, dtype: torch.dtype) -> FastBlock:
        """side: tokens along the side of the map that comes in."""
        widen, narrow = block.mlp.layers
        device = block.norm1.weight.device
        window, shrink = block.attn._window, 2 if block._pools else 1
        return cls(
            norm1=Norm.of(block.norm1),
            norm2=Norm.of(block.norm2),
            qkv=Affine.of(block.attn.qkv).to(dtype),
            attended=Affine.of(block.attn.proj).to(dtype),
            widen=Affine.of(widen).to(dtype),
            narrow=Affine.of(narrow).to(dtype),
            shortcut=None if block.proj is None else Affine.of(block.proj).to(dtype),
            heads=block.attn._heads,
            pools=block._pools,
            side=side,
            before=WindowOrder.of(side, window).to(device) if window else None,
            after=WindowOrder.of(side // shrink, window // shrink).to(device) if window else None,
            dtype=dtype,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """(B, H, W, dim_in) float32 to (B, H', W', dim) float32; the sums stay in float32."""
        normed = self.norm1(x).to(self.dtype)
        if self.shortcut is not None:
            x = self.shortcut(normed)
            x = (pool(x) if self.pools else x).float()
        # In place: x is what the block before has made, and a stage's end, which is kept, is followed by a shortcut.
        x = x.contiguous()
        self.attended.add_to(x, self._attend(normed.flatten(1, 2)))
        tokens = x.view(-1, x.shape[-1])
        at_once = max(256, IN_CACHE // len(self.widen.bias)) if x.device.type == "cpu" else len(tokens)
        for part in torch.split(tokens, at_once):
            y = self.widen(self.norm2(part).to(self.dtype))
            self.narrow.add_to(part, torch.ops.aten.gelu_(y))
        return x

    def _attend(self, x: Tensor) -> Tensor:
        """(B, H * W, dim_in) to (B, H' * W', dim), what the output projection is then applied to."""
        batch = len(x)
        q, k, v = torch.unflatten(self._in_windows(x), -1, (3, self.heads, -1)).unbind(2)
        if self.pools:
            side = self.side if self.before is None else self.before.window
            q = pool(q.reshape(-1, side, side, q.shape[-2] * q.shape[-1])).view(len(k), -1, *q.shape[2:])
        y = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        y = y.transpose(1, 2).reshape(batch, -1, len(self.attended.weight))
        return y if self.after is None else self.after.undone(y)

    def _in_windows(self, x: Tensor) -> Tensor:
        """Queries, keys and values: (B, H * W, dim_in) to (B * windows, window^2, 3 * dim).

        A token beyond the border is zero before the projection, thus the bias after it.
        """
        if self.before is None:
            return self.qkv(x)
        if self.before.is_padded:
            qkv = self.before.arranged(self.qkv(x)).index_copy(
                1, self.before.beyond, self.qkv.bias.expand(len(x), len(self.before.beyond), -1)
            )
        else:  # fewer channels to move
            qkv = self.qkv(self.before.arranged(x))
        return qkv.view(-1, self.before.window**2, qkv.shape[-1])
