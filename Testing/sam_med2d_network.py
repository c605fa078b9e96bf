"""A small SAM-Med2D of seeded numbers, the same on every machine: the original code was recorded on it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from medsam2_engine.backends.sam_med2d import Adapter
from medsam2_engine.model.frame import FramePrompt
from segment_anything_oracle import segment_anything, weights_of

SIZE, WIDTH, DEPTH, HEADS = 256, 64, 3, 4
GLOBAL_BLOCKS = [1]
STEP = 13  # of the recorded values
BOX = FramePrompt(torch.tensor([[60.0, 70.0], [150.0, 160.0]]), torch.tensor([2, 3]))


def seeded_state(seed: int = 31) -> dict[str, Tensor]:
    """Weights under official names: matrices keep the scale of what passes, norms near 1, the rest small."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in sorted(_shapes().items()):
        noise = torch.randn(shape, generator=generator)
        is_norm = len(shape) == 1 and name.endswith("weight")
        state[name] = (
            1 + 0.1 * noise if is_norm else noise / math.sqrt(noise[0].numel()) if len(shape) > 1 else noise / 5
        )
    return state


def seeded_pixels(seed: int = 32) -> Tensor:
    """(1, 3, SIZE, SIZE)."""
    return torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def small_config() -> Any:
    """transformers' configuration of it."""
    import transformers

    vision = transformers.SamVisionConfig(
        image_size=SIZE, hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS, mlp_dim=4 * WIDTH,
        global_attn_indexes=GLOBAL_BLOCKS,
    )  # fmt: skip
    prompts = transformers.SamPromptEncoderConfig(image_size=SIZE)
    return transformers.SamConfig(vision_config=vision.to_dict(), prompt_encoder_config=prompts.to_dict())


def published_shapes() -> dict[str, Tensor]:
    """The names and shapes of the published file, without numbers."""
    with segment_anything() as package, torch.device("meta"):
        shapes = {name: t.shape for name, t in weights_of(package.sam_model_registry["vit_b"]()).items()}
        adapter = {name: t.shape for name, t in Adapter(768).state_dict().items()}
    shapes["image_encoder.pos_embed"] = torch.Size((1, 16, 16, 768))
    for block in range(12):
        side = 16 if block in (2, 5, 8, 11) else 14
        for axis in "hw":
            shapes[f"image_encoder.blocks.{block}.attn.rel_pos_{axis}"] = torch.Size((2 * side - 1, 64))
        shapes |= {f"image_encoder.blocks.{block}.Adapter.{name}": shape for name, shape in adapter.items()}
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def _shapes() -> dict[str, Any]:
    """By official name: those of SAM ViT-B in this size, and of an adapter in every block."""
    side, head = SIZE // 16, WIDTH // HEADS
    with segment_anything("segment_anything.modeling") as modeling, torch.device("meta"):
        encoder = modeling.ImageEncoderViT(
            depth=DEPTH, embed_dim=WIDTH, img_size=SIZE, num_heads=HEADS, out_chans=256, use_rel_pos=True,
            global_attn_indexes=GLOBAL_BLOCKS, window_size=14,
        )  # fmt: skip
        prompts = modeling.PromptEncoder(256, (side, side), (SIZE, SIZE), 16)
        transformer = modeling.TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
        decoder = modeling.MaskDecoder(transformer_dim=256, transformer=transformer, num_multimask_outputs=3)
        shapes = {name: t.shape for name, t in weights_of(modeling.Sam(encoder, prompts, decoder)).items()}
        adapter = Adapter(WIDTH).state_dict()
    assert shapes["image_encoder.blocks.1.attn.rel_pos_h"] == (2 * side - 1, head)
    for block in range(DEPTH):
        shapes |= {f"image_encoder.blocks.{block}.Adapter.{name}": tensor.shape for name, tensor in adapter.items()}
    return shapes
