"""Rules of the repository that no linter knows."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

DATA = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".raw", ".dcm", ".npz", ".npy", ".pt", ".pth")
PICTURES = (".png", ".jpg", ".jpeg", ".gif")
PICTURE_FOLDERS = ("Resources/", "MedSAM2Slicer/Resources/Icons/", "docs/")
# A path that starts at somebody's home or at the root of one machine, not the tail of a URL or of a longer path.
MACHINE_PATH = re.compile(r"(?<![\w.:/~*{}<>$-])/(?:home|root|Users|work|opt|mnt|srv|private)/\w|\b[A-Z]:\\Users\\")
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
LIBRARIES = ("MedSAM2Slicer/MedSAM2SlicerLib/", "MedSAM2Slicer/medsam2_protocol/", "MedSAM2Slicer/medsam2_engine/")


@pytest.fixture(scope="module")
def tracked():
    """Every tracked file that is there, relative to the root."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout, or no git")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def lines_matching(pattern, tracked):
    found = []
    for name in tracked:
        if name != Path(__file__).relative_to(ROOT).as_posix():
            text = (ROOT / name).read_bytes().decode("utf-8", "ignore")
            found += [f"{name}: {line.strip()}" for line in text.splitlines() if pattern.search(line)]
    return found


def test_no_medical_data_is_tracked(tracked):
    assert [name for name in tracked if name.lower().endswith(DATA)] == []


def test_pictures_are_icons_screenshots_or_documentation(tracked):
    pictures = [name for name in tracked if name.lower().endswith(PICTURES)]
    assert [name for name in pictures if not name.startswith(PICTURE_FOLDERS)] == []


def test_the_repository_stays_small(tracked):
    assert sum((ROOT / name).stat().st_size for name in tracked) < 20e6


def test_no_path_of_one_machine_is_written_down(tracked):
    text_files = [name for name in tracked if not name.lower().endswith((*PICTURES, ".safetensors"))]
    assert lines_matching(MACHINE_PATH, text_files) == []


def test_nothing_is_marked_as_unfinished(tracked):
    text_files = [name for name in tracked if name.endswith((".py", ".md", ".txt", ".toml", ".json", ".ui"))]
    assert lines_matching(UNFINISHED, text_files) == []


def test_library_init_files_do_nothing(tracked):
    inits = [name for name in tracked if name.startswith(LIBRARIES) and name.endswith("__init__.py")]
    statements = {name: ast.parse((ROOT / name).read_text(encoding="utf-8")).body for name in inits}
    busy = [name for name, body in statements.items() if any(not isinstance(node, ast.Expr) for node in body)]
    assert inits
    assert busy == []


def test_the_module_file_imports_neither_torch_nor_the_engine():
    imported = set()
    for node in ast.walk(ast.parse((ROOT / "MedSAM2Slicer/MedSAM2Slicer.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported.isdisjoint({"torch", "medsam2_engine"})


def test_nothing_is_unpickled(tracked):
    python = [name for name in tracked if name.endswith(".py") and name.startswith("MedSAM2Slicer/")]
    calls = [(name, call) for name in python for call in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8")))]
    assert [f"{name}:{call.lineno}" for name, call in calls if isinstance(call, ast.Call) and unpickles(call)] == []


def unpickles(call):
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    called = ast.unparse(call.func)
    unsafe_torch = called == "torch.load" and keywords.get("weights_only") != "True"
    return unsafe_torch or called.startswith("pickle.") or keywords.get("allow_pickle") == "True"
