"""What a user's file is, found out by reading it: family, architecture, size. Its name says nothing.

A file is loaded once, strictly, before it is listed: what does not load is not added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from medsam2_engine.adapters import read_adapter
from medsam2_engine.backends.load import read_base_state
from medsam2_engine.errors import NoSuchModel
from medsam2_engine.model.architectures import EDGETAM, PUBLISHED, SAM1, SAM3, SAM_MED2D, family_of
from medsam2_engine.model.checkpoint import build_model, read_entries, read_state, recognised
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.errors import ModelError
from medsam2_engine.model.keys import is_transformers_layout, to_official
from medsam2_engine.model.state_file import read_tensors
from medsam2_engine.model.transformers_config import from_transformers
from medsam2_engine.models import InputPolicy, find_model

DEFAULT_IMAGE_SIZE = 1024


@dataclass(frozen=True)
class Recognised:
    """A checkpoint that can be used here. `architecture` is "" where a config.json lies beside it."""

    backend: str
    architecture: str
    policy: InputPolicy
    parameters: int
    summary: str

    @property
    def image_size(self) -> int:
        return self.policy.size


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
    entries, weights = read_entries(path / "config.json"), path / "model.safetensors"
    if entries.get("model_type") == "edgetam_video":
        return _edgetam(read_tensors(weights), weights, int(entries.get("image_size") or DEFAULT_IMAGE_SIZE))
    if str(entries.get("model_type")).startswith("sam3"):
        return _sam3(weights, entries)
    config = from_transformers(entries)
    state = read_state(weights)
    return _checked("", config, state, weights, f"SAM 2 as in its config.json, {config.image_size} pixels.")


def _recognise_file(path: Path, image_size: int) -> Recognised:
    state = read_tensors(path)
    family = family_of(state)
    if family in (SAM1, SAM_MED2D):
        return _sam1(state, path)
    if family == EDGETAM:
        return _edgetam(state, path, image_size or DEFAULT_IMAGE_SIZE)
    if family == SAM3:
        raise NoSuchModel(f"{path} is SAM 3. Name the transformers folder it lies in: its config.json belongs to it.")
    return _sam2(to_official(state) if is_transformers_layout(state) else state, path, image_size)


def _sam1(state: Mapping[str, Tensor], path: Path) -> Recognised:
    from medsam2_engine.backends.sam1 import MED2D, MED2D_SIZE, build_sam1, sam1_config, vit_of

    name = vit_of(state)
    build_sam1(state, sam1_config(name), path)
    is_padded = name != MED2D
    policy = InputPolicy("padded_slice", DEFAULT_IMAGE_SIZE) if is_padded else InputPolicy("whole_slice", MED2D_SIZE)
    return Recognised("sam1", name, policy, _count(state), f"Recognised as {name}.")


def _edgetam(state: Mapping[str, Tensor], path: Path, size: int) -> Recognised:
    from medsam2_engine.backends.edgetam import build_edgetam

    build_edgetam(state, size, path)
    summary = f"Recognised as EdgeTAM at {size} pixels."
    return Recognised("edgetam", "edgetam", InputPolicy("whole_slice", size), _count(state), summary)


def _sam3(path: Path, entries: Mapping[str, Any]) -> Recognised:
    from medsam2_engine.backends.sam3 import load_sam3

    model = load_sam3(path, entries)
    policy = InputPolicy("whole_slice", model.config.image_size, normalisation="half")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Recognised("sam3", "", policy, parameters, f"The tracker of SAM 3 at {policy.size} pixels.")


def _count(state: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() for tensor in state.values())


def _sam2(state: Mapping[str, Tensor], path: Path, image_size: int) -> Recognised:
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
    return _checked(name, config, state, path, f"Recognised as {name} at {config.image_size} pixels.{hint}")


def _checked(name: str, config: Sam2Config, state: Mapping[str, Tensor], path: Path, summary: str) -> Recognised:
    model = build_model(state, config, path)
    policy = InputPolicy("whole_slice", config.image_size)
    return Recognised("sam2", name, policy, sum(p.numel() for p in model.parameters()), summary)
