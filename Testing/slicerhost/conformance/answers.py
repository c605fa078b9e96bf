"""Asking the same questions of the host and of a real Slicer.

Every script here is a list of small questions with a name each. Its answers are tab-separated lines ``name<TAB>answer``
and compare as text: ``!TypeError`` stands for an exception, a Qt object for its class name, a node for its name.
In a real Slicer: ``Slicer --no-main-window --python-script pythonqt_facts.py``; here the tests run them.
"""

from collections.abc import Callable
from typing import Any


class Answers:
    """Collects one answer per question, in the order asked."""

    def __init__(self) -> None:
        self.by_name: dict[str, str] = {}

    def ask(self, name: str, question: Callable[[], Any]) -> None:
        """Note down what ``question()`` returns or raises."""
        if name in self.by_name:
            raise ValueError(f"asked twice: {name}")
        try:
            self.by_name[name] = spelled(question())
        except BaseException as error:
            self.by_name[name] = "!" + type(error).__name__

    def lines(self) -> str:
        return "".join(f"{name}\t{answer}\n" for name, answer in self.by_name.items())


def spelled(value: Any) -> str:
    """A value as text that is the same for PythonQt and PySide."""
    if hasattr(value, "GetID"):
        return "node:" + value.GetName()
    if value is None or isinstance(value, (bool, str, bytes)):
        return repr(value)
    if isinstance(value, int):
        return repr(int(value))
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return "(" + ",".join(map(spelled, value)) + ")"
    if isinstance(value, list):
        return "[" + ",".join(map(spelled, value)) + "]"
    return type(value).__name__


def assigned(target: Any, name: str, value: Any) -> Any:
    """Set an attribute and read it again."""
    setattr(target, name, value)
    return getattr(target, name)


def after(_statement: Any, value: Any) -> Any:
    """``after(do(), look())``: two steps in one question."""
    return value
