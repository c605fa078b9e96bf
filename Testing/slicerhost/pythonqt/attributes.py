"""PythonQt rules for reading and setting attributes of a wrapped object.

Reading, in this order: class attributes and properties; enum values (``process.NotRunning``, golden line
``enum inst``); dynamic properties; children by object name (golden lines ``dyn attr read``, ``child by name``).

Setting, on an object whose class is not derived in Python (PythonQtInstanceWrapper): a property is set, a dynamic
property is set, everything else is an AttributeError, as is overwriting a slot or signal (golden lines ``btn.foo=1``,
``btn.clicked=1``, ``btn.setText=1``). A class derived in Python takes any attribute (golden line ``derived.foo``).

Constructors take no keyword arguments (golden line ``btn.text kw``), ``name`` is the object name, and ``className()``
and ``delete()`` exist.

Shiboken looks up ``connect`` and ``disconnect`` inside its C ``getattr``, and several classes have their own slot for
it, so ``__getattribute__`` and ``__setattr__`` are replaced wherever a class defines them. The host itself is let
through: it needs PySide's own signals, and its widgets keep Python state although modules see plain C++ objects.
"""

import sys
import types
from typing import Any

import shiboken6
from PySide6 import QtCore

from . import signals
from .classes import is_bound_signal

_object_name = QtCore.QObject.objectName
_set_object_name = QtCore.QObject.setObjectName
_get_attribute = QtCore.QObject.__getattribute__


def lay_attribute_rules(classes: list[type[QtCore.QObject]]) -> None:
    """Change PySide's classes (base classes first) to these rules; call once, after the properties are laid."""
    for cls in classes:
        if "__init__" in vars(cls):
            _refuse_keyword_arguments(cls)
    for cls in reversed(classes):
        if "__getattribute__" in vars(cls):
            _wrap_reading(cls)
    for cls in reversed(classes):
        # QObject itself keeps its C slot: CPython refuses to replace it under existing subclasses (hackcheck).
        if cls is not QtCore.QObject and "__setattr__" in vars(cls):
            _wrap_setting(cls)
    QtCore.QObject.__getattr__ = _dynamic_attribute
    QtCore.QObject.name = property(_object_name, _set_object_name)
    QtCore.QObject.className = lambda self: self.metaObject().className()
    QtCore.QObject.delete = lambda self: shiboken6.delete(self)


def object_name(qobject: QtCore.QObject) -> str:
    """The object name, whatever has been laid over it."""
    return _object_name(qobject)


def _called_by_host(depth: int = 2) -> bool:
    return sys._getframe(depth).f_globals.get("__name__", "").startswith("slicerhost")


def _refuse_keyword_arguments(cls: type[QtCore.QObject]) -> None:
    construct = cls.__init__

    def __init__(self: QtCore.QObject, *arguments: Any, **keywords: Any) -> None:
        if keywords:
            raise ValueError(f"{cls.__name__}: PythonQt takes no keyword arguments: {sorted(keywords)}")
        construct(self, *arguments)

    cls.__init__ = __init__


def _wrap_reading(cls: type[QtCore.QObject]) -> None:
    read = cls.__getattribute__

    def __getattribute__(self: QtCore.QObject, name: str) -> Any:
        if name == "connect":
            return types.MethodType(signals.connect, self)
        if name == "disconnect":
            return types.MethodType(signals.disconnect, self)
        value = read(self, name)
        if is_bound_signal(value) and not _called_by_host():
            return signals.BoundSignal(self, name, value)
        return value

    cls.__getattribute__ = __getattribute__


def _dynamic_attribute(self: QtCore.QObject, name: str) -> Any:
    """Called when the normal look-up found nothing."""
    if not name.startswith("_"):
        if hasattr(type(self), name):
            return getattr(type(self), name)
        if name in _dynamic_property_names(self):
            return self.property(name)
        for child in _get_attribute(self, "children")():
            if _object_name(child) == name:
                return child
    raise AttributeError(f"{type(self).__name__} has no attribute named '{name}'")


def _dynamic_property_names(self: QtCore.QObject) -> list[str]:
    return [bytes(name).decode() for name in _get_attribute(self, "dynamicPropertyNames")()]


def _wrap_setting(cls: type[QtCore.QObject]) -> None:
    plain_set = QtCore.QObject.__setattr__

    def __setattr__(self: QtCore.QObject, name: str, value: Any) -> None:
        if not _is_wrapper_class(type(self)) or name.startswith("_host") or is_bound_signal(value):
            plain_set(self, name, value)
            return
        existing = getattr(type(self), name, None)
        if hasattr(type(existing), "__set__") or type(existing).__name__ == "Property":
            plain_set(self, name, value)
        elif existing is not None:
            raise AttributeError(f"Slot/Signal/Enum '{name}' can not be overwritten on {type(self).__name__} object")
        elif name in _dynamic_property_names(self):
            self.setProperty(name, value)
        elif _called_by_host():
            plain_set(self, name, value)
        else:
            raise AttributeError(
                f"'{name}' does not exist on {type(self).__name__} and creating new attributes on C++ objects "
                "is not allowed"
            )

    cls.__setattr__ = __setattr__


def _is_wrapper_class(cls: type[QtCore.QObject]) -> bool:
    """Whether a module sees this class as C++: PySide's own classes and the host's home-made ones."""
    return cls.__module__.startswith("PySide6.") or getattr(cls, "stands_for_cpp", False)
