"""`medsam2 models add` of a user's own checkpoint: told by its tensors, loaded once, then a model like any other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from medsam2_engine import models_command
from medsam2_engine.backends.load import framing_of, load_backend
from medsam2_engine.errors import NoSuchModel
from medsam2_engine.framing import ObjectFraming, WholeSliceFraming
from medsam2_engine.model.architectures import PUBLISHED
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.models import InputPolicy, find_checkpoint, find_model
from medsam2_engine.neighbours import NeighbourFraming
from medsam2_engine.whole_slice import HALF, IMAGENET, UNIT, PlainSliceFraming


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def fine_tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training program leaves behind: a prefix, half precision, an optimiser; named after something else."""
    state = Sam2(replace(PUBLISHED["sam2.1_hiera_tiny"], image_size=512)).state_dict()
    path = tmp_path_factory.mktemp("trained") / "sam2_hiera_large_1024.pth"
    content = {f"module.{name}": tensor.half() for name, tensor in state.items()}
    torch.save({"model": content, "optimizer": {"state": {}}, "epoch": 12}, path)
    return path


def test_a_fine_tuned_checkpoint_is_told_by_its_tensors_not_by_its_name(fine_tuned: Path, capsys: Any) -> None:
    arguments = ["add", str(fine_tuned), "--id", "liver", "--title", "Our livers", "--image-size", "256"]
    assert models_command.main(arguments) == 0
    assert "Recognised as sam2.1_hiera_tiny at 256 pixels" in capsys.readouterr().out
    entry = find_model("liver")
    assert (entry.title, entry.architecture) == ("Our livers", "sam2.1_hiera_tiny")
    assert entry.input_policy == InputPolicy("whole_slice", 256)
    assert load_backend("liver", "cpu").framing == WholeSliceFraming(256)


def test_without_a_size_the_published_one_is_taken_and_said(fine_tuned: Path, capsys: Any) -> None:
    assert models_command.main(["add", str(fine_tuned), "--id", "liver"]) == 0
    assert "--image-size" in capsys.readouterr().out
    assert find_model("liver").input_policy.size == 1024


def test_recognising_a_checkpoint_adds_nothing(fine_tuned: Path, tmp_path: Path, capsys: Any) -> None:
    assert models_command.main(["recognise", str(fine_tuned), "--image-size", "512", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["image_size"]) == ("checkpoint", 512)
    assert "sam2.1_hiera_tiny" in found["text"]
    assert not (tmp_path / "models").exists()


def test_a_file_of_a_transformers_folder_stands_for_the_folder(capsys: Any) -> None:
    folder = find_checkpoint(find_model("embedded"))
    assert models_command.main(["recognise", str(folder / "model.safetensors")]) == 0
    assert "as in its config.json, 128 pixels" in capsys.readouterr().out


def test_a_transformers_folder_says_itself_what_it_is(capsys: Any) -> None:
    folder = find_checkpoint(find_model("embedded"))
    assert models_command.main(["add", str(folder), "--id", "copy"]) == 0
    assert find_model("copy").input_policy == InputPolicy("whole_slice", 128)
    assert load_backend("copy", "cpu").model_id == "copy"


def test_a_model_trained_on_neighbours_is_shown_neighbours(capsys: Any) -> None:
    folder = str(find_checkpoint(find_model("embedded")))
    assert models_command.main(["add", folder, "--id", "trained-in-2.5d", "--input", "neighbours"]) == 0
    assert load_backend("trained-in-2.5d", "cpu").framing == NeighbourFraming(WholeSliceFraming(128))
    models_command.main(["info", "trained-in-2.5d"])
    assert "a slice between its neighbours" in " ".join(capsys.readouterr().out.split())


def test_an_id_is_given_once(capsys: Any) -> None:
    folder = str(find_checkpoint(find_model("embedded")))
    models_command.main(["add", folder, "--id", "copy"])
    assert models_command.main(["add", folder, "--id", "copy"]) == 5


@pytest.mark.parametrize(
    ("policy", "framing"),
    [
        (InputPolicy("object_crop", 128, 2.5), ObjectFraming(128)),
        (InputPolicy("whole_slice", 512), WholeSliceFraming(512)),
        (InputPolicy("whole_slice", 1024, normalisation="unit"), PlainSliceFraming(1024, False, *UNIT)),
        (InputPolicy("padded_slice", 1024), PlainSliceFraming(1024, True, *IMAGENET)),
        (InputPolicy("whole_slice", 1008, normalisation="half"), PlainSliceFraming(1008, False, *HALF)),
        (InputPolicy("whole_slice", 512, channels="neighbours"), NeighbourFraming(WholeSliceFraming(512))),
    ],
)
def test_a_policy_becomes_its_framing(policy: InputPolicy, framing: object) -> None:
    assert framing_of(policy) == framing


def test_a_crop_that_this_version_does_not_cut_is_refused() -> None:
    with pytest.raises(NoSuchModel, match=r"3 times the box; this version cuts them 2\.5 times"):
        framing_of(InputPolicy("object_crop", 128, 3.0))
