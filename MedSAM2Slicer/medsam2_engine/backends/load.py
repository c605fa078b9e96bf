"""From a line of the model list to a loaded model. A new family of models gets its line here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor

from medsam2_engine.adapters import read_adapter
from medsam2_engine.backends.base import Backend
from medsam2_engine.backends.sam2 import Sam2Backend
from medsam2_engine.device import choose_device, set_thread_policy
from medsam2_engine.errors import NoSuchModel
from medsam2_engine.framing import Framing, ObjectFraming, WholeSliceFraming
from medsam2_engine.model.architectures import PUBLISHED
from medsam2_engine.model.checkpoint import build_model, read_config, read_state
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.conversion import converted
from medsam2_engine.model.errors import ModelError
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.models import InputPolicy, ModelEntry, find_checkpoint, find_model, sha256_of
from medsam2_engine.object_crop import CROP_OVER_BOX
from medsam2_engine.user_folders import cache_folder
from medsam2_engine.whole_slice import IMAGENET, UNIT, PlainSliceFraming


def load_backend(model_id: str, device: str = "auto") -> Backend:
    """Load a model of the list, with its adapter if it is one.

    Raises:
        NoSuchModel: not in the list, not installed, damaged, or of a kind that cannot be used here.
        BadRequest: a device that does not work here.
    """
    entry = find_model(model_id)
    set_thread_policy()
    chosen = choose_device(device)
    base = find_model(entry.base) if entry.base else entry
    if base.backend not in ("sam2", "sam1"):
        raise NoSuchModel(
            f"The model {model_id!r} needs the backend {base.backend!r}, which is not part of this version."
        )
    try:
        if base.backend == "sam1":
            from medsam2_engine.backends.sam1 import Sam1Backend, load_sam1

            sam1 = load_sam1(_weights(base), base.architecture)
            return Sam1Backend(entry.id, sam1, framing_of(base.input_policy), chosen)
        model = load_sam2(entry, base)
    except ModelError as error:
        raise NoSuchModel(f"The model {model_id!r} cannot be used: {error}") from error
    return Sam2Backend(entry.id, model, framing_of(base.input_policy), chosen)


def load_sam2(entry: ModelEntry, base: ModelEntry) -> Sam2:
    """The model of an entry: that of `base`, with the entry's adapter laid over it if they are not the same."""
    folder = find_checkpoint(base)
    state = read_base_state(base)
    if entry is not base:
        state = read_adapter(find_checkpoint(entry)).laid_over(state)
    return build_model(state, _config_of(base, folder), folder)


def read_base_state(entry: ModelEntry) -> dict[str, Tensor]:
    """The weights of an installed SAM 2 under official names.

    Raises:
        NoSuchModel: not installed, or damaged.
        CheckpointError: it cannot be read.
    """
    return read_state(_weights(entry))


def framing_of(policy: InputPolicy) -> Framing:
    """The framing that a model entry asks for.

    Raises:
        NoSuchModel: a crop of another size than the one this version cuts.
    """
    if policy.kind == "object_crop":
        if policy.crop_over_box != CROP_OVER_BOX:
            raise NoSuchModel(
                f"The model looks at crops {policy.crop_over_box:g} times the box; this version cuts them "
                f"{CROP_OVER_BOX:g} times. Install the version that its description names."
            )
        return ObjectFraming(policy.size)
    if policy.kind == "whole_slice" and policy.normalisation == "imagenet":
        return WholeSliceFraming(policy.size)
    return PlainSliceFraming(
        policy.size, policy.kind == "padded_slice", *(UNIT if policy.normalisation == "unit" else IMAGENET)
    )


def _weights(entry: ModelEntry) -> Path:
    """The file with an entry's weights, verified, and free of pickles if the cache can be written."""
    folder = find_checkpoint(entry)
    names = [file.name for file in entry.files if file.name != "config.json"]
    source = folder / names[0]
    return converted(source, sha256_of(source), cache_folder() / "Converted")


def _config_of(entry: ModelEntry, folder: Path) -> Sam2Config:
    if not entry.architecture:
        return read_config(folder / "config.json")
    if entry.architecture not in PUBLISHED:
        raise NoSuchModel(f"The model {entry.id!r} has the architecture {entry.architecture!r}, which is not known.")
    return replace(PUBLISHED[entry.architecture], image_size=entry.input_policy.size)
