"""EdgeTAM: our RepViT against timm's, names in both layouts, files in both layouts, and how it is listed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from medsam2_engine import models_command
from medsam2_engine.backends.edgetam import build_edgetam, load_edgetam
from medsam2_engine.backends.edgetam_names import to_official, to_transformers
from medsam2_engine.backends.load import load_backend
from medsam2_engine.backends.repvit import RepVit, fold
from medsam2_engine.errors import NoSuchModel
from medsam2_engine.framing import WholeSliceFraming
from medsam2_engine.model.errors import CheckpointError
from medsam2_engine.models import find_model
from video_oracles import TRUNK_STEP, seeded_edgetam, seeded_trunk_pixels, seeded_trunk_state

pytest.importorskip("transformers", reason="EdgeTAM runs on transformers")

SIZE = 256
RECORDED = Path(__file__).with_name("repvit_timm.safetensors")


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """The published architecture under transformers' names, seeded."""
    found: dict[str, Tensor] = seeded_edgetam(SIZE).state_dict()
    return found


@pytest.fixture(scope="module")
def files(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same weights as each side writes them."""
    folder = tmp_path_factory.mktemp("edgetam")
    torch.save({"model": to_official(state)}, folder / "official.pt")
    own = {name: tensor.clone().contiguous() for name, tensor in state.items()}
    save_file(own, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "edgetam_video", "image_size": SIZE}))
    return {"official": folder / "official.pt", "transformers": folder / "model.safetensors", "folder": folder}


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("folded", [False, True], ids=["as trained", "folded"])
@torch.inference_mode()
def test_the_trunk_answers_as_timms_did(folded: bool) -> None:
    trunk = RepVit().eval()
    trunk.load_state_dict(seeded_trunk_state())
    if folded:
        fold(trunk)
    for number, map_ in enumerate(trunk(seeded_trunk_pixels())):
        recorded = load_file(RECORDED)[f"stage {number}"]
        assert torch.allclose(map_.flatten()[::TRUNK_STEP], recorded, rtol=1e-4, atol=1e-4 * float(recorded.std()))


def test_names_there_and_back_are_the_same_to_the_bit(state: dict[str, Tensor]) -> None:
    back = to_transformers(to_official(state))
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_official_names_are_those_of_the_original_repository(state: dict[str, Tensor]) -> None:
    official = to_official(state)
    for name in (
        "image_encoder.trunk.body.stages_0.blocks.0.token_mixer.conv1.bn.running_mean",
        "image_encoder.neck.convs.0.conv.weight",
        "memory_attention.layers.1.linear2.weight",
        "spatial_perceiver.latents",
        "spatial_perceiver.layers.0.attn.to_kv.weight",
        "spatial_perceiver.layers.1.self_attn.norm.weight",
        "spatial_perceiver.layers.1.self_ff.3.weight",
        "sam_mask_decoder.pred_obj_score_head.layers.2.weight",
    ):
        assert name in official
    assert official["spatial_perceiver.layers.0.attn.to_kv.weight"].shape == (128, 64)


@pytest.mark.parametrize("layout", ["official", "transformers"])
def test_a_file_in_either_layout_is_loaded(files: dict[str, Path], state: dict[str, Tensor], layout: str) -> None:
    model = load_edgetam(files[layout], SIZE)
    loaded = model.state_dict()
    trunk = "vision_encoder.backbone."
    assert all(torch.equal(loaded[name], state[name]) for name in state if not name.startswith(trunk))


def test_a_missing_parameter_is_named_and_nothing_is_loaded(state: dict[str, Tensor]) -> None:
    official = to_official(state)
    del official["spatial_perceiver.latents_2d"]
    with pytest.raises(CheckpointError, match=r"1 missing: spatial_perceiver\.latents_2d"):
        build_edgetam(official, SIZE, Path("any.pt"))


def test_something_more_is_named(state: dict[str, Tensor]) -> None:
    more = to_official(state) | {"spatial_perceiver.layers.0.lora.weight": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"1 unexpected: spatial_perceiver\.layers\.0\.lora\.weight"):
        build_edgetam(more, SIZE, Path("any.pt"))


def test_another_family_is_called_by_its_name(tmp_path: Path) -> None:
    torch.save({"image_encoder.trunk.patch_embed.proj.weight": torch.ones(1)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="a SAM 2 model, not EdgeTAM"):
        load_edgetam(tmp_path / "other.pt", SIZE)


def test_a_frame_that_the_perceiver_cannot_divide_is_refused(state: dict[str, Tensor]) -> None:
    with pytest.raises(CheckpointError, match="multiples of 256 pixels, 320 is none"):
        build_edgetam(state, 320, Path("any.pt"))


@pytest.mark.parametrize("source", ["official", "transformers", "folder"])
def test_it_is_recognised_added_and_loaded(files: dict[str, Path], source: str, capsys: Any) -> None:
    size = [] if source == "folder" else ["--image-size", str(SIZE)]
    assert models_command.main(["add", str(files[source]), "--id", "mine", *size]) == 0
    assert "Recognised as EdgeTAM at 256 pixels" in capsys.readouterr().out
    assert (find_model("mine").backend, find_model("mine").architecture) == ("edgetam", "edgetam")
    backend = load_backend("mine", "cpu")
    assert backend.framing == WholeSliceFraming(SIZE)
    with torch.inference_mode():
        assert backend.encode(torch.zeros(1, 3, SIZE, SIZE)).coarse.shape == (1, 256, 16, 16)


def test_without_transformers_the_way_to_it_is_said(state: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(NoSuchModel, match=re.escape("pip install medsam2slicer-engine[transformers]")):
        build_edgetam(state, SIZE, Path("any.pt"))
