"""From a line of the model list to a loaded model. A new family of models gets its line here."""

from __future__ import annotations

from medsam2_engine.backends.base import Backend
from medsam2_engine.backends.sam2 import Sam2Backend
from medsam2_engine.device import choose_device, set_thread_policy
from medsam2_engine.errors import NoSuchModel
from medsam2_engine.framing import Framing, ObjectFraming, WholeSliceFraming
from medsam2_engine.model.checkpoint import load_model
from medsam2_engine.model.errors import ModelError
from medsam2_engine.models import InputPolicy, find_checkpoint, find_model


def load_backend(model_id: str, device: str = "auto") -> Backend:
    """Load a model of the list.

    Raises:
        NoSuchModel: not in the list, not installed, damaged, or of a kind that cannot be used here.
        BadRequest: a device that does not work here.
    """
    entry = find_model(model_id)
    set_thread_policy()
    chosen = choose_device(device)
    if entry.backend != "sam2":
        raise NoSuchModel(
            f"The model {model_id!r} needs the backend {entry.backend!r}, which is not part of this version."
        )
    try:
        model = load_model(find_checkpoint(entry))
    except ModelError as error:
        raise NoSuchModel(f"The model {model_id!r} cannot be used: {error}") from error
    return Sam2Backend(entry.id, model, framing_of(entry.input_policy), chosen)


def framing_of(policy: InputPolicy) -> Framing:
    """The framing that a model entry asks for."""
    if policy.kind == "object_crop":
        return ObjectFraming(policy.size)
    return WholeSliceFraming(policy.size)
