"""Which parameters learn: the head, low-rank differences, or everything.

"head" is all that comes after the image encoder: mask decoder, prompt encoder and memory; the encoder, nine tenths of a
large model's memory, then keeps no activations. "lora" lays low-rank differences over the attention and perceptron
matrices of all parts (Hu et al., arXiv:2106.09685; on SAM: Wu et al., Medical SAM Adapter, arXiv:2304.12620) by
`peft`, so that the base stays as it is and the result is a file of its own.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from medsam2_engine.errors import BadRequest, MissingPackages
from medsam2_engine.finetune.settings import ALL, CORRECTIONS, HEAD, LORA, Settings
from medsam2_engine.model.sam2 import Sam2

# The masks of boxes, and of frames that are followed without a click, do not depend on these.
CORRECTION_PARTS = (
    "sam_prompt_encoder.mask_downscaling",
    "sam_prompt_encoder.point_embeddings.0",
    "sam_prompt_encoder.point_embeddings.1",
    "sam_mask_decoder.iou_prediction_head",
)
LORA_MODULES = r".*\.(qkv|q_proj|k_proj|v_proj|out_proj|attn\.proj|mlp\.layers\.[01]|linear[12])"
LARGEST_STEP = 0.05  # of a matrix's own size (root mean square), per step of Adam at a learning rate of 1e-3
ALPHA = 2  # the scale of the differences over their rank
LARGEST_SHARE, LARGEST_RANK = 0.03, 8  # of the parameters that LoRA may add, where no rank was asked for
NO_PEFT = 'LoRA needs the package peft, which is not installed (`pip install "medsam2slicer-engine[finetune]"`).'


def make_trainable(model: Sam2, settings: Settings) -> dict[str, nn.Parameter]:
    """Freeze what shall stay, add what is new; the parameters that learn, by name.

    Raises:
        BadRequest: an unknown choice.
        MissingPackages: there is no peft.
    """
    if settings.trained not in (HEAD, LORA, ALL, CORRECTIONS):
        raise BadRequest(f"{settings.trained!r} cannot be trained. Choose {HEAD}, {LORA}, {ALL} or {CORRECTIONS}.")
    model.requires_grad_(settings.trained in (HEAD, ALL))
    if settings.trained == CORRECTIONS:
        for part in CORRECTION_PARTS:
            model.get_submodule(part).requires_grad_(True)
    if settings.trained == HEAD:
        model.image_encoder.requires_grad_(False)
    if settings.trained == LORA:
        _lay_lora(model, settings)
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def groups(parameters: dict[str, nn.Parameter], settings: Settings) -> list[dict[str, Any]]:
    """AdamW's groups: matrices decay, all else does not; a matrix of tiny numbers takes smaller steps."""
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        is_matrix = parameter.ndim > 1 and "embed" not in name and "token" not in name
        key = (settings.weight_decay, _scale(parameter)) if is_matrix else (0.0, 1.0)
        found.setdefault(key, []).append(parameter)
    return [{"params": found[key], "weight_decay": key[0], "scale": key[1]} for key in sorted(found)]


def share_of(parameters: dict[str, nn.Parameter], model: Sam2) -> float:
    """Trained parameters over those of the model without what was added."""
    own = sum(p.numel() for name, p in model.named_parameters() if ".lora_" not in name)
    return sum(p.numel() for p in parameters.values()) / own


def plain_state(model: Sam2, average: dict[str, Tensor]) -> dict[str, Tensor]:
    """The model's state dict under official names, with other values for the trained parameters; not for LoRA."""
    return {name: average.get(name, tensor).detach().cpu() for name, tensor in model.state_dict().items()}


@torch.no_grad()
def put(parameters: dict[str, nn.Parameter], values: dict[str, Tensor]) -> None:
    """Write values into the trained parameters."""
    for name, parameter in parameters.items():
        parameter.copy_(values[name])


def _lay_lora(model: Sam2, settings: Settings) -> None:
    if importlib.util.find_spec("peft") is None:
        raise MissingPackages(NO_PEFT)
    from peft import LoraConfig, inject_adapter_in_model

    names = [name for name, _ in _matrices(model)]
    rank = settings.rank or _affordable_rank(model)
    config = LoraConfig(r=rank, lora_alpha=ALPHA * rank, target_modules=names, lora_dropout=0.0)
    generator_state = torch.get_rng_state()
    torch.manual_seed(settings.seed)
    inject_adapter_in_model(config, model)
    torch.set_rng_state(generator_state)


def _affordable_rank(model: Sam2) -> int:
    per_rank = sum(module.in_features + module.out_features for _, module in _matrices(model))
    own = sum(p.numel() for p in model.parameters())
    return max(1, min(LARGEST_RANK, int(LARGEST_SHARE * own / per_rank)))


def _matrices(model: Sam2) -> Iterator[tuple[str, nn.Linear]]:
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and re.fullmatch(LORA_MODULES, name):
            yield name, module


def _scale(parameter: nn.Parameter) -> float:
    """1, or less for a matrix whose values are so small that a usual step would overwrite them."""
    size = float(parameter.detach().square().mean().sqrt())
    return min(1.0, round(size * LARGEST_STEP / 1e-3, 3)) if size > 0 else 1.0
