"""Seeded networks of transformers' other video models, and transformers' own sessions that follow objects with them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from medsam2_engine.backends.edgetam import empty_edgetam
from medsam2_engine.backends.repvit import RepVit
from medsam2_engine.model.frame import FramePrompt
from seeded_networks import randomise

OBJECT_ID = 1
TRUNK_STEP = 7  # of the recorded values of a map


def seeded_edgetam(size: int, seed: int = 3) -> Any:
    """transformers' EdgeTamVideoModel of the published shapes; its trunk is ours, not folded."""
    return _seeded(empty_edgetam(size), seed)


def seeded_trunk_state(seed: int = 21) -> dict[str, Tensor]:
    """Weights of RepViT-M1 by name, the same on every machine; sums of branches keep the scale of what passes."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in RepVit().state_dict().items()}
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name in sorted(shapes):
        noise = torch.randn(shapes[name], generator=generator)
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(0)
        elif name.endswith("running_var"):
            state[name] = 0.5 + noise.abs()
        elif noise.dim() > 1:
            state[name] = noise / math.sqrt(noise[0].numel())
        else:
            state[name] = 0.5 + 0.1 * noise if name.endswith("bn.weight") else 0.2 * noise
    return state


def seeded_trunk_pixels(seed: int = 22) -> Tensor:
    """(1, 3, 96, 64)."""
    return torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(seed))


def small_sam3(size: int = 224, seed: int = 3) -> Any:
    """transformers' Sam3TrackerVideoModel with a small ViT."""
    return _seeded(small_sam3_model(size), seed)


def small_sam3_model(size: int = 224) -> Any:
    import transformers

    vit = transformers.Sam3ViTConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, image_size=size,
        pretrain_image_size=size, window_size=8, global_attn_indexes=[1],
    )  # fmt: skip
    vision = transformers.Sam3VisionConfig(backbone_config=vit)
    return transformers.Sam3TrackerVideoModel(
        transformers.Sam3TrackerVideoConfig(vision_config=vision, image_size=size)
    )


def drifting_disc(frames: int, size: int, seed: int = 0) -> Tensor:
    """(frames, 3, size, size): a bright disc that drifts, in noise."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    images = []
    for time in torch.linspace(-0.5, 0.5, frames):
        inside = (columns - 0.45 - 0.1 * time) ** 2 + (rows - 0.5 + 0.06 * time) ** 2 < 0.13**2
        images.append((1.5 * inside + 0.1 * torch.randn(size, size, generator=generator)).expand(3, -1, -1))
    return torch.stack(images)


class TheirSession:
    """One object, followed by transformers' own inference session."""

    def __init__(self, model: Any, frames: Tensor) -> None:
        module = __import__(type(model).__module__, fromlist=["_"])
        session_type = getattr(module, type(model).__name__.replace("Model", "InferenceSession"))
        size = frames.shape[-1]
        self.model = model
        self.session = session_type(video=frames, video_height=size, video_width=size, dtype=torch.float32)
        self.object = self.session.obj_id_to_idx(OBJECT_ID)

    def prompt(self, frame: int, prompt: FramePrompt) -> Tensor:
        inputs = {"point_coords": prompt.points_xy[None, None], "point_labels": prompt.labels[None, None].int()}
        self.session.add_point_inputs(self.object, frame, inputs)
        self.session.obj_with_new_inputs.append(OBJECT_ID)
        logits: Tensor = self.model(self.session, frame_idx=frame).pred_masks[0, 0]
        return logits

    def refined(self, frame: int, prompt: FramePrompt, previous: Tensor) -> Tensor:
        """What `forward` leaves out: the earlier logits go in as a dense prompt."""
        single = self.model._run_single_frame_inference
        given = previous[None, None].clamp(-32, 32)
        self.model._run_single_frame_inference = lambda **named: single(**named | {"prev_sam_mask_logits": given})
        try:
            return self.prompt(frame, prompt)
        finally:
            del self.model._run_single_frame_inference

    def follow(self, frames: range) -> dict[int, Tensor]:
        """Logits by frame."""
        backwards = frames.step < 0
        return {f: self.model(self.session, frame_idx=f, reverse=backwards).pred_masks[0, 0] for f in frames}


def _seeded(model: Any, seed: int) -> Any:
    """Every parameter random and felt, sure that there always is an object."""
    with torch.no_grad():
        randomise(model, seed)
        generator = torch.Generator().manual_seed(seed)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.copy_(0.1 * torch.randn(module.num_features, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(3.0)
        model.shared_image_embedding.positional_embedding.copy_(
            model.prompt_encoder.shared_embedding.positional_embedding
        )
    return model.eval().requires_grad_(False)
