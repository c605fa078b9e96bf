"""The Qt classes the host wraps: every public name of the PySide6 modules that Slicer's ``qt`` is made of."""

from typing import Any

from PySide6 import QtCore, QtGui, QtNetwork, QtUiTools, QtWidgets

QT_MODULES = (QtCore, QtGui, QtWidgets, QtUiTools, QtNetwork)


def public_names() -> dict[str, Any]:
    """Name to object; where two modules share a name the first one wins, as in Slicer's flat ``qt``."""
    names: dict[str, Any] = {}
    for module in QT_MODULES:
        for name in dir(module):
            if not name.startswith("_"):
                names.setdefault(name, getattr(module, name))
    return names


def qobject_classes() -> list[type[QtCore.QObject]]:
    """QObject and all its wrapped subclasses, base classes first."""
    found = {c for c in public_names().values() if isinstance(c, type) and issubclass(c, QtCore.QObject)}
    return sorted(found, key=lambda cls: (len(cls.__mro__), cls.__name__))


def is_signal(thing: Any) -> bool:
    """Whether a class attribute is a Qt signal.

    By name: ``isinstance(x, QtCore.Signal)`` drops a reference to False with every call (PySide6 6.8 to 6.12).
    """
    return type(thing).__name__ == "Signal"


def is_bound_signal(thing: Any) -> bool:
    """Whether an instance attribute is PySide's own bound signal."""
    return type(thing).__name__ == "SignalInstance"
