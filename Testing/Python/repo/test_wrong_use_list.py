"""`docs/wrong-use.md` names tests that there are."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_test_in_the_list_is_there():
    named = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "wrong-use.md").read_text(encoding="utf-8"))
    there = set()
    for file in (ROOT / "Testing" / "Python").rglob("test_*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        there |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert len(named) > 40
    assert [name for name in named if name not in there] == []


def test_every_case_has_a_test():
    rows = re.findall(r"^\| (?!what happens|---)(.+)\|$", (ROOT / "docs" / "wrong-use.md").read_text("utf-8"), re.M)
    assert len(rows) > 15
    assert [row for row in rows if "`test_" not in row] == []
