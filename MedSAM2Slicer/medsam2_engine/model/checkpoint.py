"""Weights from disk into a `Sam2`.

Three kinds of checkpoint are read: a folder with config.json and model.safetensors (transformers' layout), one
.safetensors file (either layout), and an official .pt file {'model': state dict}, also as training programs wrap it.
Loading is strict: names and shapes fit, or nothing is loaded. Whatever precision the file has, the model is float32.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from medsam2_engine.model.architectures import recognise
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.errors import CheckpointError
from medsam2_engine.model.keys import is_transformers_layout, to_official
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.model.state_file import AGAIN, read_tensors
from medsam2_engine.model.transformers_config import from_transformers

_SHOWN = 8  # names listed in a message before "and more"


def load_model(path: Path | str, config: Sam2Config | None = None, image_size: int | None = None) -> Sam2:
    """The model of a checkpoint, in evaluation mode on the CPU.

    config: without it, a folder's config.json says it, and a single file is recognised by its tensors.
    image_size: pixels of the model's frame, where a recognised file shall not see 1024.
    Raises UnsupportedConfigError or CheckpointError, both ModelError.
    """
    path = Path(path)
    if path.is_dir():
        config = config or read_config(path / "config.json")
        path = path / "model.safetensors"
    state = read_state(path)
    return build_model(state, config or recognised(state, path, image_size), path)


def build_model(state: Mapping[str, Tensor], config: Sam2Config, path: Path) -> Sam2:
    """A model with the weights of a state dict under official names; `path` is where they came from."""
    model = Sam2(config)
    require_match(state, model.state_dict(), path)
    model.load_state_dict(state)
    return model.eval()


def recognised(state: Mapping[str, Tensor], path: Path, image_size: int | None = None) -> Sam2Config:
    """The architecture of a file that came without a description."""
    try:
        return recognise(state, image_size)
    except CheckpointError as error:
        raise CheckpointError(f"{path} is not usable. {error}") from error


def read_config(path: Path) -> Sam2Config:
    """The configuration in a transformers config.json."""
    return from_transformers(read_entries(path))


def read_entries(path: Path) -> dict[str, Any]:
    """What a transformers config.json says, of whatever model."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}. {AGAIN}") from error
    if not isinstance(entries, dict):
        raise CheckpointError(f"{path} is not a model's configuration. {AGAIN}")
    return entries


def read_state(path: Path) -> dict[str, Tensor]:
    """The state dict of one file, under official names."""
    state = read_tensors(path)
    return to_official(state) if is_transformers_layout(state) else state


def require_match(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Raise CheckpointError, with names, unless both hold the same parameters in the same shapes."""
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
