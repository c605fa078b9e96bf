"""Every text for people can be found by Slicer's translation script, and translated without losing its numbers."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
MODULE = ROOT / "MedSAM2Slicer"
SOURCES = [MODULE / "MedSAM2Slicer.py", *sorted((MODULE / "MedSAM2SlicerLib").glob("*.py"))]


def calls_of_tr(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "_"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_translated_texts_are_single_literals_with_named_placeholders(path):
    for call in calls_of_tr(path):
        (argument,) = call.args
        assert isinstance(argument, ast.Constant), f"{path.name}:{call.lineno} is no literal"
        assert isinstance(argument.value, str)
        placeholders = re.findall(r"\{([^{}]*)\}", argument.value)
        nameless = [name for name in placeholders if not re.match(r"[a-zA-Z_]", name)]
        assert nameless == [], f"{path.name}:{call.lineno} has a placeholder without a name"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_translation_script_sees_every_text(path):
    """It reads the sources with a pattern: strings right behind the bracket, and nothing but space after them."""
    text = path.read_text(encoding="utf-8")
    seen = re.findall(r"[^_]_\(\s*\".+?\"\s*\)", text, flags=re.DOTALL)
    assert len(seen) == len(calls_of_tr(path))


def test_every_form_has_a_context():
    forms = list((MODULE / "Resources/UI").glob("*.ui"))
    assert forms
    for form in forms:
        assert re.search(r"<class>\w+</class>", form.read_text(encoding="utf-8")), form.name
