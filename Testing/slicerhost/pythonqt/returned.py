"""PythonQt rule: a value that Qt's type system does not know and that has no default constructor cannot be returned.

The call is made and ends in a ValueError (PythonQtSlot.cpp, PythonQtCallSlot). Of what Slicer's ``qt`` wraps for
widgets that is font metrics and font information: ``qt.QFontMetrics(widget.font)`` takes their place.
"""

from collections.abc import Callable
from typing import Any

from PySide6 import QtGui, QtWidgets

_UNRETURNABLE = {
    "fontMetrics": ("QFontMetrics", (QtWidgets.QWidget, QtWidgets.QApplication, QtGui.QPainter)),
    "fontInfo": ("QFontInfo", (QtWidgets.QWidget, QtGui.QPainter)),
}


def refuse_unreturnable_values() -> None:
    """Change PySide's classes for the whole process; Qt itself goes on calling its own."""
    for name, (type_name, classes) in _UNRETURNABLE.items():
        for cls in classes:
            setattr(cls, name, _refusing(name, type_name))


def _refusing(name: str, type_name: str) -> Callable[..., None]:
    def refuse(*_arguments: Any) -> None:
        raise ValueError(f"Called {name}, return type '{type_name}' is ignored because it is unknown to PythonQt")

    return refuse
