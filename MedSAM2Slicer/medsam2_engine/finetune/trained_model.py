"""The model as a training leaves it, as a plain `Sam2` that the product can use."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from medsam2_engine.backends.sam2 import Sam2Backend
from medsam2_engine.device import Device
from medsam2_engine.framing import Framing
from medsam2_engine.model.checkpoint import build_model
from medsam2_engine.model.sam2 import Sam2

ADAPTER = "default"


@torch.no_grad()
def merged_state(model: Sam2) -> dict[str, Tensor]:
    """The state dict under official names, low-rank differences added to their matrices; copies, on the CPU."""
    state = {
        name.replace(".base_layer.", "."): tensor.detach().cpu().clone()
        for name, tensor in model.state_dict().items()
        if ".lora_" not in name
    }
    for name, module in model.named_modules():
        if hasattr(module, "get_delta_weight"):
            state[f"{name}.weight"] += module.get_delta_weight(ADAPTER).cpu()
    return state


def as_backend(model: Sam2, framing: Framing, device: str = "cpu") -> Sam2Backend:
    """A backend with a copy of the model's present weights."""
    copy = build_model(merged_state(model), model.config, Path("training"))
    return Sam2Backend("training", copy, framing, Device(device, device), "exact")
