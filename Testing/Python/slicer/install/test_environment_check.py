"""What is reported of a Python, from what it found out by computing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "MedSAM2Slicer"
ON_CPU = {"medsam2_check": 1, "torch": "2.13.0+cu128", "cuda": "12.8", "device": "cpu", "title": "CPU, 1 thread"}


@pytest.fixture
def report(computer):
    """``report({...}, backend="", exitCode=0)`` of a machine with an NVIDIA GPU."""
    from MedSAM2SlicerLib.CommandRun import CommandEnd
    from MedSAM2SlicerLib.EnvironmentCheck import readReport

    computer.be(hasNvidia=True)

    def read(found, backend="", **more):
        output = found if isinstance(found, str) else "a warning of torch\n" + json.dumps(found)
        return readReport(CommandEnd(0, output, output, **more), computer.describe(), backend)

    return read


def test_a_gpu_that_computes_is_named(report):
    found = report({**ON_CPU, "device": "cuda", "title": "GPU NVIDIA RTX A4000"})
    assert found.isUsable
    assert found.sentence == "Ready: GPU NVIDIA RTX A4000 (PyTorch 2.13.0+cu128)."


@pytest.mark.parametrize(
    ("findings", "says"),
    [
        ({"fault": "cuda: CUDA error: no kernel image is available for execution on the device"},
         "CPU: the CUDA build does not support this GPU."),
        ({"cuda_fault": "The NVIDIA driver on your system is too old (found version 11040)."},
         "CPU: the NVIDIA driver is too old"),
        ({"fault": "cuda: CUDA out of memory. Tried to allocate"}, "CPU: the GPU has no free memory."),
        ({"fault": "cuda: unspecified launch failure"}, "CPU: the GPU failed (cuda: unspecified launch failure)."),
        ({"cuda": None}, "CPU: this PyTorch was built without CUDA."),
        ({}, "CPU: PyTorch does not see the NVIDIA GPU."),
    ],
)  # fmt: skip
def test_a_gpu_that_is_not_used_is_explained(report, findings, says):
    found = report({**ON_CPU, **findings})
    assert found.isUsable
    assert says in found.sentence


def test_a_cpu_that_was_chosen_needs_no_explanation(report):
    assert report({**ON_CPU, "cuda": None}, backend="cpu").sentence == "Ready: CPU, 1 thread (PyTorch 2.13.0+cu128)."


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ({"medsam2_check": 1, "missing": ["torch"]}, "lacks torch"),
        ({"medsam2_check": 1, "too_old": True, "python": "3.9.18"}, "Python 3.9.18; the engine needs 3.10"),
        ({"medsam2_check": 1, "broken": "torch: libfoo.so: cannot open"}, "cannot load a package (torch: libfoo.so"),
        ("Traceback\nImportError: no module named medsam2_engine", "no module named medsam2_engine"),
        ("", "it wrote nothing"),
    ],
)
def test_a_python_that_cannot_run_the_engine_is_said(report, found, says):
    result = report(found)
    assert not result.isUsable
    assert says in result.sentence


def test_windows_without_its_runtime_library_is_told_where_to_get_it(report, computer):
    computer.be(system="win32")
    found = report({"medsam2_check": 1, "broken": "torch: [WinError 126] Error loading c10.dll"})
    assert "vc_redist" in found.sentence


def test_a_python_that_crashes_is_said(report):
    assert "crashed" in report("", hasCrashed=True).sentence


@pytest.mark.slow
def test_the_real_engine_answers_from_this_python(computer):
    """No imitation: the interpreter of the tests has PyTorch."""
    computer.installer.useExisting(sys.executable)
    outcome = computer.finish()
    assert (outcome.kind, outcome.sentence.startswith("Ready")) == ("checked", True), outcome
