"""What a training is at a step, written so that a kill at any moment loses at most the steps since the last writing.

Random numbers need no state of their own: every step draws from a generator seeded by the training's seed and the
step's number. So a resumed training takes the same steps as one that was never interrupted.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medsam2_engine.atomic_file import replacing
from medsam2_engine.errors import BadRequest

STATE_FILE = "state.pt"


@dataclass
class TrainingState:
    """`weights` and `average` are the trained parameters by name; `best` is the average at the best validation."""

    step: int
    digest: str
    weights: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[str, Any]
    best: dict[str, Tensor]
    best_score: float
    waited: int


def write_state(folder: Path, state: TrainingState) -> None:
    """Replace what was written before, by a whole file or not at all."""
    with replacing(folder / STATE_FILE) as temporary:
        try:
            torch.save(vars(state), temporary)
        except RuntimeError as error:
            # torch's own writer, where a disk is full.
            raise OSError(str(error).splitlines()[0]) from error


def read_state(folder: Path, digest: str) -> TrainingState | None:
    """The state in a folder; None if there is none.

    Raises:
        BadRequest: it belongs to a training with other settings or data, or is damaged.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        return None
    try:
        state = TrainingState(**torch.load(path, map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, TypeError, EOFError, OSError) as error:
        raise BadRequest(f"{path} is damaged ({error}). Remove it to begin anew.") from error
    if state.digest != digest:
        raise BadRequest(
            f"{folder} holds a training with other settings or other data, or its cases have changed since. Begin a "
            "new one, in another folder, or repeat it as it was."
        )
    return state


def put_average(model: nn.Module, folder: Path) -> int:
    """Give a model the averaged weights of the training in a folder, which trained all of them; its step."""
    kept = torch.load(folder / STATE_FILE, map_location="cpu", weights_only=True)
    average = {name: tensor for name, tensor in kept["average"].items() if not name.startswith("probes.")}
    missing = model.load_state_dict(average, strict=False)
    assert not missing.unexpected_keys, "the state belongs to this architecture"
    return int(kept["step"])
