"""Parameter names of SAM 1: official checkpoints -> transformers' SamModel.

Most differ by the name of a module only. Two matrices go where one was: transformers stores the random Fourier matrix
twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_FOURIER = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_FOURIER_COPIES = (
    "prompt_encoder.shared_embedding.positional_embedding",
    "shared_image_embedding.positional_embedding",
)
# Read in this order; each name passes through all of them.
_RULES = (
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"(vision_encoder\.layers\.\d+)\.norm(\d)", r"\1.layer_norm\2"),
    (r"^(vision_encoder\.layers\.\d+)\.Adapter\.", r"\1.mlp.Adapter."),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"neck\.0\.", "neck.conv1."),
    (r"neck\.1\.", "neck.layer_norm1."),
    (r"neck\.2\.", "neck.conv2."),
    (r"neck\.3\.", "neck.layer_norm2."),
    (r"^prompt_encoder\.point_embeddings\.", "prompt_encoder.point_embed."),
    (r"mask_downscaling\.0\.", "mask_embed.conv1."),
    (r"mask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"mask_downscaling\.3\.", "mask_embed.conv2."),
    (r"mask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"mask_downscaling\.6\.", "mask_embed.conv3."),
    (r"(mask_decoder\.transformer\.layers\.\d+)\.norm(\d)", r"\1.layer_norm\2"),
    (r"transformer\.norm_final_attn\.", "transformer.layer_norm_final_attn."),
    (r"output_upscaling\.0\.", "upscale_conv1."),
    (r"output_upscaling\.1\.", "upscale_layer_norm."),
    (r"output_upscaling\.3\.", "upscale_conv2."),
    (r"(output_hypernetworks_mlps\.\d+|iou_prediction_head)\.layers\.0\.", r"\1.proj_in."),
    (r"(output_hypernetworks_mlps\.\d+|iou_prediction_head)\.layers\.2\.", r"\1.proj_out."),
    (r"(output_hypernetworks_mlps\.\d+|iou_prediction_head)\.layers\.1\.", r"\1.layers.0."),
)


def to_transformers(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of transformers' SamModel for an official state dict; names without a rule stay as they are."""
    state = {_renamed(name): tensor for name, tensor in official.items() if name != _FOURIER}
    fourier = official.get(_FOURIER)
    return state if fourier is None else state | dict.fromkeys(_FOURIER_COPIES, fourier)


def _renamed(name: str) -> str:
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return name
