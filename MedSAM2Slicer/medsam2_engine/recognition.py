"""What a user's file is, found out by reading it: family, architecture, size. Its name says nothing.

A file is loaded once, strictly, before it is listed: what does not load is not added.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from medsam2_engine.adapters import read_adapter
from medsam2_engine.backends.load import read_base_state
from medsam2_engine.errors import NoSuchModel
from medsam2_engine.model.architectures import PUBLISHED, SAM1, family_of
from medsam2_engine.model.checkpoint import build_model, read_config, read_state, recognised
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.errors import ModelError
from medsam2_engine.models import find_model

DEFAULT_IMAGE_SIZE = 1024


@dataclass(frozen=True)
class Recognised:
    """A checkpoint that can be used here. `architecture` is "" where a config.json lies beside it."""

    backend: str
    architecture: str
    image_size: int
    parameters: int
    summary: str


def recognise_checkpoint(path: Path, image_size: int = 0) -> Recognised:
    """The user's checkpoint or transformers folder; `image_size` 0 is what the folder says, or 1024.

    Raises:
        NoSuchModel: it cannot be used here; the sentence says why.
    """
    try:
        return _recognise_folder(path) if path.is_dir() else _recognise_file(path, image_size)
    except ModelError as error:
        raise NoSuchModel(str(error)) from error


def recognise_adapter(folder: Path, base: str) -> None:
    """Lay an adapter over its base once.

    Raises:
        NoSuchModel: no base was named, it is not installed, or the adapter does not fit it.
    """
    if not base:
        raise NoSuchModel(f"{folder} is an adapter. Name the model it was trained on (`--base`).")
    entry = find_model(base)
    if entry.backend != "sam2" or entry.base:
        raise NoSuchModel(f"Adapters are laid over SAM 2 models; {base} is none. Name another base (`--base`).")
    try:
        read_adapter(folder).laid_over(read_base_state(entry))
    except ModelError as error:
        raise NoSuchModel(str(error)) from error


def _recognise_folder(path: Path) -> Recognised:
    config = read_config(path / "config.json")
    return _checked("", config, path / "model.safetensors", f"SAM 2 as in its config.json, {config.image_size} pixels.")


def _recognise_file(path: Path, image_size: int) -> Recognised:
    state = read_state(path)
    if family_of(state) == SAM1:
        from medsam2_engine.backends.sam1 import build_sam1, sam1_config, vit_of

        name = vit_of(state)
        build_sam1(state, sam1_config(name), path)
        parameters = sum(tensor.numel() for tensor in state.values())
        return Recognised("sam1", name, DEFAULT_IMAGE_SIZE, parameters, f"Recognised as {name}.")
    config = recognised(state, path, image_size or None)
    name = next(
        (name for name, known in PUBLISHED.items() if replace(known, image_size=config.image_size) == config), ""
    )
    if not name:
        raise NoSuchModel(
            f"{path} is a SAM 2 with parts of unusual sizes. Save it as a transformers folder, whose config.json names "
            "them, and add that."
        )
    hint = (
        ""
        if image_size
        else f" Trained on another size than {DEFAULT_IMAGE_SIZE} (MedSAM2: 512)? Say so (`--image-size`)."
    )
    return _checked(name, config, path, f"Recognised as {name} at {config.image_size} pixels.{hint}")


def _checked(name: str, config: Sam2Config, path: Path, summary: str) -> Recognised:
    model = build_model(read_state(path), config, path)
    return Recognised("sam2", name, config.image_size, sum(p.numel() for p in model.parameters()), summary)
