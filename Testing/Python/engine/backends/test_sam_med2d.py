"""SAM-Med2D: SAM ViT-B at 256 pixels with adapters, against recorded answers of its own code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medsam2_engine import models_command
from medsam2_engine.backends import sam1
from medsam2_engine.backends.load import load_backend
from medsam2_engine.backends.sam1 import MED2D, Sam1Backend, build_sam1, sam1_config, vit_of
from medsam2_engine.backends.sam1_names import to_transformers
from medsam2_engine.backends.sam_med2d import add_adapters
from medsam2_engine.device import Device
from medsam2_engine.framing import WholeSliceFraming
from medsam2_engine.model.errors import CheckpointError
from medsam2_engine.models import InputPolicy, find_model
from sam_med2d_network import BOX, SIZE, STEP, WIDTH, published_shapes, seeded_pixels, seeded_state, small_config

transformers = pytest.importorskip("transformers", reason="SAM 1 runs on transformers")
if importlib.util.find_spec("segment_anything") is None:
    pytest.skip("segment-anything knows the shapes", allow_module_level=True)

RECORDED = Path(__file__).with_name("sam_med2d_original.safetensors")


@pytest.fixture(scope="module")
def backend() -> Sam1Backend:
    model = build_sam1(seeded_state(), small_config(), Path("seeded.pth"))
    return Sam1Backend("seeded", model, WholeSliceFraming(SIZE), Device("cpu", "CPU"))


@torch.inference_mode()
def test_features_and_masks_are_those_of_the_original_code(backend: Sam1Backend) -> None:
    recorded = load_file(RECORDED)
    features = backend.encode(seeded_pixels())
    assert float((features.embedding.flatten()[::STEP] - recorded["embedding"]).abs().max()) <= 1e-3
    logits = backend.prompt(features, BOX).logits.flatten()[::STEP]
    assert float((logits - recorded["box"]).abs().max()) <= 1e-3
    assert torch.equal(logits > 0, recorded["box"] > 0)


def test_an_adapter_is_felt(backend: Sam1Backend) -> None:
    state = seeded_state()
    state["image_encoder.blocks.0.Adapter.norm.bias"] += 1
    other = build_sam1(state, small_config(), Path("seeded.pth"))
    with torch.inference_mode():
        changed = other.get_image_embeddings(seeded_pixels())
        assert not torch.allclose(changed, backend.encode(seeded_pixels()).embedding, atol=1e-2)


def test_a_missing_part_of_an_adapter_is_named() -> None:
    state = seeded_state()
    del state["image_encoder.blocks.2.Adapter.spatial.2.weight"]
    with pytest.raises(
        CheckpointError, match=r"1 missing: vision_encoder\.layers\.2\.mlp\.Adapter\.spatial\.2\.weight"
    ):
        build_sam1(state, small_config(), Path("any.pth"))


def test_the_names_of_the_published_size_are_mapped() -> None:
    with torch.device("meta"):
        model = transformers.SamModel(sam1_config(MED2D))
        add_adapters(model)
    state = published_shapes()
    assert vit_of(state) == MED2D
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in to_transformers(state).items()} == expected


def test_its_file_is_recognised_added_and_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(sam1._VIT, "sam_vit_b", {"hidden_size": WIDTH})
    monkeypatch.setattr(sam1, "sam1_config", lambda architecture: small_config())
    torch.save({"model": seeded_state(), "optimizer": {"step": 3}}, tmp_path / "any.pth")
    assert models_command.main(["add", str(tmp_path / "any.pth"), "--id", "mine"]) == 0
    assert "Recognised as sam_med2d_b" in capsys.readouterr().out
    assert find_model("mine").input_policy == InputPolicy("whole_slice", SIZE)
    assert load_backend("mine", "cpu").framing == WholeSliceFraming(SIZE)
