"""Networks of the published architectures with random weights that are the same everywhere, ours and transformers'."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.sam2 import Sam2


def seeded_model(config: Sam2Config, seed: int = 0) -> Sam2:
    """Ours, sure that there always is an object."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the frequencies of positions are drawn when the model is made
        model = Sam2(config).eval().requires_grad_(False)
    randomise(model, seed)
    with torch.no_grad():
        model.sam_mask_decoder.pred_obj_score_head.get_parameter("layers.2.bias").fill_(3.0)
    return model


def transformers_config(config: Sam2Config) -> Any:
    """The same architecture in transformers' words."""
    from transformers import (
        Sam2HieraDetConfig,
        Sam2VideoConfig,
        Sam2VideoMaskDecoderConfig,
        Sam2VideoPromptEncoderConfig,
        Sam2VisionConfig,
    )

    size, hidden, hiera = config.image_size, config.hidden, config.hiera
    trunk = Sam2HieraDetConfig(
        image_size=[size, size],
        hidden_size=hiera.dims[0],
        num_attention_heads=hiera.heads[0],
        blocks_per_stage=list(hiera.blocks),
        embed_dim_per_stage=list(hiera.dims),
        num_attention_heads_per_stage=list(hiera.heads),
        window_size_per_stage=list(hiera.windows),
        global_attention_blocks=list(hiera.global_blocks),
        window_positional_embedding_background_size=list(hiera.background),
    )
    vision = Sam2VisionConfig(
        backbone_config=trunk,
        backbone_channel_list=list(hiera.dims[::-1]),
        backbone_feature_sizes=[[size // 4] * 2, [size // 8] * 2, [size // 16] * 2],
        fpn_hidden_size=hidden,
        fpn_top_down_levels=list(config.fpn_top_down_levels),
    )
    decoder = Sam2VideoMaskDecoderConfig(
        hidden_size=hidden,
        mlp_dim=config.decoder_feed_forward,
        num_attention_heads=config.decoder_heads,
        attention_downsample_rate=config.decoder_downsample,
        iou_head_hidden_dim=config.iou_head_hidden,
        dynamic_multimask_via_stability=config.stability_fallback,
        dynamic_multimask_stability_delta=config.stability_delta,
        dynamic_multimask_stability_thresh=config.stability_threshold,
    )
    return Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config=Sam2VideoPromptEncoderConfig(
            hidden_size=hidden, image_size=size, mask_input_channels=config.mask_prompt_channels
        ),
        mask_decoder_config=decoder,
        image_size=size,
        num_maskmem=config.num_maskmem,
        sigmoid_scale_for_mem_enc=config.memory_mask_scale,
        sigmoid_bias_for_mem_enc=config.memory_mask_bias,
        enable_occlusion_spatial_embedding=config.occlusion_embedding,
        multimask_output_in_sam=config.multimask,
        multimask_min_pt_num=config.multimask_min_points,
        multimask_max_pt_num=config.multimask_max_points,
        multimask_output_for_tracking=config.multimask_for_tracking,
        max_object_pointers_in_encoder=config.max_object_pointers,
        max_cond_frame_num=-1 if config.max_cond_frames is None else config.max_cond_frames,
        enable_temporal_pos_encoding_for_object_pointers=config.pointer_time_encoding,
        memory_attention_hidden_size=hidden,
        memory_attention_num_layers=config.memory_layers,
        memory_attention_num_attention_heads=config.memory_heads,
        memory_attention_downsample_rate=config.memory_downsample,
        memory_attention_feed_forward_hidden_size=config.memory_feed_forward,
        memory_attention_rope_feat_sizes=[size // 16] * 2,
        memory_encoder_hidden_size=hidden,
        mask_downsampler_embed_dim=hidden,
        memory_fuser_num_layers=config.fuser_layers,
        memory_fuser_embed_dim=hidden,
        memory_fuser_intermediate_dim=config.fuser_feed_forward,
        memory_fuser_layer_scale_init_value=config.fuser_layer_scale,
    )


@torch.no_grad()
def randomise(model: nn.Module, seed: int) -> None:
    """Matrices that keep the scale of what passes through them, norms near 1, everything else random and felt."""
    generator = torch.Generator().manual_seed(seed)
    norms = {id(norm.weight) for norm in model.modules() if isinstance(norm, nn.LayerNorm)}
    matrices = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)}
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if id(parameter) in norms:
            parameter.copy_(1 + 0.1 * noise)
        elif id(parameter) in matrices:
            parameter.copy_(noise / math.sqrt(parameter[0].numel()))
        else:
            parameter.copy_(0.2 * noise)
