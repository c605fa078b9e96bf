"""From a line of the model list to a loaded model. A new family of models gets its line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from medsam2_engine.adapters import read_adapter
from medsam2_engine.backends.base import Backend
from medsam2_engine.backends.sam2 import Sam2Backend
from medsam2_engine.device import Device, choose_device, set_thread_policy
from medsam2_engine.errors import NoSuchModel
from medsam2_engine.framing import Framing, ObjectFraming, WholeSliceFraming
from medsam2_engine.model.architectures import PUBLISHED
from medsam2_engine.model.checkpoint import build_model, read_config, read_entries, read_state
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.conversion import converted
from medsam2_engine.model.errors import ModelError
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.models import InputPolicy, ModelEntry, find_checkpoint, find_model, sha256_of
from medsam2_engine.neighbours import NeighbourFraming
from medsam2_engine.object_crop import CROP_OVER_BOX
from medsam2_engine.user_folders import cache_folder
from medsam2_engine.whole_slice import HALF, IMAGENET, UNIT, PlainSliceFraming


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
    if base.backend not in _LOADERS:
        raise NoSuchModel(
            f"The model {model_id!r} needs the backend {base.backend!r}, which is not part of this version."
        )
    try:
        return _LOADERS[base.backend](entry, base, chosen)
    except ModelError as error:
        raise NoSuchModel(f"The model {model_id!r} cannot be used: {error}") from error


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
    framing = _framing_of_slices(policy)
    return NeighbourFraming(framing) if policy.channels == "neighbours" else framing


def _framing_of_slices(policy: InputPolicy) -> Framing:
    if policy.kind == "whole_slice" and policy.normalisation == "imagenet":
        return WholeSliceFraming(policy.size)
    return PlainSliceFraming(policy.size, policy.kind == "padded_slice", *_NORMALISATIONS[policy.normalisation])


def _sam2(entry: ModelEntry, base: ModelEntry, device: Device) -> Backend:
    return Sam2Backend(entry.id, load_sam2(entry, base), framing_of(base.input_policy), device)


def _sam1(entry: ModelEntry, base: ModelEntry, device: Device) -> Backend:
    from medsam2_engine.backends.sam1 import Sam1Backend, load_sam1

    return Sam1Backend(entry.id, load_sam1(_weights(base), base.architecture), framing_of(base.input_policy), device)


def _edgetam(entry: ModelEntry, base: ModelEntry, device: Device) -> Backend:
    from medsam2_engine.backends.edgetam import load_edgetam
    from medsam2_engine.backends.transformers_video import VideoBackend

    model = load_edgetam(_weights(base), base.input_policy.size)
    return VideoBackend(entry.id, model, framing_of(base.input_policy), device)


def _sam3(entry: ModelEntry, base: ModelEntry, device: Device) -> Backend:
    from medsam2_engine.backends.sam3 import load_sam3
    from medsam2_engine.backends.transformers_video import VideoBackend

    model = load_sam3(_weights(base), read_entries(find_checkpoint(base) / "config.json"))
    return VideoBackend(entry.id, model, framing_of(base.input_policy), device)


_LOADERS: dict[str, Callable[[ModelEntry, ModelEntry, Device], Backend]] = {
    "sam2": _sam2,
    "sam1": _sam1,
    "edgetam": _edgetam,
    "sam3": _sam3,
}
_NORMALISATIONS = {"imagenet": IMAGENET, "unit": UNIT, "half": HALF}


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
