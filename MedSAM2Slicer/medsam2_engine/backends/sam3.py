"""The tracker of SAM 3 for boxes, clicks and masks, by transformers' Sam3TrackerVideoModel (an optional extra).

A transformers folder is read: its config.json and model.safetensors, of the tracker alone or of the whole SAM 3, of
which the detector of concepts is left out. SAM 3 sees 1008 pixels in patches of 14, from -1 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from medsam2_engine.backends.extra import transformers
from medsam2_engine.model.checkpoint import require_match
from medsam2_engine.model.errors import CheckpointError, UnsupportedConfigError
from medsam2_engine.model.state_file import AGAIN, read_tensors

MODEL_TYPES = ("sam3_tracker_video", "sam3_video")
# Where the parts lie in the whole SAM 3, without the prefix of its image encoder, and where in the tracker alone. The
# first name that fits counts; transformers 5.23 saves a tracker alone under the second.
_BACKBONE = "vision_encoder.backbone."
_PARTS = (
    (_BACKBONE, _BACKBONE),
    ("tracker_model.tracker_neck.", "vision_encoder.neck."),
    ("tracker_neck.", "vision_encoder.neck."),
    ("tracker_model.", ""),
)


def load_sam3(path: Path, entries: Mapping[str, Any]) -> Any:
    """A `Sam3TrackerVideoModel` with the weights of a model.safetensors, on the CPU.

    entries: of the config.json beside it.

    Raises:
        NoSuchModel: transformers is not installed.
        UnsupportedConfigError: it describes another model.
        CheckpointError: the weights are not those of SAM 3.
    """
    if entries.get("model_type") not in MODEL_TYPES:
        raise UnsupportedConfigError(
            f"config.json describes {entries.get('model_type')!r}, not SAM 3. Choose the folder of SAM 3. {AGAIN}"
        )
    return build_sam3(read_tensors(path), entries, path)


def build_sam3(state: Mapping[str, Tensor], entries: Mapping[str, Any], path: Path) -> Any:
    """The model with a state dict in transformers' layout; `path` is where it came from."""
    library = transformers("SAM 3")
    own = dict(entries.get("tracker_config") or entries)
    try:
        model = library.Sam3TrackerVideoModel(library.Sam3TrackerVideoConfig(**own))
    except _refusals() as error:
        reason = str(error).strip().splitlines()[0].rstrip(".:")
        raise CheckpointError(f"{path.parent / 'config.json'} cannot be used: {reason}. {AGAIN}") from error
    renamed = of_tracker(state)
    require_match(renamed, model.state_dict(), path)
    model.load_state_dict(renamed)
    return model.float().eval()


def _refusals() -> tuple[type[Exception], ...]:
    """What transformers raises for entries that make no sense."""
    from huggingface_hub.errors import StrictDataclassError

    return StrictDataclassError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError


def of_tracker(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tracker's parameters under its own names; a state dict that has no other part stays as it is."""
    if not any(name.startswith("tracker_model.") for name in state):
        return dict(state)
    own = {}
    for name, tensor in state.items():
        part = next(((whole, alone) for whole, alone in _PARTS if name.startswith(whole)), None)
        if part is not None:
            own[part[1] + name.removeprefix(part[0])] = tensor
    return own
