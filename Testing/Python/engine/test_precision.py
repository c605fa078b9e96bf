"""Rounded products are used only where they were asked for and the machine has them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from medsam2_engine import precision
from medsam2_engine.backends.load import load_backend
from medsam2_engine.backends.sam2 import Sam2Backend
from medsam2_engine.device import choose_device
from medsam2_engine.errors import BadRequest
from medsam2_engine.framing import WholeSliceFraming
from medsam2_engine.model.config import HieraConfig, Sam2Config
from medsam2_engine.model.frame import ImageFeatures
from medsam2_engine.precision import Precision, dtype_for, use_fastest_exact_products, wanted_precision
from seeded_networks import seeded_model


@pytest.fixture
def a_machine_with_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: True)


@pytest.fixture
def a_clean_switch() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    use_fastest_exact_products.cache_clear()
    yield
    torch.set_float32_matmul_precision(before)
    use_fastest_exact_products.cache_clear()


def measured(monkeypatch: pytest.MonkeyPatch, gain: float) -> None:
    monkeypatch.setattr(precision, "bfloat16_gain", lambda: gain)


def test_without_a_choice_everything_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDSAM2_PRECISION", raising=False)
    assert wanted_precision() == "exact"


@pytest.mark.parametrize("choice", ["exact", "fast", "auto"])
def test_the_choice_is_the_users(monkeypatch: pytest.MonkeyPatch, choice: str) -> None:
    monkeypatch.setenv("MEDSAM2_PRECISION", choice)
    assert wanted_precision() == choice


def test_an_unknown_choice_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM2_PRECISION", "fp16")
    with pytest.raises(BadRequest, match="exact, fast or auto"):
        wanted_precision()


@pytest.mark.usefixtures("a_machine_with_bfloat16")
def test_exact_is_float32_wherever_it_runs() -> None:
    assert dtype_for("exact", "cuda") == torch.float32


@pytest.mark.usefixtures("a_machine_with_bfloat16")
def test_fast_is_bfloat16_where_the_machine_has_it() -> None:
    assert dtype_for("fast", "cpu") == torch.bfloat16


def test_fast_falls_back_where_the_machine_has_it_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda device: False)
    assert dtype_for("fast", "cpu") == torch.float32


@pytest.mark.usefixtures("a_machine_with_bfloat16")
@pytest.mark.parametrize(("gain", "dtype"), [(1.2, torch.float32), (2.0, torch.bfloat16)])
def test_auto_measures_first(monkeypatch: pytest.MonkeyPatch, gain: float, dtype: torch.dtype) -> None:
    measured(monkeypatch, gain)
    assert dtype_for("auto", "cpu") == dtype


def test_apples_gpus_stay_exact() -> None:
    assert dtype_for("fast", "mps") == torch.float32


def test_bfloat16_is_really_measured() -> None:
    assert precision.bfloat16_gain() > 0


@pytest.mark.usefixtures("a_clean_switch")
def test_the_products_that_are_chosen_are_exact() -> None:
    use_fastest_exact_products()
    x, weight, _ = precision._a_layer()
    exact = x.double() @ weight.double().T
    assert float((x @ weight.T - exact).norm() / exact.norm()) < 1e-6


@pytest.mark.usefixtures("a_clean_switch")
def test_the_switch_is_turned_back_where_it_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_seconds", lambda compute: 1.0)
    before = torch.get_float32_matmul_precision()
    assert not use_fastest_exact_products()
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.usefixtures("a_clean_switch")
def test_an_exact_model_on_a_gpu_forbids_rounded_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    torch.set_float32_matmul_precision("medium")
    precision.use_exact_products_on_gpu()
    assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


def test_the_embedded_model_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDSAM2_PRECISION", raising=False)
    assert "bfloat16" not in load_backend("embedded", "cpu").device_name


def a_backend(choice: Precision = "exact") -> Sam2Backend:
    trunk = HieraConfig(dims=(16, 32, 64, 128), heads=(1, 1, 1, 1), blocks=(1, 1, 1, 1), global_blocks=())
    config = Sam2Config(image_size=128, hidden=64, hiera=trunk, memory_layers=1)
    return Sam2Backend("m", seeded_model(config), WholeSliceFraming(128), choose_device("cpu"), choice)


@torch.inference_mode()
def features_of(backend: Sam2Backend) -> ImageFeatures:
    return backend.encode(torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0)))


@pytest.mark.usefixtures("a_machine_with_bfloat16")
def test_rounded_features_take_half_the_room() -> None:
    exact, fast = a_backend(), a_backend("fast")
    assert features_of(exact).nbytes == 2 * features_of(fast).nbytes


def test_features_are_kept_exactly_unless_asked_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDSAM2_FEATURES", raising=False)
    assert features_of(a_backend()).coarse.dtype == torch.float32


def test_exact_products_can_keep_features_in_half_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = features_of(a_backend())
    monkeypatch.setenv("MEDSAM2_FEATURES", "half")
    half = features_of(a_backend())
    assert exact.nbytes == 2 * half.nbytes
    assert torch.equal(half.coarse, exact.coarse.bfloat16())


def test_features_in_half_the_room_are_no_bfloat16_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM2_FEATURES", "half")
    assert "bfloat16" not in a_backend().device_name


def test_an_unknown_way_to_keep_features_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM2_FEATURES", "int8")
    with pytest.raises(BadRequest, match="exact or half"):
        a_backend()
