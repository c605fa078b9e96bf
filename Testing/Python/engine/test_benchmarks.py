"""The benchmarks measure what they say."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from medsam2_engine.model.config import HieraConfig, Sam2Config
from phantoms import a_phantom, dice
from pretended_gpu import PretendedGpu
from training_phantoms import SHAPE_KJI, ellipsoid, in_space

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


@pytest.fixture
def a_case(monkeypatch: pytest.MonkeyPatch) -> object:
    """A bright ball on 16 slices, as `dice.py` describes a structure."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    phantom = a_phantom()
    index, slices = phantom.largest_slice("K"), phantom.occupied("K")
    case = importlib.import_module("dice").Case
    return case(
        Path("case/image.nii.gz"), "x", "CT", phantom.volume, phantom.truth_kji, "K", slices, phantom.box("K", index)
    )


def test_slices_past_the_ends_and_missed_ones_are_counted(a_case: Any) -> None:
    first, last = a_case.slices
    auto = np.roll(a_case.truth_kji, 2, axis=0)
    found = importlib.import_module("dice").scored(a_case, a_case.truth_kji, auto)
    assert (found.past, found.missed, found.known) == (2, 2, 1.0)
    assert first > 0
    assert last + 2 < len(auto)


def test_floors_find_a_bright_ball(a_case: Any) -> None:
    floors = importlib.import_module("floors")
    known, auto = floors.grown(a_case)
    assert dice(known, a_case.truth_kji) > 0.9
    assert dice(auto, a_case.truth_kji) > 0.9
    known, auto = floors.ellipses(a_case)
    index = a_case.box.slice
    assert dice(known[index], a_case.truth_kji[index]) > 0.9
    occupied = np.flatnonzero(known.any(axis=(1, 2)))
    assert (occupied[0], occupied[-1]) == a_case.slices
    assert 0.5 < auto.any(axis=(1, 2)).sum() / len(occupied) < 2


def test_clicks_go_where_the_error_is(a_case: Any) -> None:
    clicks = importlib.import_module("clicks")
    truth = a_case.truth_kji[a_case.box.slice]
    half = truth.copy()
    middle = int(np.flatnonzero(truth.any(axis=0)).mean())
    half[:, :middle] = False
    added = clicks.next_click(a_case, half, truth)
    taken = clicks.next_click(a_case, truth, half)
    assert added.positive
    assert not taken.positive
    assert added.ijk == taken.ijk
    assert added.ijk[0] < middle


def test_weights_are_chosen_by_subjects_that_were_kept_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    kept_apart = importlib.import_module("kept_apart")
    write_labelled(tmp_path / "tr_mr_sts012", "GTV")
    write_labelled(tmp_path / "tr_mr_sts003", "learnt from")
    write_labelled(tmp_path / "tr_mr_hippocampus_011", "hippocampus")
    write_labelled(tmp_path / "tr_lab_synthseg_15", "SynthSeg/FreeSurfer label 10")
    (tmp_path / "tr_lab_synthseg_15" / "image.nii.gz").unlink()
    seen = []
    monkeypatch.setattr(kept_apart, "score", lambda case, backend: seen.append(case) or exact(case))
    monkeypatch.setattr(sys, "argv", ["kept_apart.py", str(tmp_path), "embedded"])
    assert kept_apart.main() == 0
    assert [case.name for case in seen].count("GTV") == 5
    assert "learnt from" not in {case.name for case in seen}
    assert capsys.readouterr().out.splitlines()[-1].count("1.000, 1.000") == 4
    brains = [np.median(case.volume.voxels_kji[case.truth_kji]) for case in seen if "synthseg" in str(case.image)]
    assert brains == pytest.approx([680, 422, 680, 422], abs=50)
    shapes = {case.volume.shape_kji for case in seen if "synthseg" in str(case.image)}
    assert shapes == {SHAPE_KJI, (SHAPE_KJI[2], SHAPE_KJI[0], SHAPE_KJI[1])}


def write_labelled(folder: Path, name: str) -> None:
    image, labels = ellipsoid(1)
    folder.mkdir()
    sitk.WriteImage(in_space(image), str(folder / "image.nii.gz"))
    sitk.WriteImage(in_space(labels), str(folder / "label.nii.gz"))
    meta = {"id": folder.name, "modality": "MR", "dim": 3, "structures": {name: {"label": 1}}}
    (folder / "meta.json").write_text(json.dumps(meta))


def exact(case: Any) -> Any:
    return importlib.import_module("dice").scored(case, case.truth_kji, case.truth_kji)
