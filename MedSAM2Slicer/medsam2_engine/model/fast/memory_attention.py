"""Memory attention for inference: the same function as `model.memory_attention`, with less to compute.

Exact savings, in the order of their worth:
* Values stay in the 64 memory channels: P (M Wv^T + bv) Wo^T = (P M) (Wo Wv)^T + Wo bv, as the rows of P sum to one.
* Keys are projected and turned once, when a frame is remembered: turning and projecting are linear, so the code of its
  age, different on every frame, is projected and turned beforehand and added.
* The channels of queries and keys may be reordered alike: even ones first, so that turning works on two halves.
* The scale of the softmax is part of the query's projection.
* The first layer's self attention knows nothing of the object: it is done once per frame (`begin`), with its encoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medsam2_engine.model.bank import Memory
from medsam2_engine.model.fast.affine import Affine, Norm, softmax_attention
from medsam2_engine.model.memory_attention import MemoryAttention, MemoryAttentionLayer, RotaryAttention

Aged: TypeAlias = Sequence[tuple[int, Memory]]


@dataclass(frozen=True)
class Turn:
    """Rotary positions of one map, for channels whose even ones come first."""

    cos: Tensor  # (n * n, C / 2)
    sin: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """(..., n * n, C), turned in float32."""
        first, second = x.float().chunk(2, dim=-1)
        turned = torch.cat((first * self.cos - second * self.sin, first * self.sin + second * self.cos), dim=-1)
        return turned.to(x.dtype)


@dataclass(frozen=True)
class FastLayer:
    """Self attention, cross attention, perceptron."""

    norms: tuple[Norm, Norm, Norm]
    self_qkv: Affine  # queries, keys, and values that already went through the output projection
    cross_q: Affine
    cross_out: Affine  # from 64 memory channels to the output, Wo Wv
    widen: Affine
    narrow: Affine

    @classmethod
    def of(cls, layer: nn.Module, dtype: torch.dtype) -> FastLayer:
        assert isinstance(layer, MemoryAttentionLayer)
        mine, cross = layer.self_attn, layer.cross_attn_image
        values = Affine.of(mine.out_proj).after(Affine.of(mine.v_proj))
        return cls(
            norms=(Norm.of(layer.norm1), Norm.of(layer.norm2), Norm.of(layer.norm3)),
            self_qkv=Affine.stacked([_queries(mine), _keys(mine), values]).to(dtype),
            cross_q=_queries(cross).to(dtype),
            cross_out=Affine.of(cross.out_proj).after(Affine.of(cross.v_proj)).to(dtype),
            widen=Affine.of(layer.linear1).to(dtype),
            narrow=Affine.of(layer.linear2).to(dtype),
        )

    def look_around(self, x: Tensor, turn: Turn) -> Tensor:
        """The self attention; x (B, n * n, hidden) float32, which is changed."""
        dtype, inner = self.self_qkv.weight.dtype, len(self.cross_q.bias)
        q, k, v = torch.split(self.self_qkv(self.norms[0](x).to(dtype)), [inner, inner, x.shape[-1]], dim=-1)
        x += softmax_attention(turn(q), turn(k), v.contiguous())
        return x

    def look_back(self, x: Tensor, keys: Tensor, values: Tensor, turn: Turn) -> Tensor:
        """The rest. x (B, n * n, hidden) float32, which is changed; keys (B, K, inner) turned; values (B, K, 64)."""
        dtype = values.dtype
        q = turn(self.cross_q(self.norms[1](x).to(dtype)))
        self.cross_out.add_to(x, softmax_attention(q, keys, values))
        self.narrow.add_to(x, F.relu_(self.widen(self.norms[2](x).to(dtype))))
        return x


@dataclass(frozen=True)
class FastMemoryAttention:
    """The stack of layers, for one or several objects, each on its own frame."""

    layers: list[FastLayer]
    norm: Norm
    positions: Tensor  # (n * n, hidden)
    places: Tensor  # (n * n, 64)
    keys: Affine  # the key projections of all layers, one after the other
    ages: Tensor  # (num_maskmem, layers, n * n, inner): what the code of an age adds to the keys
    turn: Turn
    dtype: torch.dtype

    @classmethod
    def of(
        cls, attention: MemoryAttention, places: Tensor, age_codes: Tensor, dtype: torch.dtype
    ) -> FastMemoryAttention:
        """places: (n * n, 64), age_codes: (num_maskmem, 64), both added to a memory before it is projected."""
        turn = Turn(attention.cos, attention.sin)
        keys = [_keys(layer.get_submodule("cross_attn_image")) for layer in attention.layers]
        ages = torch.stack([age_codes.detach() @ key.weight.T for key in keys], dim=1)[:, :, None]
        return cls(
            layers=[FastLayer.of(layer, dtype) for layer in attention.layers],
            norm=Norm.of(attention.norm),
            positions=attention.positions,
            places=places,
            keys=Affine.stacked(keys).to(dtype),
            ages=turn(ages.expand(-1, -1, len(places), -1)).to(dtype),
            turn=turn,
            dtype=dtype,
        )

    def remembered_keys(self, tokens: Tensor) -> Tensor:
        """The keys of a memory map (n * n, 64) in every layer, without the code of its age: (layers, n * n, inner)."""
        return self.turn(self._by_layer((tokens.float() + self.places).to(self.dtype)))

    def begin(self, coarse: Tensor) -> Tensor:
        """What comes before the first memory, from (B, hidden, n, n) float32 features: (B, n * n, hidden) float32."""
        x = coarse.flatten(2).transpose(1, 2) + self.positions
        return self.layers[0].look_around(x.contiguous(), self.turn)

    def __call__(self, begun: Tensor, maps: Sequence[Aged], pointers: Tensor, pointer_times: Tensor) -> Tensor:
        """begun (B, n * n, hidden). maps: of each the recalled memories with their ages, as many of all. pointers and
        their times (B, T, 64). Returns (B, n * n, hidden)."""
        tokens = torch.stack([torch.cat([memory.tokens for _, memory in recalled]) for recalled in maps])
        values = torch.cat((tokens.to(self.dtype), pointers.to(self.dtype)), dim=1)
        last = self._by_layer((pointers + pointer_times).to(self.dtype))
        remembered = [[(age, self._keys_of(memory)) for age, memory in recalled] for recalled in maps]
        keys = values.new_empty(*values.shape[:2], last.shape[-1])
        x = begun.clone()
        for index, layer in enumerate(self.layers):
            for item, recalled in enumerate(remembered):
                self._lay_out(keys[item], index, recalled)
            keys[:, tokens.shape[1] :] = last[index]
            if index > 0:
                x = layer.look_around(x, self.turn)
            x = layer.look_back(x, keys, values, self.turn)
        return self.norm(x)

    def _lay_out(self, keys: Tensor, layer: int, recalled: Sequence[tuple[int, Tensor]]) -> None:
        """Write the keys of maps, with the codes of their ages, one after the other into (K, inner)."""
        places = len(self.places)
        for number, (age, remembered) in enumerate(recalled):
            # Row `age - 1` of the table; conditioning maps have age 0 and thereby the last row.
            part = keys[places * number : places * (number + 1)]
            torch.add(remembered[layer], self.ages[age - 1, layer], out=part)

    def _keys_of(self, memory: Memory) -> Tensor:
        return self.remembered_keys(memory.tokens) if memory.keys is None else memory.keys

    def _by_layer(self, tokens: Tensor) -> Tensor:
        """(..., T, 64) to the (layers, ..., T, inner) keys they make."""
        return torch.unflatten(self.keys(tokens), -1, (len(self.layers), -1)).movedim(-2, 0)


def _queries(attention: RotaryAttention) -> Affine:
    layer = Affine.of(attention.q_proj)
    return layer.rows(_even_first(len(layer.bias))).scaled(len(layer.bias) ** -0.5)


def _keys(attention: nn.Module) -> Affine:
    assert isinstance(attention, RotaryAttention)
    layer = Affine.of(attention.k_proj)
    return layer.rows(_even_first(len(layer.bias)))


def _even_first(channels: int) -> Tensor:
    return torch.cat((torch.arange(0, channels, 2), torch.arange(1, channels, 2)))
