"""The checks of `dev.py lint`, so that one green pytest says everything."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NEWER_THAN_SLICERS = "match 1:\n    case _:\n        pass\n"


def load_dev():
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    dev = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dev)
    return dev


DEV = load_dev()


@pytest.mark.parametrize("name", DEV.CHECKS)
def test_check_passes(name):
    command, variables = DEV.check_command(name, Path(sys.executable))
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "folder", ["MedSAM2Slicer/MedSAM2SlicerLib", "MedSAM2Slicer/medsam2_protocol", "Testing/Slicer"]
)
def test_ruff_refuses_newer_syntax_than_slicers_where_slicer_runs_it(folder):
    assert "invalid-syntax" in what_ruff_says_of(NEWER_THAN_SLICERS, f"{folder}/New.py")


@pytest.mark.parametrize("folder", ["Testing", "Testing/Python/repo", "Testing/Screenshots", "Testing/slicerhost"])
def test_ruff_lets_the_other_tests_be_newer(folder):
    assert "invalid-syntax" not in what_ruff_says_of(NEWER_THAN_SLICERS, f"{folder}/New.py")


def what_ruff_says_of(source, file):
    command = [Path(sys.executable).parent / "ruff", "check", "--stdin-filename", file, "-"]
    return subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True).stdout


def test_python_3_9_is_checked_wherever_slicer_runs_our_code():
    assert "Testing/Slicer" in DEV.HOST_SOURCES
    assert all((ROOT / source).exists() for source in DEV.HOST_SOURCES)


def test_pre_commit_runs_every_check_and_downloads_nothing():
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    for name in DEV.CHECKS:
        assert f"entry: python3 dev.py lint {name}\n" in text
    assert text.count("- repo:") == text.count("- repo: local") == 1
    assert "additional_dependencies" not in text


def test_pre_commit_accepts_its_configuration():
    command = [sys.executable, "-m", "pre_commit", "validate-config", ROOT / ".pre-commit-config.yaml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
