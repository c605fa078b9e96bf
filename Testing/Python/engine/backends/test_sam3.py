"""The tracker of SAM 3: read from a folder of the tracker alone or of the whole SAM 3, strictly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from medsam2_engine import models_command
from medsam2_engine.backends.load import load_backend
from medsam2_engine.backends.sam3 import build_sam3, load_sam3
from medsam2_engine.model.errors import CheckpointError, UnsupportedConfigError
from medsam2_engine.models import InputPolicy, find_model
from medsam2_engine.whole_slice import HALF, PlainSliceFraming
from video_oracles import small_sam3

pytest.importorskip("transformers", reason="SAM 3 runs on transformers")

SIZE = 224


@pytest.fixture(scope="module")
def small() -> Any:
    return small_sam3(SIZE)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "cache"))


def whole_sam3(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names under which the tracker lies in the whole SAM 3, beside a detector."""
    names = {}
    for name, tensor in state.items():
        if name.startswith("vision_encoder.backbone."):
            names[f"detector_model.{name}"] = tensor
        elif name.startswith("vision_encoder.neck."):
            names[name.replace("vision_encoder.neck.", "tracker_neck.")] = tensor
        else:
            names[f"tracker_model.{name}"] = tensor
    detector = (
        "vision_encoder.neck.fpn_layers.0.proj1.bias",
        "mask_decoder.mask_embedder.weight",
        "text_projection.bias",
    )
    return names | {f"detector_model.{name}": torch.ones(2) for name in detector}


def write(folder: Path, small: Any, kind: str) -> Path:
    folder.mkdir()
    if kind == "saved by transformers":
        small.save_pretrained(folder)
        return folder
    own = small.config.to_dict()
    entries = {"model_type": "sam3_video", "tracker_config": own} if kind == "whole" else own
    state = whole_sam3(small.state_dict()) if kind == "whole" else small.state_dict()
    save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(entries, default=str), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", ["whole", "tracker", "saved by transformers"])
def test_a_folder_is_recognised_added_and_answers_as_the_model_that_was_saved(
    kind: str, small: Any, tmp_path: Path, capsys: Any
) -> None:
    folder = write(tmp_path / "sam3", small, kind)
    assert models_command.main(["add", str(folder), "--id", "mine"]) == 0
    assert "The tracker of SAM 3 at 224 pixels" in capsys.readouterr().out
    assert find_model("mine").input_policy == InputPolicy("whole_slice", SIZE, normalisation="half")
    backend: Any = load_backend("mine", "cpu")
    assert backend.framing == PlainSliceFraming(SIZE, False, *HALF)
    loaded = backend._model.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in small.state_dict().items())


def test_a_missing_parameter_is_named(small: Any) -> None:
    state = whole_sam3(small.state_dict())
    del state["tracker_model.no_object_pointer"]
    state = {name.removeprefix("detector_model."): tensor for name, tensor in state.items()}
    with pytest.raises(CheckpointError, match="1 missing: no_object_pointer"):
        build_sam3(state, small.config.to_dict(), Path("model.safetensors"))


def test_another_model_is_refused_by_the_name_it_gives_itself(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedConfigError, match="'sam3', not SAM 3"):
        load_sam3(tmp_path / "model.safetensors", {"model_type": "sam3"})


@pytest.mark.parametrize(
    "entries",
    [{"num_maskmem": "seven"}, {"vision_config": 3}, {"memory_attention_hidden_size": 0}],
)
def test_a_configuration_that_makes_no_sense_is_one_sentence(small: Any, entries: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json cannot be used: .*\. Download the model again") as refusal:
        build_sam3(small.state_dict(), small.config.to_dict() | entries, Path("model.safetensors"))
    assert "\n" not in str(refusal.value)


def test_a_file_of_sam3_alone_is_told_to_come_with_its_folder(small: Any, tmp_path: Path, capsys: Any) -> None:
    save_file({name: t.clone() for name, t in whole_sam3(small.state_dict()).items()}, tmp_path / "any.safetensors")
    assert models_command.main(["recognise", str(tmp_path / "any.safetensors")]) == 5
    assert "Name the transformers folder" in capsys.readouterr().err
