"""The SAM 2 models that were published, by name, and which of them a state dict holds.

A checkpoint says most of its architecture by the shapes of its tensors. Three things it does not say: into how many
heads a width is split, how large the windows of the later stages are, and which blocks attend to the whole map. Those
are taken from the published model with the same trunk; a trunk that nobody published needs a config.json. Nor does any
tensor depend on the size of the frame: that is the caller's to know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from medsam2_engine.model.config import HieraConfig, Sam2Config
from medsam2_engine.model.errors import CheckpointError

_SIZES = {
    "tiny": Sam2Config.hiera_tiny(),
    "small": Sam2Config.hiera_small(),
    "base_plus": Sam2Config.hiera_base_plus(),
    "large": Sam2Config.hiera_large(),
}
PUBLISHED: dict[str, Sam2Config] = {
    **{f"sam2.1_hiera_{size}": config for size, config in _SIZES.items()},
    **{
        f"sam2_hiera_{size}": replace(config, occlusion_embedding=False, pointer_time_encoding=False)
        for size, config in _SIZES.items()
    },
}

SAM1 = "SAM 1"
SAM2 = "SAM 2"
SAM3 = "SAM 3"
EDGETAM = "EdgeTAM"
SAM_MED2D = "SAM-Med2D"
# Other families, each by a parameter that only it has.
_FAMILIES = {
    r"image_encoder\.trunk\.patch_embed\.proj\.weight": SAM2,
    r"image_encoder\.blocks\.\d+\.Adapter\.": SAM_MED2D,
    r"image_encoder\.blocks\.\d+\.attn\.rel_pos_h": SAM1,
    r"image_encoder\.layers\.\d+\.blocks\.\d+\.attn\.attention_biases": "MobileSAM",
    r"spatial_perceiver\.": EDGETAM,
    r"(detector|tracker)(_model)?\.": SAM3,
}
_EFFICIENT_TAM = r"image_encoder\.trunk\.blocks\.\d+\.(ls1|attn\.rel_pos_h)"
_TRUNK = "image_encoder.trunk"


def family_of(names: Mapping[str, Tensor]) -> str:
    """The family of models that a state dict (official names, no prefix) belongs to, "" for none that we know."""
    if _has(names, r"spatial_perceiver\."):
        return EDGETAM
    position = names.get(f"{_TRUNK}.pos_embed")
    if _has(names, _EFFICIENT_TAM) or (position is not None and position.dim() == 3):
        return "EfficientTAM"
    return next((family for pattern, family in _FAMILIES.items() if _has(names, pattern)), "")


def recognise(state: Mapping[str, Tensor], image_size: int | None = None) -> Sam2Config:
    """The architecture of an official SAM 2 state dict, at that image size (1024 if nobody says another).

    Raises:
        CheckpointError: another family, or a SAM 2 that was never published.
    """
    family = family_of(state)
    if family != SAM2:
        raise CheckpointError(
            f"It holds {f'a {family} model' if family else 'no model that is known here'}, not SAM 2. "
            "Choose a checkpoint of the SAM 2 family (SAM 2, SAM 2.1, MedSAM2)."
        )
    try:
        return replace(_details(state, _published_trunk(state)), image_size=image_size or 1024)
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"It looks like SAM 2, but the parameter {error} is missing. Ask its author for a complete checkpoint."
        ) from error


def _published_trunk(state: Mapping[str, Tensor]) -> HieraConfig:
    dims, blocks = _stages(state)
    background = tuple(state[f"{_TRUNK}.pos_embed"].shape[-2:])
    for config in _SIZES.values():
        if (config.hiera.dims, config.hiera.blocks, config.hiera.background) == (dims, blocks, background):
            return config.hiera
    raise CheckpointError(
        f"Its trunk has the widths {dims} in {blocks} blocks, which no published SAM 2 has, and a checkpoint does not "
        "say how such a trunk is split into heads and windows. Pass the Sam2Config it was trained with, or save it as "
        "a transformers folder: its config.json says that."
    )


def _stages(state: Mapping[str, Tensor]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths of the stages, and how many blocks each has."""
    widths: list[int] = []
    counts: list[int] = []
    for index in range(_count(state, rf"{re.escape(_TRUNK)}\.blocks\.(\d+)\.")):
        width = state[f"{_TRUNK}.blocks.{index}.attn.proj.weight"].shape[0]
        if not widths or width != widths[-1]:
            widths.append(width)
            counts.append(0)
        counts[-1] += 1
    return tuple(widths), tuple(counts)


def _details(state: Mapping[str, Tensor], hiera: HieraConfig) -> Sam2Config:
    """What shapes say; the rest is as published."""
    return Sam2Config(
        hidden=state["no_mem_embed"].shape[-1],
        hiera=hiera,
        mask_prompt_channels=state["sam_prompt_encoder.mask_downscaling.3.weight"].shape[0],
        decoder_feed_forward=state["sam_mask_decoder.transformer.layers.0.mlp.layers.0.weight"].shape[0],
        iou_head_hidden=state["sam_mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
        memory_layers=_count(state, r"memory_attention\.layers\.(\d+)\."),
        memory_feed_forward=state["memory_attention.layers.0.linear1.weight"].shape[0],
        fuser_layers=_count(state, r"memory_encoder\.fuser\.layers\.(\d+)\."),
        fuser_feed_forward=state["memory_encoder.fuser.layers.0.pwconv1.weight"].shape[0],
        num_maskmem=state["maskmem_tpos_enc"].shape[0],
        occlusion_embedding="no_obj_embed_spatial" in state,
        pointer_time_encoding="obj_ptr_tpos_proj.weight" in state,
    )


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    found = [int(match[1]) for name in state if (match := re.match(pattern, name))]
    return max(found, default=-1) + 1


def _has(names: Mapping[str, Tensor], pattern: str) -> bool:
    return any(re.match(pattern, name) for name in names)
