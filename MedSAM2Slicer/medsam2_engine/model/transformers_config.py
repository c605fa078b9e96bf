"""The model that a transformers `config.json` describes.

An entry that the file leaves out has transformers' default, which is that of `Sam2Config`: SAM 2.1 Hiera-T. Whatever
the modules of this package take for granted is checked here, so that a foreign model is refused by name, not by shape.
"""

from collections.abc import Mapping
from typing import Any

from medsam2_engine.model.config import MEMORY_CHANNELS, HieraConfig, Sam2Config
from medsam2_engine.model.errors import UnsupportedConfigError

_TRUNK = "vision_config.backbone_config"

_SETTINGS = {
    "mask_prompt_channels": "prompt_encoder_config.mask_input_channels",
    "decoder_heads": "mask_decoder_config.num_attention_heads",
    "decoder_feed_forward": "mask_decoder_config.mlp_dim",
    "decoder_downsample": "mask_decoder_config.attention_downsample_rate",
    "iou_head_hidden": "mask_decoder_config.iou_head_hidden_dim",
    "multimask": "multimask_output_in_sam",
    "multimask_min_points": "multimask_min_pt_num",
    "multimask_max_points": "multimask_max_pt_num",
    "multimask_for_tracking": "multimask_output_for_tracking",
    "stability_fallback": "mask_decoder_config.dynamic_multimask_via_stability",
    "stability_delta": "mask_decoder_config.dynamic_multimask_stability_delta",
    "stability_threshold": "mask_decoder_config.dynamic_multimask_stability_thresh",
    "memory_layers": "memory_attention_num_layers",
    "memory_heads": "memory_attention_num_attention_heads",
    "memory_downsample": "memory_attention_downsample_rate",
    "memory_feed_forward": "memory_attention_feed_forward_hidden_size",
    "rope_theta": "rope_parameters.rope_theta",
    "fuser_layers": "memory_fuser_num_layers",
    "fuser_feed_forward": "memory_fuser_intermediate_dim",
    "fuser_layer_scale": "memory_fuser_layer_scale_init_value",
    "memory_mask_scale": "sigmoid_scale_for_mem_enc",
    "memory_mask_bias": "sigmoid_bias_for_mem_enc",
    "num_maskmem": "num_maskmem",
    "max_object_pointers": "max_object_pointers_in_encoder",
    "occlusion_embedding": "enable_occlusion_spatial_embedding",
    "pointer_time_encoding": "enable_temporal_pos_encoding_for_object_pointers",
}

_HIERA_TUPLES = {
    "dims": "embed_dim_per_stage",
    "heads": "num_attention_heads_per_stage",
    "blocks": "blocks_per_stage",
    "windows": "window_size_per_stage",
    "global_blocks": "global_attention_blocks",
    "background": "window_positional_embedding_background_size",
}

_TAKEN_FOR_GRANTED: Mapping[str, object] = {
    "model_type": "sam2_video",
    f"{_TRUNK}.patch_kernel_size": [7, 7],
    f"{_TRUNK}.patch_stride": [4, 4],
    f"{_TRUNK}.patch_padding": [3, 3],
    f"{_TRUNK}.query_stride": [2, 2],
    f"{_TRUNK}.num_query_pool_stages": 3,
    f"{_TRUNK}.num_channels": 3,
    f"{_TRUNK}.hidden_act": "gelu",
    f"{_TRUNK}.layer_norm_eps": 1e-6,
    "vision_config.fpn_kernel_size": 1,
    "vision_config.num_feature_levels": 3,
    "prompt_encoder_config.patch_size": 16,
    "prompt_encoder_config.num_point_embeddings": 4,
    "prompt_encoder_config.hidden_act": "gelu",
    "mask_decoder_config.num_hidden_layers": 2,
    "mask_decoder_config.num_multimask_outputs": 3,
    "mask_decoder_config.iou_head_depth": 3,
    "memory_attention_feed_forward_hidden_act": "relu",
    "memory_encoder_output_channels": MEMORY_CHANNELS,
    "mask_downsampler_kernel_size": 3,
    "mask_downsampler_stride": 2,
    "mask_downsampler_total_stride": 16,
    "mask_downsampler_hidden_act": "gelu",
    "memory_fuser_kernel_size": 7,
    "memory_fuser_hidden_act": "gelu",
    "rope_parameters.rope_type": "axial",
}

_SAME_WIDTH = (
    "vision_config.fpn_hidden_size",
    "prompt_encoder_config.hidden_size",
    "mask_decoder_config.hidden_size",
    "memory_attention_hidden_size",
    "memory_encoder_hidden_size",
    "mask_downsampler_embed_dim",
    "memory_fuser_embed_dim",
)


def from_transformers(entries: Mapping[str, Any]) -> Sam2Config:
    """The configuration in a `config.json` of type `sam2_video`.

    Raises UnsupportedConfigError, naming the entry, when it describes something else than SAM 2.
    """
    for name, expected in _TAKEN_FOR_GRANTED.items():
        _require(entries, name, expected)
    limit = _entry(entries, "max_cond_frame_num", -1)
    settings = {ours: _entry(entries, theirs) for ours, theirs in _SETTINGS.items()}
    return Sam2Config(
        image_size=_image_size(entries),
        hidden=_hidden(entries),
        hiera=_hiera(entries),
        fpn_top_down_levels=tuple(_entry(entries, "vision_config.fpn_top_down_levels", (2, 3))),
        max_cond_frames=None if limit == -1 else limit,
        **{name: value for name, value in settings.items() if value is not None},
    )


def _image_size(entries: Mapping[str, Any]) -> int:
    """Five entries must agree; transformers does not check, and misplaces memories when they do not."""
    size = _entry(entries, "image_size", 1024)
    size = size if isinstance(size, int) else size[0]
    _require(entries, "prompt_encoder_config.image_size", size, [size, size])
    _require(entries, f"{_TRUNK}.image_size", size, [size, size])
    _require(entries, "vision_config.backbone_feature_sizes", [[size // stride] * 2 for stride in (4, 8, 16)])
    _require(entries, "memory_attention_rope_feat_sizes", [size // 16] * 2)
    return int(size)


def _hidden(entries: Mapping[str, Any]) -> int:
    widths = {name: _entry(entries, name, 256) for name in _SAME_WIDTH}
    if len(set(widths.values())) > 1:
        raise UnsupportedConfigError(f"config.json: these widths must be equal in SAM 2: {widths}.")
    return int(widths[_SAME_WIDTH[0]])


def _hiera(entries: Mapping[str, Any]) -> HieraConfig:
    tuples = {ours: _entry(entries, f"{_TRUNK}.{theirs}") for ours, theirs in _HIERA_TUPLES.items()}
    return HieraConfig(
        mlp_ratio=_entry(entries, f"{_TRUNK}.mlp_ratio", 4.0),
        **{name: tuple(value) for name, value in tuples.items() if value is not None},
    )


def _require(entries: Mapping[str, Any], name: str, *allowed: object) -> None:
    found = _entry(entries, name, allowed[0])
    if found not in allowed:
        raise UnsupportedConfigError(
            f"config.json: {name} is {found!r} where {allowed[0]!r} is needed. "
            "Choose a checkpoint of the SAM 2 family, saved as a transformers Sam2VideoModel."
        )


def _entry(entries: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """The value under a dotted name."""
    value: Any = entries
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return default if value is None else value
