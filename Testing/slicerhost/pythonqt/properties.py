"""PythonQt rule: a Q_PROPERTY is an attribute, and hides the method of the same name.

``label.text`` reads, ``label.text = "x"`` writes, ``label.text()`` is a TypeError, while ``setText()`` and
``isEnabled()`` stay callable (golden lines ``label.text``, ``label.text()``, ``label.setText``, ``btn.isEnabled()``).
The properties are laid on the PySide classes once, from each class's own meta object. PySide's ``true_property``
cannot be used: it removes ``setText`` and ``isEnabled``.
"""

from collections.abc import Callable, Iterator
from typing import Any

import shiboken6
from PySide6 import QtCore

from .classes import is_signal

_NUMBERS = ("int", "uint", "double")


class QtProperty(property):
    """A Python property that stands for a Q_PROPERTY; the type marks the ones laid here."""


def lay_properties(classes: list[type[QtCore.QObject]]) -> None:
    """Give every class (base classes first) its Q_PROPERTYs as attributes."""
    for cls in classes:
        for meta_property in _own_properties(cls):
            if not is_signal(getattr(cls, meta_property.name(), None)):
                setattr(cls, meta_property.name(), _as_attribute(cls, meta_property))
    for cls in classes:
        _uncover_inherited(cls)


def converted(value: Any, type_name: str, refusal: str) -> Any:
    """``value`` as PythonQt turns it into a property of C++ type ``type_name``.

    Anything becomes a QString (None becomes 'None') or a bool; a number must come as a number and an int property
    cuts its fraction (golden lines ``label.text=None``, ``btn.enabled='x'``, ``sp.value=7.6``, ``sp.value='8'``).
    Raises AttributeError, with the text ``refusal``, for what PythonQt refuses.
    """
    if type_name == "QString":
        return value if isinstance(value, str) else str(value)
    if type_name == "bool":
        return bool(value)
    if type_name in _NUMBERS and not isinstance(value, (int, float)):
        raise AttributeError(refusal)
    if type_name == "int" and isinstance(value, float):
        return int(value)
    return value


def _own_properties(cls: type[QtCore.QObject]) -> Iterator[QtCore.QMetaProperty]:
    meta_object = cls.staticMetaObject
    for index in range(meta_object.propertyOffset(), meta_object.propertyCount()):
        yield meta_object.property(index)


def _as_attribute(cls: type[QtCore.QObject], meta_property: QtCore.QMetaProperty) -> QtProperty:
    name, type_name, writable = meta_property.name(), meta_property.typeName(), meta_property.isWritable()
    capitalised = name[0].upper() + name[1:]
    read = _getter(cls, name, capitalised)
    write = getattr(cls, "set" + capitalised, None)

    def fget(self: QtCore.QObject) -> Any:
        if not shiboken6.isValid(self):
            raise ValueError(f"Trying to read property '{name}' from a destroyed {cls.__name__} object")
        if read is not None:
            try:
                return read(self)
            except TypeError:  # an overload that wants arguments: ask Qt for the property instead
                pass
        return self.property(name)

    def fset(self: QtCore.QObject, value: Any) -> None:
        if not writable:
            raise AttributeError(f"Property '{name}' of {type(self).__name__} object is not writable")
        refusal = (
            f"Property '{name}' of type '{type_name}' does not accept an object of type "
            f"{type(value).__name__} ({value!r})"
        )
        value = converted(value, type_name, refusal)
        if not _written(self, write, value) and not self.setProperty(name, value):
            raise AttributeError(refusal)

    return QtProperty(fget, fset)


def _getter(cls: type[QtCore.QObject], name: str, capitalised: str) -> Callable[..., Any] | None:
    for candidate in (name, "is" + capitalised, "has" + capitalised, "get" + capitalised):
        method = getattr(cls, candidate, None)
        if callable(method) and not is_signal(method):
            return method
    return None


def _written(target: QtCore.QObject, write: Callable[..., Any] | None, value: Any) -> bool:
    """Whether the setter took ``value``, or took it as an int (QVariant turns a double into one)."""
    attempts = [value, int(value)] if isinstance(value, float) else [value]
    for attempt in attempts:
        try:
            if write is not None:
                write(target, attempt)
                return True
        except (TypeError, OverflowError):
            continue
    return False


def _uncover_inherited(cls: type[QtCore.QObject]) -> None:
    """Where ``cls`` overrides an inherited property's C++ getter, the method would hide the property again."""
    for base in cls.__mro__[1:]:
        for name, inherited in list(vars(base).items()):
            own = vars(cls).get(name)
            is_method = own is not None and not isinstance(own, property) and not is_signal(own)
            if isinstance(inherited, QtProperty) and is_method:
                setattr(cls, name, inherited)
