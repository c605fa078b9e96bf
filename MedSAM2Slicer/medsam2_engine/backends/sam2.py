"""The SAM 2 family: SAM 2, SAM 2.1, MedSAM2 and the embedded model, by our own modules."""

from __future__ import annotations

from torch import Tensor

from medsam2_engine.device import Device
from medsam2_engine.framing import Framing
from medsam2_engine.model.bank import MemoryBank
from medsam2_engine.model.frame import FrameMask, FramePrompt, ImageFeatures
from medsam2_engine.model.sam2 import Sam2


class Sam2Backend:
    """A `Backend` around one `Sam2` model."""

    def __init__(self, model_id: str, model: Sam2, framing: Framing, device: Device) -> None:
        self._model = model.to(device.name).eval().prepare()
        self._device = device
        self.model_id = model_id
        self.framing = framing

    @property
    def device_name(self) -> str:
        return str(self._device)

    def encode(self, pixels: Tensor) -> ImageFeatures:
        return self._model.encode(pixels.to(self._device.name))

    def prompt(self, features: ImageFeatures, prompt: FramePrompt, previous_logits: Tensor | None = None) -> FrameMask:
        return self._model.prompt(features, prompt, previous_logits)

    def from_mask(self, features: ImageFeatures, mask: Tensor) -> FrameMask:
        return self._model.from_mask(features, mask.to(self._device.name))

    def tracker(self, frame_count: int, reverse: bool) -> Sam2Tracker:
        return Sam2Tracker(self._model, MemoryBank(self._model.config, frame_count, reverse))


class Sam2Tracker:
    """A `Tracker` that remembers in SAM 2's memory bank."""

    def __init__(self, model: Sam2, bank: MemoryBank) -> None:
        self._model = model
        self._bank = bank

    def condition(self, frame: int, features: ImageFeatures, mask: FrameMask) -> None:
        self._bank.add_conditioning(frame, self._model.remember(features, mask, from_prompt=True))

    def track(self, frame: int, features: ImageFeatures) -> FrameMask:
        mask = self._model.track(features, self._bank, frame)
        self._bank.add(frame, self._model.remember(features, mask, from_prompt=False))
        return mask
