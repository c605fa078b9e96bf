"""Relatives of SAM 2 by transformers' video models: EdgeTAM and the tracker of SAM 3.

Their image encoders, memories and attention are transformers'; the steps around them are those of `model.sam2`, so that
corrections are given the earlier logits and drawn masks are taken at their word (transformers leaves out the first, and
takes a drawn mask's pointer from another token).
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from medsam2_engine.device import Device
from medsam2_engine.framing import Framing
from medsam2_engine.model.bank import SAM2, MemoryPolicy
from medsam2_engine.model.frame import FrameMask, FramePrompt, ImageFeatures
from medsam2_engine.model.sam2 import DRAWN_LOGIT, PREVIOUS_LOGIT_LIMIT

_NO_POINT = -1  # transformers' label of the point that stands for none


class VideoBackend:
    """A `Backend` around a video model of transformers."""

    def __init__(self, model_id: str, model: Any, framing: Framing, device: Device) -> None:
        self._model = model.to(device.name).eval()
        self._device = device
        self._positions: Tensor | None = None  # (n n, 1, hidden), the same for every frame
        self.model_id = model_id
        self.framing = framing

    @property
    def device_name(self) -> str:
        return str(self._device)

    @property
    def device_type(self) -> str:
        return self._device.name

    def encode(self, pixels: Tensor) -> ImageFeatures:
        found = self._model.get_image_features(pixels.to(self._device.name), return_dict=True)
        self._positions = found.fpn_position_encoding[-1]
        sizes = self._model.backbone_feature_sizes
        fine, middle, coarse = (
            flat.permute(1, 2, 0).reshape(1, -1, *size)
            for flat, size in zip(found.fpn_hidden_states, sizes, strict=True)
        )
        return ImageFeatures(fine, middle, coarse)

    def prompt(self, features: ImageFeatures, prompt: FramePrompt, previous_logits: Tensor | None = None) -> FrameMask:
        dense = None
        if previous_logits is not None:
            dense = previous_logits.clamp(-PREVIOUS_LOGIT_LIMIT, PREVIOUS_LOGIT_LIMIT)[None, None]
        frame = features.coarse + self._model.no_memory_embedding[0, ..., None, None]
        return self._decode(features, frame, prompt, dense, self._wants_multimask(len(prompt.labels), tracking=False))

    def from_mask(self, features: ImageFeatures, mask: Tensor) -> FrameMask:
        mask = mask.to(self._device.name)
        size = self._model.prompt_encoder.mask_input_size
        full = _drawn_logits(mask, features.coarse)[None, None]
        dense = _resized(self._model.mask_downsample(mask[None, None].to(features.coarse)), size)
        pointer = self._decode(features, features.coarse, None, dense, multimask=False, is_present=bool(mask.any()))
        score = DRAWN_LOGIT if bool(mask.any()) else -DRAWN_LOGIT
        return FrameMask(_resized(full, size)[0, 0], score, 1.0, pointer.pointer, mask)

    def tracker(self, frame_count: int, reverse: bool, policy: MemoryPolicy = SAM2) -> VideoTracker:
        """These models recall by SAM 2's own rule, whatever the policy: transformers has no other."""
        return VideoTracker(self, self._model.config, frame_count, reverse)

    def follow(self, features: ImageFeatures, session: Any, frame: int, frame_count: int, reverse: bool) -> FrameMask:
        """The mask of a frame from the memories in `session`, which is what `remember` gave, by frame."""
        remembering = self._model._prepare_memory_conditioned_features(
            inference_session=session,
            frame_idx=frame,
            obj_idx=0,
            is_initial_conditioning_frame=False,
            current_vision_features=_flat(features.coarse),
            current_vision_positional_embeddings=self._positions,
            num_total_frames=frame_count,
            track_in_reverse_time=reverse,
        )
        return self._decode(features, remembering, None, None, self._wants_multimask(0, tracking=True))

    def remember(self, features: ImageFeatures, mask: FrameMask, from_prompt: bool) -> dict[str, Tensor]:
        """The memory of a frame and its mask, under transformers' names."""
        size = (self._model.config.image_size,) * 2
        if mask.drawn is None:
            full = F.interpolate(mask.gated_logits[None, None], size=size, mode="bilinear", align_corners=False)
        else:
            full = _drawn_logits(mask.drawn, mask.logits)[None, None]
        memory, positions = self._model._encode_new_memory(
            current_vision_feats=_flat(features.coarse),
            pred_masks_high_res=full,
            object_score_logits=full.new_full((1, 1, 1), mask.object_score),
            is_mask_from_pts=from_prompt,
        )
        return {"maskmem_features": memory, "maskmem_pos_enc": positions, "object_pointer": mask.pointer[None, None]}

    def _decode(
        self,
        features: ImageFeatures,
        frame: Tensor,
        prompt: FramePrompt | None,
        dense: Tensor | None,
        multimask: bool,
        is_present: bool | None = None,
    ) -> FrameMask:
        """is_present: what is known of the object; None leaves it to the decoder."""
        model = self._model
        points, labels = _as_transformers(prompt, frame)
        sparse, dense = model.prompt_encoder(
            input_points=points, input_labels=labels, input_boxes=None, input_masks=dense
        )
        masks, ious, tokens, score = model.mask_decoder(
            image_embeddings=frame,
            image_positional_embeddings=model.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            high_resolution_features=[features.fine, features.middle],
        )
        best = int(ious[0, 0].argmax()) if multimask else 0
        found = float(score) > 0 if is_present is None else is_present
        token = tokens[0, 0, best if tokens.shape[2] > 1 else 0]
        pointer = model.object_pointer_proj(token) if found else model.no_object_pointer[0]
        return FrameMask(masks[0, 0, best].float(), float(score), float(ious[0, 0, best]), pointer)

    def _wants_multimask(self, points: int, tracking: bool) -> bool:
        config = self._model.config
        is_allowed = config.multimask_output_in_sam and (config.multimask_output_for_tracking or not tracking)
        return bool(is_allowed and config.multimask_min_pt_num <= points <= config.multimask_max_pt_num)


class VideoTracker:
    """A `Tracker` that remembers as transformers' inference session does, but no longer than the model looks back."""

    def __init__(self, backend: VideoBackend, config: Any, frame_count: int, reverse: bool) -> None:
        self._backend = backend
        self._span = max(config.num_maskmem, config.max_object_pointers_in_encoder)
        self._frame_count = frame_count
        self._reverse = reverse
        self._prompted: dict[int, dict[str, Tensor]] = {}
        self._followed: dict[int, dict[str, Tensor]] = {}

    def condition(self, frame: int, features: ImageFeatures, mask: FrameMask) -> None:
        self._prompted[frame] = self._backend.remember(features, mask, from_prompt=True)

    def track(self, frame: int, features: ImageFeatures) -> FrameMask:
        outputs = {"cond_frame_outputs": self._prompted, "non_cond_frame_outputs": self._followed}
        session = SimpleNamespace(output_dict_per_obj={0: outputs}, dtype=torch.float32)
        mask = self._backend.follow(features, session, frame, self._frame_count, self._reverse)
        self._followed[frame] = self._backend.remember(features, mask, from_prompt=False)
        for old in [other for other in self._followed if abs(other - frame) > self._span]:
            del self._followed[old]
        return mask


def _as_transformers(prompt: FramePrompt | None, like: Tensor) -> tuple[Tensor, Tensor]:
    """(1, 1, P, 2) points and (1, 1, P) labels; box corners are points with labels 2 and 3, as in SAM 2."""
    if prompt is None:
        return like.new_zeros(1, 1, 1, 2), torch.full((1, 1, 1), _NO_POINT, dtype=torch.int32, device=like.device)
    return prompt.points_xy[None, None].to(like), prompt.labels[None, None].to(like.device, torch.int32)


def _flat(map_: Tensor) -> Tensor:
    """(1, C, H, W) as (H W, 1, C)."""
    return map_.flatten(2).permute(2, 0, 1)


def _resized(map_: Tensor, size: tuple[int, int]) -> Tensor:
    if tuple(map_.shape[-2:]) == tuple(size):
        return map_
    return F.interpolate(map_, size=tuple(size), mode="bilinear", align_corners=False, antialias=True)


def _drawn_logits(mask: Tensor, like: Tensor) -> Tensor:
    return (mask.to(like) * 2 - 1) * DRAWN_LOGIT
