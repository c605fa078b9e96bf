"""The steps of `Sam2` for many objects at once, differentiable, with every candidate the decoder knows.

The modules are the product's own, and so is the memory bank; only what `Sam2` does with one object is done here with a
batch of B. A test holds both to the same numbers, so that what is trained is what is used. Two differences are meant:
presence may be dictated (teacher forcing), and memories keep float32, since bfloat16 would round gradients away.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from medsam2_engine.model.bank import Memory, Recollection
from medsam2_engine.model.config import MEMORY_CHANNELS
from medsam2_engine.model.frame import ImageFeatures
from medsam2_engine.model.positions import sine_times
from medsam2_engine.model.sam2 import PREVIOUS_LOGIT_LIMIT, Sam2

SINGLE, ALTERNATIVES = (0,), (1, 2, 3)  # candidates of the mask decoder


@dataclass(frozen=True)
class Points:
    """The same number of points for every object of a batch."""

    xy: Tensor  # (B, P, 2) float32, frame pixels
    labels: Tensor  # (B, P) int: 1 positive, 0 negative, 2 and 3 box corners

    def and_clicks(self, xy: Tensor, labels: Tensor) -> Points:
        """These, and one click more per object: (B, 2), (B,)."""
        return Points(torch.cat((self.xy, xy[:, None]), 1), torch.cat((self.labels, labels[:, None]), 1))


@dataclass(frozen=True)
class Answers:
    """What the decoder says about B objects in C candidates each."""

    logits: Tensor  # (B, C, 4n, 4n)
    ious: Tensor  # (B, C) in 0..1
    tokens: Tensor  # (B, C, hidden)
    object_score: Tensor  # (B,)

    def chosen(self, which: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, 4n, 4n) and tokens (B, hidden) of candidate `which` (B,) of each object."""
        rows = torch.arange(len(which), device=which.device)
        return self.logits[rows, which], self.tokens[rows, which]


def prompted(model: Sam2, features: ImageFeatures, points: Points, previous: Tensor | None) -> Answers:
    """The answers to points on a frame without memory; `previous` (B, 4n, 4n) are the logits that they correct."""
    frame = features.coarse + model.no_mem_embed[0, ..., None, None]
    multimask = model.config.wants_multimask(points.labels.shape[1], tracking=False)
    return _decoded(model, features, frame, points, previous, ALTERNATIVES if multimask else SINGLE)


def tracked(
    model: Sam2, features: ImageFeatures, recalled: Recollection, points: Points | None, previous: Tensor | None
) -> Answers:
    """The answers from what is recalled, and from corrections if there are any."""
    return followed(model, features, remembering(model, features, recalled), points, previous)


def followed(
    model: Sam2, features: ImageFeatures, frame: Tensor, points: Points | None, previous: Tensor | None
) -> Answers:
    """The same for a frame that has looked at its memories already (`remembering`)."""
    count = 0 if points is None else points.labels.shape[1]
    multimask = model.config.wants_multimask(count, tracking=True)
    return _decoded(model, features, frame, points, previous, ALTERNATIVES if multimask else SINGLE)


def drawn(model: Sam2, features: ImageFeatures, masks: Tensor) -> Answers:
    """The decoder's view of drawn masks (B, S, S) in 0..1; the product uses no more of it than the object pointer."""
    dense = model.mask_downsample(masks[:, None])
    return _candidates(model, features, features.coarse, None, dense, SINGLE)


def pointers(model: Sam2, tokens: Tensor, present: Tensor) -> Tensor:
    """(B, hidden) object pointers; `present` (B,) bool."""
    return torch.where(present[:, None], model.obj_ptr_proj(tokens), model.no_obj_ptr)


def memories(model: Sam2, features: ImageFeatures, certainty: Tensor, present: Tensor, pointer: Tensor) -> Memory:
    """The memory of frames with masks (B, S, S) in 0..1: tokens (B, n * n, 64), pointers (B, hidden)."""
    scaled = certainty * model.config.memory_mask_scale + model.config.memory_mask_bias
    tokens = model.memory_encoder(features.coarse, scaled[:, None]).flatten(2).transpose(1, 2)
    if model.no_obj_embed_spatial is not None:
        tokens = torch.where(present[:, None, None], tokens, tokens + model.no_obj_embed_spatial)
    return Memory(tokens, pointer)


def remembering(model: Sam2, features: ImageFeatures, recalled: Recollection) -> Tensor:
    """The frames' features after a look at the recalled memories: (B, hidden, n, n)."""
    frame = features.coarse.flatten(2).transpose(1, 2)
    tokens, codes = _pointer_tokens(model, recalled, frame)
    maps = [memory.tokens for _, memory in recalled.maps]
    places = model.memory_encoder.positions
    times = [(places + model.maskmem_tpos_enc[age - 1, 0]).expand(len(frame), -1, -1) for age, _ in recalled.maps]
    values = torch.cat((*maps, tokens), dim=1)
    keys = values + torch.cat((*times, codes.expand(len(frame), -1, -1)), dim=1)
    y: Tensor = model.memory_attention(frame, keys, values, tokens.shape[1])
    return y.transpose(1, 2).view_as(features.coarse)


def at_full_size(model: Sam2, logits: Tensor) -> Tensor:
    """(B, C, 4n, 4n) logits enlarged to the frame's (B, C, S, S), as the product does before it cuts masks."""
    return F.interpolate(logits, size=(model.config.image_size,) * 2, mode="bilinear", align_corners=False)


def _pointer_tokens(model: Sam2, recalled: Recollection, like: Tensor) -> tuple[Tensor, Tensor]:
    """Pointers cut into tokens (B, T, 64), and the codes of their ages (1, T, 64)."""
    pieces = model.config.hidden // MEMORY_CHANNELS
    if not recalled.pointers:
        return like.new_zeros(len(like), 0, MEMORY_CHANNELS), like.new_zeros(1, 0, MEMORY_CHANNELS)
    tokens = torch.stack([pointer for _, pointer in recalled.pointers], dim=1)
    tokens = tokens.view(len(like), -1, MEMORY_CHANNELS)
    if model.obj_ptr_tpos_proj is None:
        return tokens, torch.zeros_like(tokens[:1])
    ages = torch.tensor([float(age) for age, _ in recalled.pointers], device=like.device)
    codes = model.obj_ptr_tpos_proj(sine_times(ages / recalled.pointer_span, model.config.hidden).to(like))
    return tokens, codes.repeat_interleave(pieces, dim=0)[None]


def _decoded(
    model: Sam2,
    features: ImageFeatures,
    frame: Tensor,
    points: Points | None,
    previous: Tensor | None,
    which: tuple[int, ...],
) -> Answers:
    limit = PREVIOUS_LOGIT_LIMIT
    dense = None if previous is None else previous.clamp(-limit, limit)[:, None]
    return _candidates(model, features, frame, points, dense, which)


def _candidates(
    model: Sam2,
    features: ImageFeatures,
    frame: Tensor,
    points: Points | None,
    dense: Tensor | None,
    which: tuple[int, ...],
) -> Answers:
    """dense: (B, 1, 4n, 4n) logits."""
    encoder, decoder = model.sam_prompt_encoder, model.sam_mask_decoder
    tokens = encoder.no_points(len(frame)) if points is None else encoder.sparse(points.xy, points.labels)
    frame = frame + (encoder.no_mask() if dense is None else encoder.dense(dense))
    found = decoder(frame, encoder.frame_positions(), features.middle, features.fine, tokens)
    chosen = list(which)
    logits = torch.einsum("bmc,bchw->bmhw", found.weights[:, chosen], found.pixels)
    return Answers(logits, found.ious[:, chosen], found.tokens[:, chosen], found.object_score)
