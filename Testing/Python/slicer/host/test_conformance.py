"""The host against what real PythonQt, CTK and qMRMLWidgets answered (Slicer 5.8.1, Qt 5.15, Python 3.11).

The recorded answers are our own measurements. Every difference that is accepted is listed here with its reason; any
other fails, and so does a listed one that no longer exists.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

import slicerhost

CONFORMANCE = Path(slicerhost.__file__).parent / "conformance"

ACCEPTED_PYTHONQT = {
    # Stricter on purpose: PythonQt connects to nothing and says so only by its return value, or not at all.
    "connect unknown": "!UnknownSignal",
    "connect wrongsig": "!UnknownSignal",
    "connect noncallable": "!ValueError",
    # Stricter, and PySide's own: PythonQt takes an int for an enum, and a str for bytes.
    "cb.setCheckState(2)": "!TypeError",
    "proc.write str": "!TypeError",
    # PySide knows scoped enums and real subclasses; module code must not use them (the lint sees to it).
    "enum scoped": "1",
    "isinstance": "True",
    # Of Qt 5 only: Slicer moves to Qt 6.
    "qt.QRegExp": "!AttributeError",
    "qt.QTextCodec": "!AttributeError",
    "qt.QDesktopWidget": "!AttributeError",
    # PythonQt does not wrap QThread (the lint forbids it) and has a decorator Slot of no use.
    "qt.QThread": "True",
    "qt.Slot": "!AttributeError",
    # A list is as good as a tuple.
    "children()": "'list'",
}
ACCEPTED_QMRML = {
    # The real box notices a flag set after the node was added only at the next change; nobody should count on it.
    "hidden node": "1",
}


def test_qt_and_ctk_answer_as_recorded(app: Any) -> None:
    answers = _answers_of("pythonqt_facts", "ctk_facts")
    assert _differences(answers, "golden_pythonqt_ctk_581.tsv") == ACCEPTED_PYTHONQT


def test_qmrml_widgets_answer_as_recorded(app: Any) -> None:
    answers = _answers_of("qmrml_facts")
    assert _differences(answers, "golden_qmrml_581.tsv") == ACCEPTED_QMRML


@pytest.fixture(autouse=True)
def expected_slot_errors() -> Any:
    """One question is what an exception in a slot does."""
    yield
    slicerhost.slot_errors.clear()


def _answers_of(*scripts: str) -> dict[str, str]:
    sys.path.insert(0, str(CONFORMANCE))
    try:
        answers = _module("answers").Answers()
        for script in scripts:
            _module(script).ask_all(answers.ask)
    finally:
        sys.path.remove(str(CONFORMANCE))
    return answers.by_name


def _module(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, CONFORMANCE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _differences(answers: dict[str, str], recorded_file: str) -> dict[str, str]:
    """Our answer wherever it is not the recorded one, for exactly the recorded questions."""
    lines = (CONFORMANCE / recorded_file).read_text(encoding="utf-8").splitlines()
    recorded = dict(line.split("\t", 1) for line in lines)
    assert set(answers) == set(recorded)
    return {name: answer for name, answer in answers.items() if answer != recorded[name]}
