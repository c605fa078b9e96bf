"""The benchmarks measure what they say."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
import torch

from medsam2_engine.model.config import HieraConfig, Sam2Config
from phantoms import dice
from pretended_gpu import PretendedGpu

BENCHMARKS = Path(__file__).parents[2] / "Benchmarks"


@pytest.fixture
def measuring(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("measuring")


@pytest.fixture
def a_small_job(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(BENCHMARKS)
    trunk = HieraConfig(dims=(32, 64, 96, 128), heads=(1, 2, 3, 4), blocks=(1, 1, 2, 1), global_blocks=(3,))
    config = Sam2Config(image_size=128, hidden=128, hiera=trunk, memory_layers=2)
    return importlib.import_module("whole_slice_job").Job(config, slices=6)


def test_jobs_take_turns(measuring: ModuleType) -> None:
    order: list[str] = []
    measuring.interleaved({name: lambda name=name: order.append(name) for name in "ab"}, repeats=2)  # type: ignore[misc]
    assert order == ["a", "b", "a", "b"]


def test_operations_of_a_product_are_counted(measuring: ModuleType) -> None:
    x = torch.zeros(100, 200)
    assert measuring.flops(lambda: x @ x.T) == pytest.approx(2e-9 * 100 * 200 * 100)


def test_operations_of_attention_are_counted(measuring: ModuleType) -> None:
    q = torch.zeros(1, 1, 64, 32)
    counted = measuring.flops(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q))
    assert counted == pytest.approx(2 * 2e-9 * 64 * 64 * 32)


def test_a_peak_is_reached(measuring: ModuleType) -> None:
    assert measuring.matmul_peak() > 0.1


def test_memory_is_seen(measuring: ModuleType) -> None:
    assert 0 < measuring.resident_mb() <= measuring.peak_memory_mb() * 1.01


def test_ours_and_transformers_find_the_same_masks_in_the_same_job(a_small_job: object) -> None:
    pytest.importorskip("transformers")
    ours = a_small_job.run(a_small_job.session(a_small_job.backend()))  # type: ignore[attr-defined]
    theirs = a_small_job.transformers().run()  # type: ignore[attr-defined]
    assert ours.any(axis=(1, 2)).all()
    assert dice(ours, theirs) > 0.999


def test_a_second_prompt_encodes_nothing(a_small_job: object) -> None:
    session = a_small_job.session(a_small_job.backend())  # type: ignore[attr-defined]
    a_small_job.run(session)  # type: ignore[attr-defined]
    encoded = session.encoded
    a_small_job.run(session, segments=2)  # type: ignore[attr-defined]
    assert session.encoded == encoded == 6


def test_operations_of_a_whole_job_are_counted(measuring: ModuleType, a_small_job: object) -> None:
    session = a_small_job.session(a_small_job.backend())  # type: ignore[attr-defined]
    first = measuring.flops(lambda: a_small_job.run(session))  # type: ignore[attr-defined]
    second = measuring.flops(lambda: a_small_job.run(session))  # type: ignore[attr-defined]
    assert 0 < second < first


def test_the_page_of_a_gpu_is_filled(monkeypatch: pytest.MonkeyPatch, a_small_job: object) -> None:
    """On a pretended GPU, so that the first real one does not find an error in its own benchmark."""
    page = importlib.import_module("gpu_job")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr("medsam2_engine.backends.batches.free_memory", lambda device: 1 << 40)
    with PretendedGpu():
        measured = page.gpu_page(a_small_job.config, "exact", slices=3, repeats=1)  # type: ignore[attr-defined]
    assert list(measured) == ["first prompt, ms per slice", "second prompt, ms per slice", "8 segments over one"]
    assert min(measured.values()) > 0


def test_the_page_of_a_gpu_names_models_that_exist(a_small_job: object) -> None:
    sizes = [config.image_size for _, config in importlib.import_module("gpu_job").configurations()]
    assert sizes == [512, 1024, 1024]
