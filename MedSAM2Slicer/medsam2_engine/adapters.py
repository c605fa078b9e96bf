"""LoRA adapters: a small file of low-rank differences, laid over a base model while it is loaded.

Hu et al., LoRA, arXiv:2106.09685: W becomes W + B A s, with s = alpha / rank, or alpha / sqrt(rank) where the file asks
for it (Kalajdzievski, arXiv:2312.03732). The layout is peft's: `adapter_config.json` and `adapter_model.safetensors`
with `base_model.model.<module>.lora_A.weight` and `...lora_B.weight`. Names may be official ones or transformers'.
What peft can do beyond that (DoRA, biases, whole modules) is refused by name: a part of an adapter is no adapter.
The base's file is never written to.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from medsam2_engine.model.errors import CheckpointError
from medsam2_engine.model.keys import is_transformers_layout, to_official
from medsam2_engine.model.state_file import read_tensors

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
_FACTOR = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")
_REFUSED = {
    "use_dora": (None, False),
    "bias": (None, "none"),
    "modules_to_save": (None, []),
    "fan_in_fan_out": (None, False),
}


@dataclass(frozen=True)
class Adapter:
    """The differences by official parameter name: factors A (r, in...) and B (out, r...), and their scale."""

    path: Path
    factors: Mapping[str, tuple[Tensor, Tensor, float]]

    def laid_over(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict (official names) with this adapter; the one given stays as it is.

        Raises:
            CheckpointError: the adapter is for another model.
        """
        changed = dict(state)
        for name, (a, b, scale) in self.factors.items():
            if name not in state:
                raise CheckpointError(
                    f"{self.path} changes {name}, which its base does not have. Choose the base it was trained on."
                )
            difference = (b.flatten(1).float() @ a.flatten(1).float()) * scale
            weight = state[name]
            if difference.numel() != weight.numel() or difference.shape[0] != weight.shape[0]:
                raise CheckpointError(
                    f"{self.path} changes {name} {tuple(weight.shape)} by {tuple(difference.shape)}. "
                    "Choose the base it was trained on."
                )
            changed[name] = weight.float() + difference.view(weight.shape)
        return changed


def read_adapter(folder: Path) -> Adapter:
    """The adapter in a folder that peft wrote.

    Raises:
        CheckpointError: damaged, or more than LoRA.
    """
    settings = _settings(folder / CONFIG_FILE)
    path = folder / WEIGHTS_FILE
    pairs: dict[str, dict[str, Tensor]] = {}
    for name, tensor in read_tensors(path).items():
        match = _FACTOR.fullmatch(name)
        if match is None:
            raise CheckpointError(f"{path} holds {name}, which is no LoRA factor. Merge the adapter with peft first.")
        pairs.setdefault(match["module"], {})[match["side"]] = tensor
    if not pairs or any(set(pair) != {"A", "B"} for pair in pairs.values()):
        raise CheckpointError(f"{path} is incomplete: every change needs a lora_A and a lora_B. Save it again.")
    return Adapter(
        path,
        {
            _official(module): (*_checked(pair, module, path), _scale(settings, module, pair["A"]))
            for module, pair in pairs.items()
        },
    )


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}. An adapter comes with its {CONFIG_FILE}.") from error
    if not isinstance(settings, dict) or settings.get("peft_type") != "LORA":
        raise CheckpointError(f"{path} does not describe a LoRA adapter. Merge it with the program that made it.")
    for name, allowed in _REFUSED.items():
        if settings.get(name) not in allowed:
            raise CheckpointError(f"{path}: {name} is {settings[name]!r}, which is more than LoRA. Merge it with peft.")
    return settings


def _scale(settings: Mapping[str, Any], module: str, a: Tensor) -> float:
    rank = a.shape[0]
    alpha = float(_by_pattern(settings.get("alpha_pattern"), module, settings.get("lora_alpha", rank)))
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def _by_pattern(patterns: Any, module: str, default: Any) -> Any:
    """peft lets single modules differ: by a pattern that the end of their name matches."""
    for pattern, value in (patterns or {}).items():
        if re.fullmatch(rf"(?:.*\.)?{pattern}", module):
            return value
    return default


def _checked(pair: Mapping[str, Tensor], module: str, path: Path) -> tuple[Tensor, Tensor]:
    a, b = pair["A"], pair["B"]
    if a.shape[0] != b.shape[1]:
        raise CheckpointError(f"{path}: the factors of {module} have the ranks {a.shape[0]} and {b.shape[1]}.")
    return a, b


def _official(module: str) -> str:
    """The official name of a module's weight."""
    name = f"{module}.weight"
    probe = {name: Tensor()}
    if is_transformers_layout(probe) or ".layer_norm" in name or "o_proj" in name:
        return next(iter(to_official(probe)))
    return name
