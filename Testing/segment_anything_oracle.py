"""The package segment-anything as a reference: without its torchvision, and with its predictor for one prompt."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from medsam2_engine.model.frame import FramePrompt

_TORCHVISION = (
    "torchvision",
    "torchvision.ops",
    "torchvision.ops.boxes",
    "torchvision.transforms",
    "torchvision.transforms.functional",
)


@contextmanager
def segment_anything(module: str = "segment_anything") -> Iterator[Any]:
    """The package, or a module of it; it imports torchvision, but uses it for nothing that is compared here."""
    stubs = {name: types.ModuleType(name) for name in _TORCHVISION if name not in sys.modules}
    for name, stub in stubs.items():
        stub.__getattr__ = lambda wanted: None  # type: ignore[method-assign]
        stub.__path__ = []
        sys.modules[name] = stub
    try:
        yield importlib.import_module(module)
    finally:
        for name in [*stubs, *[name for name in sys.modules if name.startswith("segment_anything")]]:
            sys.modules.pop(name, None)


@torch.no_grad()
def perturb(model: Any, seed: int = 5) -> Any:
    """Every parameter random and felt."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.2
        parameter.add_(torch.randn(parameter.shape, generator=generator) * scale * 0.3)
    return model.eval().requires_grad_(False)


def weights_of(original: Any) -> dict[str, Tensor]:
    """As in an original file, which holds no buffers but the Fourier matrix."""
    return {name: tensor for name, tensor in original.state_dict().items() if not name.startswith("pixel_")}


@torch.inference_mode()
def their_answer(
    original: Any, embedding: Tensor, prompt: FramePrompt, mask: Tensor | None, best_of_three: bool
) -> Tensor:
    """segment-anything's predictor, written for one prompt: logits (4n, 4n)."""
    corner = prompt.labels >= 2
    points = (prompt.points_xy[~corner][None], prompt.labels[~corner][None]) if not corner.all() else None
    boxes = prompt.points_xy[corner].reshape(1, 4) if corner.any() else None
    sparse, dense = original.prompt_encoder(points=points, boxes=boxes, masks=mask)
    masks, ious = original.mask_decoder(
        embedding, original.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output=best_of_three
    )
    logits: Tensor = masks[0, int(ious[0].argmax())]
    return logits
