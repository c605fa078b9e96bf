"""The SAM 2 family: SAM 2, SAM 2.1, MedSAM2 and the embedded model, by our own modules."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medsam2_engine.backends.base import Ahead
from medsam2_engine.backends.batches import Batches, frames_at_once
from medsam2_engine.device import Device, sent_to
from medsam2_engine.framing import Framing
from medsam2_engine.grey_frames import grey_of
from medsam2_engine.model.bank import SAM2, MemoryBank, MemoryPolicy
from medsam2_engine.model.frame import FrameMask, FramePrompt, ImageFeatures
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.model.together import remember_together, track_together
from medsam2_engine.precision import (
    Precision,
    dtype_for,
    use_exact_products_on_gpu,
    use_fastest_exact_products,
    wanted_precision,
    wants_half_features,
)
from medsam2_engine.stopping import stop_if_unwanted

MOST_TOGETHER = 32  # objects and directions in one step


class Sam2Backend:
    """A `Backend` around one `Sam2` model.

    With less than exact precision, or if asked for (`wants_half_features`), features are kept in bfloat16, so that a
    cache holds twice as many.
    """

    def __init__(
        self, model_id: str, model: Sam2, framing: Framing, device: Device, precision: Precision | None = None
    ) -> None:
        """precision: None is the user's choice, see `medsam2_engine.precision`."""
        dtype = dtype_for(precision or wanted_precision(), device.name)
        if device.name == "cpu":
            use_fastest_exact_products()
        elif dtype == torch.float32:
            use_exact_products_on_gpu()
        self._model = model.to(device.name).eval().prepare(dtype, grey_of(framing))
        self._device = device
        self._batches = Batches(frames_at_once(device.name, model.config))
        self._steps = Batches(MOST_TOGETHER)
        self._dtype = dtype
        self._kept_as = torch.bfloat16 if wants_half_features() else dtype
        self.model_id = model_id
        self.framing = framing

    @property
    def device_name(self) -> str:
        return str(self._device) if self._dtype == torch.float32 else f"{self._device}, bfloat16"

    @property
    def device_type(self) -> str:
        return self._device.name

    @property
    def at_once(self) -> int:
        """How many frames are best encoded together here. See `encoding.EncodesTogether`."""
        return self._batches.size

    def encode(self, pixels: Tensor) -> ImageFeatures:
        return self._model.encode(sent_to(pixels, self._device.name), stop_if_unwanted).to(self._kept_as)

    def encode_together(self, frames: Sequence[Tensor]) -> list[ImageFeatures]:
        return self._batches.run(self._encode_batch, frames)

    def _encode_batch(self, frames: Sequence[Tensor]) -> list[ImageFeatures]:
        """Each with storage of its own, so that forgetting one frees its memory."""
        together = self.encode(torch.cat(list(frames)))
        return [together.at(index).copied() for index in range(len(frames))]

    def prompt(self, features: ImageFeatures, prompt: FramePrompt, previous_logits: Tensor | None = None) -> FrameMask:
        return self._model.prompt(features.to(torch.float32), prompt, previous_logits)

    def from_mask(self, features: ImageFeatures, mask: Tensor) -> FrameMask:
        return self._model.from_mask(features.to(torch.float32), mask.to(self._device.name))

    @property
    def gains_together(self) -> bool:
        """Measured on CPUs: two together are hardly faster than one after the other."""
        return self._device.name == "cuda" and self._model.is_prepared

    def track_together(self, ahead: Sequence[Ahead]) -> list[FrameMask]:
        return self._steps.run(self._track_batch, ahead)

    def _track_batch(self, ahead: Sequence[Ahead]) -> list[FrameMask]:
        """Nothing is remembered before all is computed, so that a batch that is too large can be tried again."""
        banks = [one.tracker.bank for one in ahead if isinstance(one.tracker, Sam2Tracker)]
        features = [one.features.to(torch.float32) for one in ahead]
        masks = track_together(self._model, features, banks, [one.frame for one in ahead])
        memories = remember_together(self._model, features, masks)
        for bank, one, memory in zip(banks, ahead, memories, strict=True):
            bank.add(one.frame, memory)
        return masks

    def tracker(self, frame_count: int, reverse: bool, policy: MemoryPolicy = SAM2) -> Sam2Tracker:
        return Sam2Tracker(self._model, MemoryBank(self._model.config, frame_count, reverse, policy))


class Sam2Tracker:
    """A `Tracker` that remembers in SAM 2's memory bank."""

    def __init__(self, model: Sam2, bank: MemoryBank) -> None:
        self._model = model
        self.bank = bank

    def condition(self, frame: int, features: ImageFeatures, mask: FrameMask) -> None:
        memory = self._model.remember(features.to(torch.float32), mask, from_prompt=True)
        self.bank.add_conditioning(frame, memory)

    def track(self, frame: int, features: ImageFeatures) -> FrameMask:
        features = features.to(torch.float32)
        mask = self._model.track(features, self.bank, frame)
        self.bank.add(frame, self._model.remember(features, mask, from_prompt=False))
        return mask
