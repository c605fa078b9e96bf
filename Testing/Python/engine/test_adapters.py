"""LoRA adapters in peft's layout, laid over a model and taken off again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from medsam2_engine import models_command
from medsam2_engine.adapters import read_adapter
from medsam2_engine.backends.load import load_backend
from medsam2_engine.model.errors import CheckpointError
from medsam2_engine.model.keys import to_official
from medsam2_engine.models import find_checkpoint, find_model

QKV = "image_encoder.trunk.blocks.0.attn.qkv"
CONV = "sam_mask_decoder.conv_s0"
THEIR_PROJ = "vision_encoder.backbone.blocks.1.attn.proj"
OUR_PROJ = "image_encoder.trunk.blocks.1.attn.proj"
RANK, ALPHA = 2, 4


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def base() -> dict[str, Tensor]:
    """The embedded model's weights under official names."""
    state = load_file(find_checkpoint(find_model("embedded")) / "model.safetensors")
    return {name: tensor.float() for name, tensor in to_official(state).items()}


@pytest.fixture
def save(tmp_path: Path, base: dict[str, Tensor]) -> Callable[..., Path]:
    """A function that writes an adapter of random factors for some modules (named as in the file)."""

    def write(*modules: str, **settings: Any) -> Path:
        folder = tmp_path / "adapter"
        folder.mkdir()
        generator = torch.Generator().manual_seed(3)
        tensors = {}
        for module in modules or (QKV,):
            weight = base[f"{OUR_PROJ if module == THEIR_PROJ else module}.weight"]
            b_shape = (weight.shape[0], RANK) + (1,) * (weight.dim() - 2)
            tensors[f"base_model.model.{module}.lora_A.weight"] = torch.randn(
                RANK, *weight.shape[1:], generator=generator
            )
            tensors[f"base_model.model.{module}.lora_B.weight"] = torch.randn(b_shape, generator=generator)
        save_file(tensors, folder / "adapter_model.safetensors")
        config = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none", **settings}
        (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
        return folder

    return write


def factors(folder: Path, module: str) -> tuple[Tensor, Tensor]:
    tensors = load_file(folder / "adapter_model.safetensors")
    a, b = (tensors[f"base_model.model.{module}.lora_{side}.weight"] for side in "AB")
    return a, b


def test_a_linear_layer_becomes_w_plus_b_a_alpha_over_r(save: Any, base: dict[str, Tensor]) -> None:
    folder = save(QKV)
    a, b = factors(folder, QKV)
    changed = read_adapter(folder).laid_over(base)
    assert torch.allclose(changed[f"{QKV}.weight"], base[f"{QKV}.weight"] + b @ a * (ALPHA / RANK), atol=1e-6)


def test_a_convolution_answers_as_with_the_factors_one_after_the_other(save: Any, base: dict[str, Tensor]) -> None:
    folder = save(CONV)
    a, b = factors(folder, CONV)
    changed = read_adapter(folder).laid_over(base)
    x = torch.randn(1, a.shape[1], 5, 5, generator=torch.Generator().manual_seed(1))
    conv = torch.nn.functional.conv2d
    separate = conv(x, base[f"{CONV}.weight"]) + conv(conv(x, a), b) * (ALPHA / RANK)
    assert torch.allclose(conv(x, changed[f"{CONV}.weight"]), separate, atol=1e-4)


def test_only_the_named_parameters_change_and_the_base_not_at_all(save: Any, base: dict[str, Tensor]) -> None:
    before = {name: tensor.clone() for name, tensor in base.items()}
    changed = read_adapter(save(QKV)).laid_over(base)
    assert [name for name in base if not torch.equal(changed[name], base[name])] == [f"{QKV}.weight"]
    assert all(torch.equal(base[name], before[name]) for name in base)


def test_transformers_names_are_understood(save: Any, base: dict[str, Tensor]) -> None:
    changed = read_adapter(save(THEIR_PROJ)).laid_over(base)
    assert not torch.equal(changed[f"{OUR_PROJ}.weight"], base[f"{OUR_PROJ}.weight"])


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({"use_rslora": True}, ALPHA / RANK**0.5),
        ({"alpha_pattern": {"qkv": 10}}, 10 / RANK),
        ({"alpha_pattern": {"proj": 10}}, ALPHA / RANK),
    ],
)
def test_the_scale_is_what_the_file_says(
    save: Any, base: dict[str, Tensor], settings: dict[str, Any], scale: float
) -> None:
    folder = save(QKV, **settings)
    a, b = factors(folder, QKV)
    changed = read_adapter(folder).laid_over(base)
    assert torch.allclose(changed[f"{QKV}.weight"], base[f"{QKV}.weight"] + b @ a * scale, atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{"use_dora": True}, {"bias": "all"}, {"modules_to_save": ["conv_s0"]}, {"peft_type": "IA3"}]
)
def test_more_than_lora_is_refused(save: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"[Mm]erge it"):
        read_adapter(save(QKV, **settings))


def test_half_a_pair_is_no_adapter(save: Any) -> None:
    folder = save(QKV)
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file({name: t for name, t in tensors.items() if "lora_A" in name}, folder / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match="incomplete"):
        read_adapter(folder)


def test_an_adapter_for_another_model_names_what_is_missing(save: Any, base: dict[str, Tensor]) -> None:
    adapter = read_adapter(save(QKV))
    with pytest.raises(CheckpointError, match=r"does not have\. Choose the base"):
        adapter.laid_over({name: tensor for name, tensor in base.items() if QKV not in name})


def test_an_added_adapter_is_selected_like_a_model_and_removed_like_one(
    save: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save(QKV)
    shipped = find_checkpoint(find_model("embedded")) / "model.safetensors"
    before = hashlib.sha256(shipped.read_bytes()).hexdigest()
    assert models_command.main(["add", str(folder), "--id", "mine", "--base", "embedded"]) == 0
    shutil.rmtree(folder)
    pixels = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        adapted, plain = (load_backend(name, "cpu").encode(pixels).coarse for name in ("mine", "embedded"))
    assert not torch.allclose(adapted, plain)
    assert models_command.main(["info", "mine"]) == 0
    assert "embedded" in capsys.readouterr().out
    assert models_command.main(["remove", "mine"]) == 0
    with torch.inference_mode():
        assert torch.equal(load_backend("embedded", "cpu").encode(pixels).coarse, plain)
    assert hashlib.sha256(shipped.read_bytes()).hexdigest() == before


@pytest.mark.parametrize(("named", "words"), [("", "--base"), ("sam-vit-b", "none. Name another")])
def test_an_adapter_needs_a_base_that_it_can_be_laid_over(
    save: Any, capsys: pytest.CaptureFixture[str], named: str, words: str
) -> None:
    assert models_command.main(["add", str(save(QKV)), "--id", "mine", "--base", named]) == 5
    assert words in capsys.readouterr().err
