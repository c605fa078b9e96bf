"""The SAM 1 family: SAM ViT-B/L/H, MedSAM and SAM-Med2D, by transformers' SamModel (an optional extra).

SAM 1 knows images only, so every slice is answered on its own. It is followed through a volume by handing the mask of
each slice to the next one as a box and a mask prompt; there is no memory, and no opinion whether the object is still
there. In its place stands the predicted IoU: an object counts as present while the mask is not empty and the model
expects to overlap it by more than half.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from medsam2_engine.backends.extra import transformers
from medsam2_engine.backends.sam1_names import to_transformers
from medsam2_engine.backends.sam_med2d import add_adapters
from medsam2_engine.device import Device
from medsam2_engine.framing import BOX_LABELS, Framing
from medsam2_engine.model.architectures import SAM1, SAM_MED2D, family_of
from medsam2_engine.model.bank import SAM2, MemoryPolicy
from medsam2_engine.model.checkpoint import require_match
from medsam2_engine.model.errors import CheckpointError
from medsam2_engine.model.frame import FrameMask, FramePrompt
from medsam2_engine.model.state_file import read_tensors

DRAWN_LOGIT = 10.0
LOGIT_LIMIT = 32.0
CERTAIN = 1e-4  # predicted IoUs are kept this far from 0 and 1 to become a logit

_VIT: dict[str, dict[str, Any]] = {
    "sam_vit_b": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "sam_vit_l": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
    "sam_vit_h": {"hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16},
}
MED2D, MED2D_SIZE = "sam_med2d_b", 256
_GLOBAL_BLOCKS = {12: [2, 5, 8, 11], 24: [5, 11, 17, 23], 32: [7, 15, 23, 31]}


@dataclass(frozen=True)
class Sam1Features:
    """One encoded frame: (1, 256, n, n)."""

    embedding: Tensor

    @property
    def nbytes(self) -> int:
        return self.embedding.nbytes


class Sam1Backend:
    """A `Backend` around transformers' `SamModel`."""

    def __init__(self, model_id: str, model: Any, framing: Framing, device: Device) -> None:
        self._model = model.to(device.name).eval()
        self._device = device
        self.model_id = model_id
        self.framing = framing

    @property
    def device_name(self) -> str:
        return str(self._device)

    @property
    def device_type(self) -> str:
        return self._device.name

    def encode(self, pixels: Tensor) -> Sam1Features:
        return Sam1Features(self._model.get_image_embeddings(pixels.to(self._device.name)))

    def prompt(self, features: Sam1Features, prompt: FramePrompt, previous_logits: Tensor | None = None) -> FrameMask:
        """One point alone is ambiguous: the best of three masks answers it, the single mask everything else."""
        is_ambiguous = len(prompt.labels) == 1 and previous_logits is None
        return self._answer(features, prompt, previous_logits, is_ambiguous)

    def from_mask(self, features: Sam1Features, mask: Tensor) -> FrameMask:
        size = (4 * features.embedding.shape[-1],) * 2
        full = (mask.to(features.embedding) * 2 - 1) * DRAWN_LOGIT
        logits = F.interpolate(full[None, None], size=size, mode="bilinear", align_corners=False, antialias=True)[0, 0]
        score = DRAWN_LOGIT if bool(mask.any()) else -DRAWN_LOGIT
        return FrameMask(logits, score, 1.0, logits.new_zeros(0), mask)

    def tracker(self, frame_count: int, reverse: bool, policy: MemoryPolicy = SAM2) -> Sam1Tracker:
        """Without memory there is nothing for a policy to choose from."""
        return Sam1Tracker(self)

    def follow(self, features: Sam1Features, last: FrameMask) -> FrameMask:
        """The object on a frame whose neighbour shows it as `last`."""
        box = _box_of(last.logits, 16 * features.embedding.shape[-1] / last.logits.shape[-1])
        if box is None or not last.is_present:
            return FrameMask(torch.full_like(last.logits, -LOGIT_LIMIT), -DRAWN_LOGIT, 0.0, last.pointer)
        return self._answer(features, FramePrompt(box, torch.tensor(BOX_LABELS)), last.logits, False)

    def _answer(
        self, features: Sam1Features, prompt: FramePrompt, previous: Tensor | None, is_ambiguous: bool
    ) -> FrameMask:
        prompts = {name: value.to(self._device.name) for name, value in _as_transformers(prompt).items()}
        if previous is not None:
            prompts["input_masks"] = previous.to(features.embedding).clamp(-LOGIT_LIMIT, LOGIT_LIMIT)[None, None]
        answer = self._model(image_embeddings=features.embedding, multimask_output=is_ambiguous, **prompts)
        ious, masks = answer.iou_scores[0, 0], answer.pred_masks[0, 0]
        best = int(ious.argmax())
        return _frame_mask(masks[best], float(ious[best]))


class Sam1Tracker:
    """A `Tracker` that remembers the last mask."""

    def __init__(self, backend: Sam1Backend) -> None:
        self._backend = backend
        self._last: FrameMask | None = None

    def condition(self, frame: int, features: Sam1Features, mask: FrameMask) -> None:
        """The first prompted frame is the one to start from; SAM 1 cannot learn from others."""
        self._last = self._last or mask

    def track(self, frame: int, features: Sam1Features) -> FrameMask:
        assert self._last is not None, "a tracker is conditioned before it tracks"
        mask = self._backend.follow(features, self._last)
        self._last = mask if mask.is_present else self._last
        return mask


def load_sam1(path: Path, architecture: str) -> Any:
    """A `SamModel` with the weights of an official file, on the CPU.

    Raises:
        NoSuchModel: transformers is not installed.
        CheckpointError: the file is not a SAM 1 of that architecture.
    """
    state = read_tensors(path)
    family = family_of(state)
    if family not in (SAM1, SAM_MED2D):
        raise CheckpointError(
            f"{path} holds {f'a {family} model' if family else 'no model that is known here'}, not SAM 1. "
            "Choose a checkpoint of SAM ViT-B, ViT-L, ViT-H, MedSAM or SAM-Med2D."
        )
    return build_sam1(state, sam1_config(architecture or vit_of(state)), path)


def build_sam1(state: Mapping[str, Tensor], config: Any, path: Path) -> Any:
    """A `SamModel` of that configuration with an official state dict; `path` is where it came from."""
    model = transformers("SAM 1").SamModel(config)
    if family_of(state) == SAM_MED2D:
        add_adapters(model)
    renamed = to_transformers(state)
    require_match(renamed, model.state_dict(), path)
    model.load_state_dict(renamed)
    return model.float().eval()


def sam1_config(architecture: str) -> Any:
    """transformers' configuration of a published ViT; the tests have another one."""
    library = transformers("SAM 1")
    size = MED2D_SIZE if architecture == MED2D else 1024
    width = _VIT["sam_vit_b" if architecture == MED2D else architecture]
    vision = library.SamVisionConfig(
        **width,
        image_size=size,
        mlp_dim=4 * width["hidden_size"],
        global_attn_indexes=_GLOBAL_BLOCKS[width["num_hidden_layers"]],
    )
    prompts = library.SamPromptEncoderConfig(image_size=size)
    return library.SamConfig(vision_config=vision.to_dict(), prompt_encoder_config=prompts.to_dict())


def vit_of(state: Mapping[str, Tensor]) -> str:
    """Which published ViT an official state dict holds.

    Raises:
        CheckpointError: none of them.
    """
    width = state["image_encoder.pos_embed"].shape[-1] if "image_encoder.pos_embed" in state else 0
    if family_of(state) == SAM_MED2D and width == _VIT["sam_vit_b"]["hidden_size"]:
        return MED2D
    for name, vit in _VIT.items():
        if vit["hidden_size"] == width:
            return name
    raise CheckpointError(f"Its image encoder is {width} wide, which no published SAM 1 is. Choose another checkpoint.")


def _as_transformers(prompt: FramePrompt) -> dict[str, Tensor]:
    """Box corners and points apart: transformers wants (1, 1, 4) boxes, and (1, 1, P, 2) points with labels."""
    is_corner = prompt.labels >= BOX_LABELS[0]
    arguments = {}
    if is_corner.any():
        arguments["input_boxes"] = prompt.points_xy[is_corner].reshape(1, 1, 4).float()
    if not is_corner.all():
        arguments["input_points"] = prompt.points_xy[~is_corner][None, None].float()
        arguments["input_labels"] = prompt.labels[~is_corner][None, None].int()
    return arguments


def _frame_mask(logits: Tensor, iou: float) -> FrameMask:
    expected = min(max(iou, CERTAIN), 1 - CERTAIN)
    score = math.log(expected / (1 - expected)) if bool((logits > 0).any()) else -DRAWN_LOGIT
    return FrameMask(logits.float(), score, iou, logits.new_zeros(0))


def _box_of(logits: Tensor, pixels_per_logit: float) -> Tensor | None:
    """The corners (2, 2) of the mask in frame pixels, None if it is empty."""
    inside = logits > 0
    if not bool(inside.any()):
        return None
    rows, columns = inside.any(dim=1).nonzero()[:, 0], inside.any(dim=0).nonzero()[:, 0]
    first = torch.stack([columns[0], rows[0]]).float() * pixels_per_logit
    last = torch.stack([columns[-1], rows[-1]]).float() * pixels_per_logit + pixels_per_logit - 1
    return torch.stack([first, last])
