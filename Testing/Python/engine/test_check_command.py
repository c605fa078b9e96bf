"""`medsam2 check`: one line of JSON for the host."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from medsam2_engine import check_command

PACKAGES = Path(check_command.__file__).parents[1]


def answer(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    (line,) = capsys.readouterr().out.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_a_python_with_everything_names_its_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_command.main([]) == 0
    assert {"medsam2_check", "python", "torch", "cuda", "device", "title"} <= set(answer(capsys))


def test_a_missing_package_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nrrd" else find(name))
    assert check_command.main([]) == 1
    assert answer(capsys)["missing"] == ["nrrd"]


def test_a_library_that_cannot_be_loaded_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise OSError("[WinError 126] Error loading c10.dll\nmore")

    monkeypatch.setattr(importlib, "import_module", fail)
    assert check_command.main([]) == 1
    assert answer(capsys)["broken"] == "numpy: [WinError 126] Error loading c10.dll"


@pytest.mark.parametrize("version", ["3.8", "3.9"])
def test_an_old_python_says_that_it_is_too_old(version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True, timeout=60).returncode:
        pytest.skip(f"there is no Python {version} here")
    command = [python, "-m", "medsam2_engine", "check"]
    done = subprocess.run(command, env={"PYTHONPATH": str(PACKAGES)}, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["too_old"] is True
