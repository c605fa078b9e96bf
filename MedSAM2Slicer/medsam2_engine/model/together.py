"""Several objects or directions, one frame further each, in one go: `Sam2.track` and `Sam2.remember` as batches.

For GPUs, which are hardly longer busy with eight objects than with one. The results are those of one after the other,
up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medsam2_engine.model.bank import Memory, MemoryBank, Recollection
from medsam2_engine.model.fast.parts import FastParts
from medsam2_engine.model.frame import FrameMask, ImageFeatures
from medsam2_engine.model.sam2 import Sam2


def track_together(
    model: Sam2, features: Sequence[ImageFeatures], banks: Sequence[MemoryBank], frames: Sequence[int]
) -> list[FrameMask]:
    """The mask of each frame from what its bank recalls; what recalls as much as another is computed with it."""
    recalled = [bank.select(frame) for bank, frame in zip(banks, frames, strict=True)]
    alike: dict[tuple[int, int], list[int]] = {}
    for place, one in enumerate(recalled):
        alike.setdefault((len(one.maps), len(one.pointers)), []).append(place)
    found: dict[int, FrameMask] = {}
    for places in alike.values():
        batch = ImageFeatures.together([features[place] for place in places])
        found |= zip(places, _tracked(model, batch, [recalled[place] for place in places]), strict=True)
    return [found[place] for place in range(len(recalled))]


def remember_together(model: Sam2, features: Sequence[ImageFeatures], masks: Sequence[FrameMask]) -> list[Memory]:
    """The memories of followed frames and their masks."""
    fast = _fast(model)
    full = torch.stack([model._at_full_size(mask) for mask in masks])
    scaled = full.sigmoid() * model.config.memory_mask_scale + model.config.memory_mask_bias
    encoded = fast.memory_encoder(torch.cat([one.coarse for one in features]), scaled[:, None])
    areas = torch.stack([(mask.gated_logits > 0).sum() for mask in masks]).tolist()
    return [_memory(model, *one) for one in zip(encoded, masks, areas, strict=True)]


def _tracked(model: Sam2, features: ImageFeatures, recalled: Sequence[Recollection]) -> list[FrameMask]:
    choice = model._decode(features, _remembering(model, features, recalled), None, None, _is_multimask(model))
    pointers = model._pointer(choice)
    sureness = torch.stack((choice.object_score, choice.iou)).tolist()  # the one wait for the device
    return [
        FrameMask(logits, score, iou, pointer)
        for logits, score, iou, pointer in zip(choice.logits, *sureness, pointers, strict=True)
    ]


def _is_multimask(model: Sam2) -> bool:
    return model.config.wants_multimask(0, tracking=True)


def _remembering(model: Sam2, features: ImageFeatures, recalled: Sequence[Recollection]) -> Tensor:
    """The frames' features after a look at what each recalls: (B, hidden, n, n)."""
    frames = features.coarse.flatten(2).transpose(1, 2)
    pointers, times = zip(*(model._pointer_tokens(one, frames) for one in recalled), strict=True)
    maps = [one.maps for one in recalled]
    begun = _fast(model).begun(features)
    folded = _fast(model).memory_attention(begun, maps, torch.stack(pointers), torch.stack(times))
    return folded.transpose(1, 2).view_as(features.coarse)


def _memory(model: Sam2, tokens: Tensor, mask: FrameMask, area: int) -> Memory:
    if model.no_obj_embed_spatial is not None and not mask.is_present:
        tokens = tokens + model.no_obj_embed_spatial
    tokens = tokens.to(torch.bfloat16)
    keys = _fast(model).memory_attention.remembered_keys(tokens)
    return Memory(tokens, mask.pointer, keys, mask.object_score, mask.predicted_iou, float(area))


def _fast(model: Sam2) -> FastParts:
    assert model._fast is not None, "only prepared models compute together"
    return model._fast
