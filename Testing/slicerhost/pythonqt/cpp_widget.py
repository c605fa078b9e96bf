"""Declaring a home-made stand-in for a C++ widget of CTK or Slicer."""

from collections.abc import Callable
from typing import Any

from PySide6 import QtCore

from .signals import normalized

stand_ins: dict[str, type[QtCore.QObject]] = {}
"""Class name to class, for everything declared: ``ctk``, ``slicer`` and the .ui loader take them from here."""


def cpp_class(*signatures: str) -> Callable[[type], type]:
    """Class decorator: the class stands for a C++ class with these signals, beside the inherited ones.

    Its Q_PROPERTYs are ``QtCore.Property`` objects, which are attributes already. As for any C++ object a module
    cannot add attributes to it (see ``attributes``).
    """

    def declare(cls: type) -> type:
        own = {normalized(signature) for signature in signatures}
        cls.cpp_signals = frozenset(own.union(*(getattr(base, "cpp_signals", ()) for base in cls.__mro__[1:])))
        cls.stands_for_cpp = True
        stand_ins[cls.__name__] = cls
        return cls

    return declare


def stored_property(kind: Any, attribute: str, changed: str | None = None) -> QtCore.Property:
    """A Q_PROPERTY kept in ``self.<attribute>``; ``changed`` names a method to call after it was set.

    ``kind`` is bool, int, float, str or "QStringList" (read as a tuple, golden line ``pl.nameFilters``).
    """
    is_list = kind == "QStringList"

    def read(self: QtCore.QObject) -> Any:
        value = getattr(self, attribute)
        return tuple(value) if is_list else value

    def write(self: QtCore.QObject, value: Any) -> None:
        setattr(self, attribute, [str(item) for item in value] if is_list else kind(value))
        if changed is not None:
            getattr(self, changed)()

    return QtCore.Property(kind, read, write)
