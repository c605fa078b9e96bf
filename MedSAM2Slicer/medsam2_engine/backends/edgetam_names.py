"""Parameter names of EdgeTAM: official checkpoints <-> transformers' EdgeTamVideoModel.

Outside the image encoder's trunk and the perceiver the names are those of SAM 2, but for the perceptrons of the memory
attention. The perceiver's keys and values are one matrix in official files, two in transformers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from medsam2_engine.model import keys

TRUNK = ("image_encoder.trunk.body.", "vision_encoder.backbone.timm_model.")
PERCEIVER = "spatial_perceiver."
_MEMORY_PERCEPTRON = (
    (r"^(memory_attention\.layers\.\d+)\.linear1\.", r"\1.mlp.up_proj."),
    (r"^(memory_attention\.layers\.\d+)\.linear2\.", r"\1.mlp.down_proj."),
)
_MEMORY_LINEAR = (
    (r"^(memory_attention\.layers\.\d+)\.mlp\.up_proj\.", r"\1.linear1."),
    (r"^(memory_attention\.layers\.\d+)\.mlp\.down_proj\.", r"\1.linear2."),
)
# Beginnings of names inside the perceiver, or inside one of its layers: official, transformers.
_PERCEIVER_PARTS = (
    ("latents_2d", "latents_2d"),
    ("latents", "latents_1d"),
    ("norm", "layer_norm"),
)
_LAYER_PARTS = (
    ("attn.norm_x", "layer_norm_input"),
    ("attn.norm_latents", "layer_norm_latents"),
    ("attn.to_q", "cross_attention.q_proj"),
    ("attn.to_out", "cross_attention.o_proj"),
    ("self_attn.norm", "layer_norm_self"),
    ("self_attn.to_q", "self_attention.q_proj"),
    ("self_attn.to_out", "self_attention.o_proj"),
    *((f"{start}ff.{number}", f"{start}mlp.{part}") for start in ("", "self_") for number, part in (
        (0, "layer_norm"), (1, "up_proj"), (3, "down_proj"))),
)  # fmt: skip
_KEYS_AND_VALUES = (("attn.to_kv", "cross_attention"), ("self_attn.to_kv", "self_attention"))


def to_transformers(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of transformers' EdgeTamVideoModel for an official state dict. Raises CheckpointError for unknown names."""
    own, shared = _apart(official, TRUNK[0])
    state = {name.replace(*TRUNK): tensor for name, tensor in own.items() if name.startswith(TRUNK[0])}
    for name, tensor in own.items():
        if name.startswith(PERCEIVER):
            state |= _perceiver_to_transformers(name.removeprefix(PERCEIVER), tensor)
    return state | {_through(name, _MEMORY_PERCEPTRON): t for name, t in keys.to_transformers(shared).items()}


def to_official(transformers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official names for a transformers state dict. Raises CheckpointError for unknown or contradictory entries."""
    own, shared = _apart(transformers, TRUNK[1])
    state = {name.replace(*TRUNK[::-1]): tensor for name, tensor in own.items() if name.startswith(TRUNK[1])}
    for name, tensor in own.items():
        if name.startswith(PERCEIVER) and ".v_proj." not in name:
            values = own.get(name.replace(".k_proj.", ".v_proj."), tensor)
            state |= _perceiver_to_official(name.removeprefix(PERCEIVER), tensor, values)
    return state | keys.to_official({_through(name, _MEMORY_LINEAR): tensor for name, tensor in shared.items()})


def _apart(state: Mapping[str, Tensor], trunk: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What only EdgeTAM has, and what is as in SAM 2."""
    own = {name: tensor for name, tensor in state.items() if name.startswith((trunk, PERCEIVER))}
    return own, {name: tensor for name, tensor in state.items() if name not in own}


def _through(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _perceiver_to_transformers(name: str, tensor: Tensor) -> dict[str, Tensor]:
    layer, part = _layer_and_part(name)
    for official, transformers in _KEYS_AND_VALUES:
        if layer and part.startswith(f"{official}."):
            halves = zip("kv", tensor.chunk(2), strict=True)
            return {f"{PERCEIVER}{layer}{transformers}.{kind}_proj.weight": half.clone() for kind, half in halves}
    return {f"{PERCEIVER}{layer}{_renamed(part, _LAYER_PARTS if layer else _PERCEIVER_PARTS)}": tensor}


def _perceiver_to_official(name: str, tensor: Tensor, values: Tensor) -> dict[str, Tensor]:
    layer, part = _layer_and_part(name)
    for official, transformers in _KEYS_AND_VALUES:
        if layer and part.startswith(f"{transformers}.k_proj."):
            return {f"{PERCEIVER}{layer}{official}.weight": torch.cat((tensor, values))}
    parts = tuple((new, old) for old, new in (_LAYER_PARTS if layer else _PERCEIVER_PARTS))
    return {f"{PERCEIVER}{layer}{_renamed(part, parts)}": tensor}


def _layer_and_part(name: str) -> tuple[str, str]:
    match = re.match(r"(layers\.\d+\.)?(.*)", name)
    assert match is not None
    return match[1] or "", match[2]


def _renamed(part: str, table: tuple[tuple[str, str], ...]) -> str:
    """With its beginning renamed; unknown ones stay, and are reported as unexpected by whoever loads them."""
    for old, new in table:
        if part == old or part.startswith(f"{old}."):
            return new + part[len(old) :]
    return part
