"""The protocol runs inside Slicer 5.8, whose Python is 3.9."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "MedSAM2Slicer" / "medsam2_protocol"
ROUND_TRIP = """
from medsam2_protocol.client import EngineClient
from medsam2_protocol.masks import MaskRegion
from medsam2_protocol.messages import Message, Predict, Propagate, Window
from medsam2_protocol.prompts import BoxPrompt, MaskPrompt, PointPrompt, SegmentPrompts
from medsam2_protocol.tagged import from_json, to_json

region = MaskRegion((3, 0, 0), (1, 2, 4), "/w==")
prompts = (BoxPrompt("K", 3, (1, 2), (4, 5)), PointPrompt((1.5, 2, 3), False), MaskPrompt("K", 3, region))
segment = SegmentPrompts("s1", prompts, (MaskPrompt("K", 3, region),))
for message in (
    Predict("r1", "v1", segment, "K", 3, window=Window(-160, 240)),
    Propagate("r2", "v1", (segment,), "K"),
    Propagate("r3", "v1", (segment,), "K", 0, 9, corrected=3, policy="gated"),
):
    assert from_json(to_json(message), Message) == message
assert region.voxels().all()
"""


@pytest.fixture
def python39() -> str:
    """MEDSAM2_TEST_PYTHON39, or python3.9 of the search path; with numpy."""
    found = os.environ.get("MEDSAM2_TEST_PYTHON39") or shutil.which("python3.9")
    if not found:
        pytest.skip("there is no Python 3.9 here")
    has_numpy = subprocess.run([found, "-c", "import numpy"], capture_output=True, timeout=60)
    if has_numpy.returncode:
        pytest.skip(f"{found} does not run, or has no numpy")
    return found


@pytest.mark.parametrize("source", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_the_syntax_is_python_3_9(source: Path) -> None:
    ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 9))


@pytest.mark.parametrize("source", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_field_types_can_be_evaluated_by_python_3_9(source: Path) -> None:
    """`int | None` in a dataclass is evaluated when a message is read, future import or not."""
    classes = [
        node for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if isinstance(node, ast.ClassDef)
    ]
    dataclasses = [node for node in classes if any("dataclass" in ast.unparse(d) for d in node.decorator_list)]
    fields = [field for node in dataclasses for field in node.body if isinstance(field, ast.AnnAssign)]
    assert [ast.unparse(field) for field in fields if isinstance(field.annotation, ast.BinOp)] == []


def test_messages_survive_the_wire_in_python_3_9(python39: str) -> None:
    environment = {"PYTHONPATH": str(PACKAGE.parent), "PATH": os.environ.get("PATH", "")}
    done = subprocess.run([python39, "-c", ROUND_TRIP], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
