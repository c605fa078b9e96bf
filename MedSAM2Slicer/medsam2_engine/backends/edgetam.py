"""EdgeTAM by transformers' EdgeTamVideoModel (an optional extra), with our own RepViT in the place of timm's.

Zhou et al., EdgeTAM: On-Device Track Anything Model, arXiv:2501.07256. SAM 2 with a small convolutional encoder, and
memories that a perceiver reduces to 512 tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from medsam2_engine.backends.edgetam_names import to_transformers
from medsam2_engine.backends.extra import transformers
from medsam2_engine.backends.repvit import RepVitBackbone, fold
from medsam2_engine.model.architectures import EDGETAM, family_of
from medsam2_engine.model.checkpoint import require_match
from medsam2_engine.model.errors import CheckpointError
from medsam2_engine.model.keys import is_transformers_layout
from medsam2_engine.model.state_file import read_tensors


def load_edgetam(path: Path, size: int) -> Any:
    """An `EdgeTamVideoModel` for frames of `size` pixels, with the weights of a file in either layout, on the CPU.

    Raises:
        NoSuchModel: transformers is not installed.
        CheckpointError: the file is not EdgeTAM.
    """
    state = read_tensors(path)
    family = family_of(state)
    if family != EDGETAM:
        raise CheckpointError(
            f"{path} holds {f'a {family} model' if family else 'no model that is known here'}, not EdgeTAM. "
            "Choose EdgeTAM's checkpoint."
        )
    return build_edgetam(state, size, path)


def build_edgetam(state: Mapping[str, Tensor], size: int, path: Path) -> Any:
    """The model with a state dict in either layout; `path` is where it came from."""
    model = empty_edgetam(size)
    renamed = state if is_transformers_layout(state) else to_transformers(state)
    require_match(renamed, model.state_dict(), path)
    model.load_state_dict(renamed)
    model = model.float().eval()
    fold(model.vision_encoder.backbone)
    return model


def empty_edgetam(size: int) -> Any:
    """The published architecture for frames of `size` pixels, a multiple of 256, without its weights."""
    if size % 256:
        raise CheckpointError(f"EdgeTAM's frames are multiples of 256 pixels, {size} is none. Choose another size.")
    library = transformers("EdgeTAM")
    # transformers builds this encoder with timm, which needs torchvision; a placeholder is built and replaced.
    placeholder = library.ResNetConfig(embedding_size=8, hidden_sizes=[8], depths=[1])
    vision = library.EdgeTamVisionConfig(
        backbone_config=placeholder, backbone_feature_sizes=[[size // stride] * 2 for stride in (4, 8, 16)]
    )
    config = library.EdgeTamVideoConfig(
        vision_config=vision,
        prompt_encoder_config=library.EdgeTamVideoPromptEncoderConfig(image_size=size),
        image_size=size,
        memory_attention_rope_feat_sizes=[size // 16] * 2,
        enable_temporal_pos_encoding_for_object_pointers=False,
        enable_occlusion_spatial_embedding=False,
    )
    model = library.EdgeTamVideoModel(config)
    model.vision_encoder.backbone = RepVitBackbone()
    return model
