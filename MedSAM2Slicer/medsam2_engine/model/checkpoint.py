"""Weights from disk into a `Sam2`.

Three kinds of checkpoint are read: a folder with config.json and model.safetensors (transformers' layout), one
.safetensors file (either layout), and an official .pt file {'model': state dict}. Loading is strict, and never runs
code from a file: .pt files are opened with `weights_only=True`. Whatever precision the file has, the model is float32.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.errors import CheckpointError
from medsam2_engine.model.keys import is_transformers_layout, to_official
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.model.transformers_config import from_transformers

_AGAIN = "Download the model again, or choose another one."
# What a damaged pickle may raise besides UnpicklingError, says the pickle module.
_DAMAGE = (RuntimeError, OSError, EOFError, ValueError, LookupError, AttributeError)
_SHOWN = 8  # names listed in a message before "and more"


def load_model(path: Path | str, config: Sam2Config | None = None) -> Sam2:
    """The model of a checkpoint, in evaluation mode on the CPU.

    config: needed for a single file; a folder brings its own, which `config` overrides (say, for another image size).
    Raises UnsupportedConfigError or CheckpointError, both ModelError.
    """
    path = Path(path)
    if path.is_dir():
        config = config or read_config(path / "config.json")
        path = path / "model.safetensors"
    if config is None:
        raise CheckpointError(f"{path} does not say which model it holds. Pass the Sam2Config it was trained with.")
    state = read_state(path)
    model = Sam2(config)
    _require_match(state, model.state_dict(), path)
    model.load_state_dict(state)
    return model.eval()


def read_config(path: Path) -> Sam2Config:
    """The configuration in a transformers config.json."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}. {_AGAIN}") from error
    if not isinstance(entries, dict):
        raise CheckpointError(f"{path} is not a model's configuration. {_AGAIN}")
    return from_transformers(entries)


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict of one file, under official names."""
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist. {_AGAIN}")
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return to_official(state) if is_transformers_layout(state) else state


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged: {error}. {_AGAIN}") from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} was not opened: it holds more than weights, and could run foreign code, or it is damaged. "
            "Ask its author for a .safetensors file, or for a .pt file with nothing but {'model': state_dict}."
        ) from error
    except _DAMAGE as error:
        raise CheckpointError(f"{path} is damaged: {error}. {_AGAIN}") from error
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise CheckpointError(f"{path} has no state dict under 'model', as SAM 2 checkpoints do. Choose another file.")
    return {str(name): tensor for name, tensor in state.items()}


def _require_match(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    shared = [name for name in expected if name in state]
    faults = {
        "missing": [name for name in expected if name not in state],
        "unexpected": [name for name in state if name not in expected],
        "of another shape": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
            for name in shared
            if state[name].shape != expected[name].shape
        ],
    }
    report = "; ".join(f"{len(names)} {fault}: {_shortened(names)}" for fault, names in faults.items() if names)
    if report:
        raise CheckpointError(
            f"{path} does not fit the model. Of its parameters {report}. Choose the configuration it was trained with."
        )


def _shortened(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
