"""From trained weights to a model of the list: files, entry, card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from medsam2_engine.atomic_file import replacing
from medsam2_engine.errors import NoSuchModel
from medsam2_engine.finetune.settings import LORA
from medsam2_engine.finetune.trainable import ALPHA
from medsam2_engine.finetune.trained_model import ADAPTER, merged_state
from medsam2_engine.model.checkpoint import read_config, read_entries
from medsam2_engine.model.config import HieraConfig
from medsam2_engine.model.keys import to_transformers
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.model_store import ADAPTER_FILES, FOLDER_FILES, add_own, remove_model
from medsam2_engine.models import ModelEntry, TrainingData, all_models, find_checkpoint, user_models
from medsam2_engine.user_folders import models_folder

CARD_FILE = "README.md"


def require_free_id(model_id: str, base: ModelEntry) -> None:
    """
    Raises:
        NoSuchModel: another model has that id.
    """
    if any(entry.id == model_id and entry.purpose != _purpose(base) for entry in all_models()):
        raise NoSuchModel(f"There is a model {model_id!r} already. Choose another --id.")


def write_weights(folder: Path, model: Sam2, trained: str, base: ModelEntry) -> Path:
    """What the product loads: an adapter folder, a transformers folder like the base's, or one file."""
    folder.mkdir(parents=True, exist_ok=True)
    if trained == LORA:
        return _write_adapter(folder, model)
    state = {name: tensor.contiguous() for name, tensor in merged_state(model).items()}
    config, weights = FOLDER_FILES
    if base.architecture:
        _save(state, folder / weights)
        return folder / weights
    _write_config(find_checkpoint(base) / config, folder / config, model.config.hiera)
    copies = {name: tensor.clone() for name, tensor in to_transformers(state).items()}
    _save({name: tensor.half() for name, tensor in copies.items()}, folder / weights)
    return folder


def list_model(
    path: Path, model_id: str, title: str, base: ModelEntry, trained: str, data: Sequence[TrainingData], card: str
) -> Path:
    """Add it to the user's models under that id; one that a training put there before gives way."""
    earlier = next((entry for entry in user_models() if entry.id == model_id and entry.purpose == _purpose(base)), None)
    if earlier is not None:
        remove_model(earlier)
    entry = replace(
        base,
        id=model_id,
        title=title,
        purpose=_purpose(base),
        files=(),
        training_data=(*base.training_data, *data),
        base=base.id if trained == LORA else "",
        is_consent_needed=False,
    )
    folder = add_own(path, entry)
    (models_folder() / model_id / CARD_FILE).write_text(card, encoding="utf-8")
    return folder


def _write_config(source: Path, target: Path, hiera: HieraConfig) -> None:
    """A copy of the base's description, with the depth of a model that was made deeper."""
    if read_config(source).hiera == hiera:
        shutil.copyfile(source, target)
        return
    entries = read_entries(source)
    trunk = entries["vision_config"]["backbone_config"]
    trunk["blocks_per_stage"], trunk["global_attention_blocks"] = list(hiera.blocks), list(hiera.global_blocks)
    target.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def _purpose(base: ModelEntry) -> str:
    return f"Fine-tuned from {base.id} on your own cases."


def _write_adapter(folder: Path, model: Sam2) -> Path:
    from peft import get_peft_model_state_dict

    config_file, weights = ADAPTER_FILES
    factors = get_peft_model_state_dict(model, adapter_name=ADAPTER)
    state = {f"base_model.model.{name}": tensor.detach().cpu().contiguous() for name, tensor in factors.items()}
    _save(state, folder / weights)
    ranks = {tensor.shape[0] for name, tensor in state.items() if ".lora_A." in name}
    (rank,) = ranks
    modules = sorted(
        name.split(".lora_A.")[0].removeprefix("base_model.model.") for name in state if ".lora_A." in name
    )
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": ALPHA * rank, "bias": "none", "target_modules": modules}
    (folder / config_file).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return folder


def _save(state: dict[str, Tensor], path: Path) -> None:
    with replacing(path) as temporary:
        save_file(state, temporary, metadata={"format": "pt"})
