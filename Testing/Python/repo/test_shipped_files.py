"""Slicer ships the files that MedSAM2Slicer/CMakeLists.txt lists; nothing in the tree may be forgotten there."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "MedSAM2Slicer"
PACKAGES = ("medsam2_protocol", "medsam2_engine")


def listed(variable):
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    entries = re.search(rf"^set\({variable}\n(.*?)^  \)", text, re.M | re.S).group(1).split()
    assert len(entries) == len(set(entries)), f"{variable} lists a file twice"
    return set(entries)


def in_the_tree():
    files = {path.relative_to(MODULE).as_posix() for path in MODULE.rglob("*") if path.is_file()}
    return {file for file in files if "__pycache__" not in file and file != "CMakeLists.txt"}


def test_every_script_is_listed_and_every_listed_script_exists():
    assert listed("MODULE_PYTHON_SCRIPTS") == {file for file in in_the_tree() if file.endswith(".py")}


def test_every_resource_is_listed_and_every_listed_resource_exists():
    assert listed("MODULE_PYTHON_RESOURCES") == {file for file in in_the_tree() if not file.endswith(".py")}


def test_nothing_but_the_module_itself_lies_in_its_folder():
    assert [path.name for path in MODULE.glob("*.py")] == ["MedSAM2Slicer.py"]


def test_a_slicer_run_test_is_registered_for_every_file_of_them():
    folder = ROOT / "Testing/Slicer"
    registered = set(re.findall(r"SCRIPT (\S+)", (folder / "CMakeLists.txt").read_text(encoding="utf-8")))
    assert registered == {path.name for path in folder.glob("*.py")}


def test_every_package_of_the_wheel_is_declared():
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    declared = re.search(r"^packages = \[(.*?)\]", pyproject, re.M | re.S).group(1)
    folders = {path.parent for package in PACKAGES for path in (MODULE / package).rglob("*.py")}
    names = {folder.relative_to(MODULE).as_posix().replace("/", ".") for folder in folders}
    assert set(re.findall(r'"(.*?)"', declared)) == names | {"medsam2_engine.checkpoints"}


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory):
    """Names of everything in a wheel built from a copy of this tree, so that no leftover of a build gets in."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(MODULE, folder / "source/MedSAM2Slicer", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE.txt"):
        shutil.copy(ROOT / name, folder / "source")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder]
    subprocess.run([*command, folder / "source"], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.slow
def test_wheel_holds_protocol_engine_model_list_and_checkpoint(wheel_names):
    files = {file for file in in_the_tree() if file.startswith(PACKAGES)}
    models = {path.relative_to(MODULE / "Resources/Models").as_posix() for path in in_models()}
    assert {name for name in wheel_names if ".dist-info/" not in name} == files | {
        f"medsam2_engine/checkpoints/{name}" for name in models
    }


@pytest.mark.slow
def test_wheel_holds_the_licence_and_the_command(wheel_names):
    assert {name.partition(".dist-info/")[2] for name in wheel_names if ".dist-info/" in name} >= {
        "licenses/LICENSE.txt",
        "entry_points.txt",
    }


def in_models():
    return [path for path in (MODULE / "Resources/Models").rglob("*") if path.is_file()]
