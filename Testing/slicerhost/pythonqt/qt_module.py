"""Builds the module ``qt``: PySide6's classes under PythonQt's conventions.

PythonQt's wrapper differs from Qt in a few names of its own; they are made here. Names that Slicer 5.8 has only
because it is built on Qt 5 (QRegExp, QTextCodec, QDesktopWidget) are left out: Slicer moves to Qt 6.
"""

import sys
import types
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from .. import errors
from .attributes import lay_attribute_rules
from .classes import public_names, qobject_classes
from .properties import lay_properties
from .returned import refuse_unreturnable_values
from .signals import as_slot
from .ui_loader import QUiLoader

PYSIDE_ONLY = ("Slot", "Property", "QEnum", "QFlag", "ClassInfo", "SIGNAL", "SLOT")
PYTHONQT_PACKAGES = ("QtCore", "QtGui", "QtWidgets", "QtUiTools", "QtNetwork", "QtSvg", "QtMultimedia")


def build() -> types.ModuleType:
    """The module ``qt``. Changes PySide6's classes for the whole process: once is enough."""
    classes = qobject_classes()
    lay_properties(classes)
    lay_attribute_rules(classes)
    refuse_unreturnable_values()
    QtCore.QTimer.singleShot = _SingleShot()
    for cls in (QtWidgets.QDialog, QtWidgets.QApplication, QtWidgets.QMenu, QtCore.QEventLoop, QtGui.QDrag):
        if not hasattr(cls, "exec_"):
            cls.exec_ = cls.exec
    qt = types.ModuleType("qt", __doc__)
    qt.__dict__.update({name: thing for name, thing in public_names().items() if name not in PYSIDE_ONLY})
    qt.QUiLoader = QUiLoader
    _register_pythonqt_packages(qt)
    return qt


def _register_pythonqt_packages(qt: types.ModuleType) -> None:
    """``from PythonQt.QtGui import X``, PythonQt's own spelling."""
    package = types.ModuleType("PythonQt")
    package.__path__ = []
    sys.modules["PythonQt"] = package
    for name in PYTHONQT_PACKAGES:
        setattr(package, name, qt)
        sys.modules["PythonQt." + name] = qt


class _SingleShot:
    """``QTimer.singleShot``: a static method on the class, a bool property on a timer, as in Slicer's qt.

    Golden lines ``QTimer.singleShot static`` and ``timer.singleShot=``.
    """

    def __get__(self, timer: QtCore.QTimer | None, cls: type) -> Callable[..., None]:
        return _fire_once

    def __set__(self, timer: QtCore.QTimer, value: Any) -> None:
        timer.setSingleShot(bool(value))


def _fire_once(delay_ms: float, target: Any, member: str | None = None) -> None:
    slot = as_slot(target, member)
    timer = QtCore.QTimer(QtCore.QCoreApplication.instance())
    timer.setSingleShot(True)

    def fire() -> None:
        errors.call_slot(slot)
        timer.deleteLater()

    timer.timeout.connect(fire)
    timer.start(int(delay_ms))
