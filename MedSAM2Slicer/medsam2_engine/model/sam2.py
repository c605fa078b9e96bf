"""SAM 2 for videos: encode a frame, answer a prompt, remember the answer, follow the object to the next frame.

Ravi et al., SAM 2, arXiv:2408.00714. Modules and parameters carry the names of official checkpoints. The steps below
work on one object and one frame; none holds state between calls, and none switches gradients off: that is the
caller's choice (`torch.inference_mode()`).

The modules are the reference and what training uses. `Sam2.prepare` puts folded parts (`model.fast`) in the place of
the expensive ones; it is the only place that decides, and both ways pass the same tests.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medsam2_engine.model.bank import Memory, MemoryBank, Recollection
from medsam2_engine.model.config import MEMORY_CHANNELS, Sam2Config
from medsam2_engine.model.errors import WrongShapeError
from medsam2_engine.model.fast.grey import Grey
from medsam2_engine.model.fast.parts import FastParts
from medsam2_engine.model.frame import FrameMask, FramePrompt, ImageFeatures
from medsam2_engine.model.image_encoder import ImageEncoder
from medsam2_engine.model.layers import Mlp
from medsam2_engine.model.mask_decoder import MaskChoice, MaskDecoder
from medsam2_engine.model.memory_attention import MemoryAttention
from medsam2_engine.model.memory_encoder import MemoryEncoder
from medsam2_engine.model.positions import sine_times
from medsam2_engine.model.prompt_encoder import PromptEncoder

PREVIOUS_LOGIT_LIMIT = 32.0  # logits beyond it say nothing more, and were never seen in training
DRAWN_LOGIT = 10.0  # a drawn mask is as certain as this


def _go_on() -> None:
    pass


class Sam2(nn.Module):
    """A promptable model with memory. S is `config.image_size`, n is S / 16."""

    def __init__(self, config: Sam2Config) -> None:
        super().__init__()
        hidden = config.hidden
        self.config = config
        self.image_encoder = ImageEncoder(config.hiera, hidden, config.fpn_top_down_levels)
        self.memory_attention = MemoryAttention(config)
        self.memory_encoder = MemoryEncoder(config)
        self.sam_prompt_encoder = PromptEncoder(config)
        self.sam_mask_decoder = MaskDecoder(config)
        self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.obj_ptr_proj = Mlp(hidden, hidden, hidden, hidden)
        self.obj_ptr_tpos_proj = nn.Linear(hidden, MEMORY_CHANNELS) if config.pointer_time_encoding else None
        self.maskmem_tpos_enc = nn.Parameter(torch.zeros(config.num_maskmem, 1, 1, MEMORY_CHANNELS))
        self.no_mem_embed = nn.Parameter(torch.zeros(1, 1, hidden))
        self.no_mem_pos_enc = nn.Parameter(torch.zeros(1, 1, hidden))  # in every checkpoint, used by none
        self.no_obj_ptr = nn.Parameter(torch.zeros(1, hidden))
        absence = nn.Parameter(torch.zeros(1, MEMORY_CHANNELS)) if config.occlusion_embedding else None
        self.no_obj_embed_spatial = absence
        self._fast: FastParts | None = None

    def prepare(self, dtype: torch.dtype = torch.float32, grey: Grey | None = None) -> "Sam2":
        """Fold the weights, which must not change or move any more, for inference.

        dtype: torch.float32 is exact; torch.bfloat16 rounds the factors of the large matrix products, while sums,
        normalisations and the tokens of the mask decoder stay float32.
        grey: how frames are normalised, if their channels are equal before that; then only the first is looked at.
        """
        self._fast = FastParts.of(self, dtype, grey)
        self.sam_mask_decoder.fast_upscaling = None if self._fast is None else self._fast.upscaling
        return self

    @property
    def is_prepared(self) -> bool:
        """Whether folded parts are in place."""
        return self._fast is not None

    def encode(self, pixels: Tensor, pause: Callable[[], None] = _go_on) -> ImageFeatures:
        """Features of (B, 3, S, S) float32 pixels, already normalised as the checkpoint wants them.

        pause: called between the blocks of a prepared model; whatever it raises ends the encoding.
        """
        size = self.config.image_size
        _require(pixels, "pixels", (len(pixels), 3, size, size))
        if self._fast is not None:
            features = self._fast.image_encoder(pixels, pause)
            pause()
            return replace(features, begun=self._fast.memory_attention.begin(features.coarse))
        fine, middle, coarse = self.image_encoder(pixels)
        return ImageFeatures(self.sam_mask_decoder.conv_s0(fine), self.sam_mask_decoder.conv_s1(middle), coarse)

    def prompt(self, features: ImageFeatures, prompt: FramePrompt, previous_logits: Tensor | None = None) -> FrameMask:
        """The mask of a prompted frame, without memory.

        previous_logits: (4n, 4n), the answer that this prompt corrects, so that a click refines rather than restarts.
        """
        frame = features.coarse + self.no_mem_embed[0, ..., None, None]
        return self._answer(features, frame, prompt, previous_logits, tracking=False)

    def track(
        self,
        features: ImageFeatures,
        bank: MemoryBank,
        frame: int,
        prompt: FramePrompt | None = None,
        previous_logits: Tensor | None = None,
    ) -> FrameMask:
        """The mask of frame number `frame` from what the bank recalls, and from corrections on it if there are any.

        A corrected frame stays a followed one: remember it `from_prompt`, but `add` it to the bank.
        """
        remembering = self._remembering(features, bank.select(frame))
        return self._answer(features, remembering, prompt, previous_logits, tracking=True)

    def from_mask(self, features: ImageFeatures, mask: Tensor) -> FrameMask:
        """A mask the user drew, (S, S) bool, taken at its word; only its object pointer comes from the decoder.

        The logits are the drawn mask at +-10, reduced with antialiasing; an empty mask says the object is absent.
        """
        _require(mask, "mask", (self.config.image_size,) * 2)
        size = (self.config.mask_size,) * 2
        full = _drawn_logits(mask, features.coarse)
        reduced = F.interpolate(full[None, None], size=size, mode="bilinear", align_corners=False, antialias=True)
        dense = self.mask_downsample(mask[None, None].to(features.coarse))
        choice = self._decode(features, features.coarse, None, dense, multimask=False)
        is_present = bool(mask.any())
        return FrameMask(
            logits=reduced[0, 0],
            object_score=DRAWN_LOGIT if is_present else -DRAWN_LOGIT,
            predicted_iou=1.0,
            pointer=self._pointer(choice)[0] if is_present else self.no_obj_ptr[0],
            drawn=mask,
        )

    def remember(self, features: ImageFeatures, mask: FrameMask, from_prompt: bool) -> Memory:
        """The memory of a frame and its mask.

        from_prompt: the user answered for this mask, so it is remembered as all or nothing at full resolution;
        otherwise the decoder's doubts are remembered with it.
        """
        full = self._at_full_size(mask)
        certainty = (full > 0).to(full.dtype) if from_prompt else full.sigmoid()
        scaled = certainty * self.config.memory_mask_scale + self.config.memory_mask_bias
        if self._fast is not None:
            tokens = self._fast.memory_encoder(features.coarse, scaled[None, None])[0]
        else:
            tokens = self.memory_encoder(features.coarse, scaled[None, None]).flatten(2)[0].T
        if self.no_obj_embed_spatial is not None and not mask.is_present:
            tokens = tokens + self.no_obj_embed_spatial
        tokens = tokens.to(torch.bfloat16)
        keys = None if self._fast is None else self._fast.memory_attention.remembered_keys(tokens)
        area = float((mask.gated_logits > 0).sum())
        return Memory(tokens, mask.pointer, keys, mask.object_score, mask.predicted_iou, area)

    def _answer(
        self,
        features: ImageFeatures,
        frame: Tensor,
        prompt: FramePrompt | None,
        previous_logits: Tensor | None,
        tracking: bool,
    ) -> FrameMask:
        dense = None
        if previous_logits is not None:
            _require(previous_logits, "previous_logits", (self.config.mask_size,) * 2)
            dense = previous_logits.clamp(-PREVIOUS_LOGIT_LIMIT, PREVIOUS_LOGIT_LIMIT)[None, None]
        points = 0 if prompt is None else len(prompt.labels)
        multimask = self.config.wants_multimask(points, tracking)
        choice = self._decode(features, frame, prompt if points else None, dense, multimask)
        return FrameMask(
            logits=choice.logits[0],
            object_score=choice.object_score[0].item(),
            predicted_iou=choice.iou[0].item(),
            pointer=self._pointer(choice)[0],
        )

    def _decode(
        self,
        features: ImageFeatures,
        frame: Tensor,
        prompt: FramePrompt | None,
        dense: Tensor | None,
        multimask: bool,
    ) -> MaskChoice:
        """frame: (1, hidden, n, n) features, with or without memory. dense: (1, 1, 4n, 4n) logits."""
        encoder, decoder = self.sam_prompt_encoder, self.sam_mask_decoder
        if prompt is None:
            tokens = encoder.no_points(len(frame))
        else:
            tokens = encoder.sparse(prompt.points_xy[None].to(frame), prompt.labels[None].to(frame.device))
        frame = frame + (encoder.no_mask() if dense is None else encoder.dense(dense))
        candidates = decoder(frame, encoder.frame_positions(), features.middle, features.fine, tokens)
        return decoder.choose(candidates, multimask)

    def _pointer(self, choice: MaskChoice) -> Tensor:
        """(B, hidden) object pointers; absence is all or nothing."""
        return torch.where(choice.object_score[:, None] > 0, self.obj_ptr_proj(choice.token), self.no_obj_ptr)

    def _at_full_size(self, mask: FrameMask) -> Tensor:
        """(S, S) logits: as drawn, or enlarged."""
        if mask.drawn is not None:
            return _drawn_logits(mask.drawn, mask.logits)
        size = (self.config.image_size,) * 2
        return F.interpolate(mask.gated_logits[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]

    def _remembering(self, features: ImageFeatures, recalled: Recollection) -> Tensor:
        """The frame's features after a look at the recalled memories: (1, hidden, n, n)."""
        frame = features.coarse.flatten(2).transpose(1, 2)
        pointers, pointer_times = self._pointer_tokens(recalled, frame)
        if self._fast is not None:
            begun = self._fast.begun(features)
            folded = self._fast.memory_attention(begun, [recalled.maps], pointers[None], pointer_times[None])
            return folded.transpose(1, 2).view_as(features.coarse)
        maps = torch.cat([memory.tokens.to(frame) for _, memory in recalled.maps])
        # Row `age - 1` of the table; conditioning maps have age 0 and thereby the last row.
        places = self.memory_encoder.positions
        times = torch.cat([places + self.maskmem_tpos_enc[age - 1, 0] for age, _ in recalled.maps])
        values = torch.cat((maps, pointers))
        keys = values + torch.cat((times, pointer_times))
        y: Tensor = self.memory_attention(frame, keys[None], values[None], len(pointers))
        return y.transpose(1, 2).view_as(features.coarse)

    def _pointer_tokens(self, recalled: Recollection, like: Tensor) -> tuple[Tensor, Tensor]:
        """Recalled pointers cut into 64-channel tokens, and the code of each one's age: two (T, 64)."""
        if not recalled.pointers:
            return like.new_zeros(0, MEMORY_CHANNELS), like.new_zeros(0, MEMORY_CHANNELS)
        pieces = self.config.hidden // MEMORY_CHANNELS
        tokens = torch.cat([pointer.to(like) for _, pointer in recalled.pointers]).view(-1, MEMORY_CHANNELS)
        if self.obj_ptr_tpos_proj is None:
            return tokens, torch.zeros_like(tokens)
        ages = torch.tensor([float(age) for age, _ in recalled.pointers], device=like.device)
        times = self.obj_ptr_tpos_proj(sine_times(ages / recalled.pointer_span, self.config.hidden).to(like))
        return tokens, times.repeat_interleave(pieces, dim=0)


def _drawn_logits(mask: Tensor, like: Tensor) -> Tensor:
    return (mask.to(like) * 2 - 1) * DRAWN_LOGIT


def _require(tensor: Tensor, name: str, shape: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != shape:
        raise WrongShapeError(
            f"{name} has shape {tuple(tensor.shape)}, this model needs {shape}. Resample the frame first."
        )
