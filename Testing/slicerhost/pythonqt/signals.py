"""PythonQt rules for signals: string connects, and ``obj.clicked`` as an object of its own.

* ``obj.connect("clicked(bool)", f)`` and ``obj.disconnect(...)`` return a bool. A plain function gets as many
  arguments as it has positional parameters, any other callable gets all (PythonQtSignalReceiver; golden line
  ``click order``). ``obj.connect(signal, receiver, "slot()")`` is the C++ form.
* ``obj.clicked.connect(f)`` returns True and calling ``obj.clicked()`` emits it (golden line ``emit via call``).
* An exception in a slot is printed and the emitter goes on (golden line ``exc in slot``); see ``errors``.

Stricter than PythonQt, on purpose: an unknown signal or a target that cannot be called raises here, where PythonQt
returns False or, for the target, even True (golden lines ``connect unknown``, ``connect noncallable``).
"""

import contextlib
import inspect
import types
from collections.abc import Callable
from typing import Any, NamedTuple

from PySide6 import QtCore

from .. import errors
from .classes import is_bound_signal

_SIGNAL = QtCore.QMetaMethod.MethodType.Signal


class UnknownSignal(ValueError):
    """The object has no signal of that C++ signature."""


class Connection(NamedTuple):
    """One connection made from Python: what was asked for, and what PySide was given for it."""

    signature: str
    slot: Callable[..., Any]
    guard: Callable[..., Any]
    bound_signal: Any


def normalized(signature: str) -> str:
    """A C++ signature as Qt spells it: no spaces, no const reference."""
    return bytes(QtCore.QMetaObject.normalizedSignature(signature)).decode()


def signatures(cls_or_object: Any) -> frozenset[str]:
    """All signal signatures of a QObject class or object, in C++ spelling.

    Home-made widgets declare theirs (``cpp_signals``): PySide would call every MRML node a PyObject.
    """
    declared = getattr(cls_or_object, "cpp_signals", frozenset())
    declared_names = {signature.partition("(")[0] for signature in declared}
    meta_object = cls_or_object.staticMetaObject
    native = {normalized(_signature(m)) for m in _signal_methods(meta_object)}
    return declared | {s for s in native if s.partition("(")[0] not in declared_names}


def connect(sender: QtCore.QObject, signature: str, target: Any, member: str | None = None) -> bool:
    """``sender.connect("signal(types)", callable)``, or with ``receiver, "slot(types)"``."""
    signature = normalized(signature)
    bound_signal = _find(sender, signature)
    slot = as_slot(target, member)
    guard = _guarded(slot, 0 if signature.endswith("()") else _accepted_arguments(slot))
    bound_signal.connect(guard)
    _connections(sender).append(Connection(signature, slot, guard, bound_signal))
    return True


def disconnect(sender: QtCore.QObject, signature: str | None = None, target: Any = None, member=None) -> bool:
    """Undo ``connect``; without target or signature everything that fits. False when nothing did."""
    slot = None if target is None else as_slot(target, member)
    wanted = None if signature is None else normalized(signature)
    return _drop(sender, lambda c: wanted in (None, c.signature) and (slot is None or c.slot == slot))


class BoundSignal:
    """What PythonQt gives for ``obj.clicked``."""

    def __init__(self, sender: QtCore.QObject, name: str, pyside_signal: Any) -> None:
        self._sender = sender
        self._name = name
        self._pyside_signal = pyside_signal

    def connect(self, target: Any, member: str | None = None) -> bool:
        slot = as_slot(target, member)
        guard = _guarded(slot, _accepted_arguments(slot))
        overload = self._overload()
        overload.connect(guard)
        _connections(self._sender).append(Connection(self._name, slot, guard, overload))
        return True

    def disconnect(self, target: Any = None) -> bool:
        slot = None if target is None else as_slot(target, None)

        def fits(connection: Connection) -> bool:
            return connection.signature.partition("(")[0] == self._name and (slot is None or connection.slot == slot)

        return _drop(self._sender, fits)

    def emit(self, *arguments: Any) -> None:
        try:
            self._overload().emit(*arguments)
        except TypeError:
            self._pyside_signal.emit(*arguments)

    __call__ = emit

    def _overload(self) -> Any:
        """The variant with most parameters, so that a slot may ask for them; PySide picks the first declared."""
        if getattr(type(self._sender), "cpp_signals", None) is not None:
            return self._pyside_signal
        variants = [m for m in _signal_methods(self._sender.metaObject()) if _name(m) == self._name]
        if variants:
            arguments = _signature(max(variants, key=lambda m: m.parameterCount())).partition("(")[2].rstrip(")")
            if arguments and "," not in arguments:
                return _variant(self._pyside_signal, arguments)
        return self._pyside_signal


def _find(sender: QtCore.QObject, signature: str) -> Any:
    """PySide's bound signal for a normalized C++ signature; raises UnknownSignal."""
    name, _, arguments = signature.partition("(")
    declared = getattr(type(sender), "cpp_signals", frozenset())
    if name in {d.partition("(")[0] for d in declared}:
        if signature not in declared:
            raise UnknownSignal(f"{type(sender).__name__} has no signal '{signature}' (has {sorted(declared)})")
        return _variant(getattr(sender, name), arguments.rstrip(")"))
    meta_object = sender.metaObject()
    if meta_object.indexOfSignal(signature) < 0:
        raise UnknownSignal(f"{meta_object.className()} has no signal '{signature}'")
    overloads = [m for m in _signal_methods(meta_object) if _name(m) == name]
    bound_signal = getattr(sender, name)
    return _variant(bound_signal, arguments.rstrip(")")) if len(overloads) > 1 and arguments != ")" else bound_signal


def _variant(bound_signal: Any, arguments: str) -> Any:
    """``signal[int]``; PySide keeps some variants to itself and then has only one that matters."""
    try:
        return bound_signal[tuple(arguments.split(","))] if "," in arguments else bound_signal[arguments]
    except (KeyError, IndexError):
        return bound_signal


def _signal_methods(meta_object: QtCore.QMetaObject) -> list[QtCore.QMetaMethod]:
    methods = (meta_object.method(index) for index in range(meta_object.methodCount()))
    return [method for method in methods if method.methodType() == _SIGNAL]


def _signature(method: QtCore.QMetaMethod) -> str:
    return bytes(method.methodSignature()).decode()


def _name(method: QtCore.QMetaMethod) -> str:
    return bytes(method.name()).decode()


def as_slot(target: Any, member: str | None) -> Callable[..., Any]:
    if member is not None:
        target = getattr(target, normalized(member).partition("(")[0])
    if isinstance(target, BoundSignal) or is_bound_signal(target):
        target = target.emit
    if not callable(target):
        raise ValueError(f"connect: {target!r} cannot be called")
    return target


def _accepted_arguments(slot: Callable[..., Any]) -> int | None:
    """Positional parameters of a Python function or method; None (all of them) for any other callable."""
    bound = isinstance(slot, types.MethodType)
    function = slot.__func__ if bound else slot
    if not isinstance(function, types.FunctionType):
        return None
    code = function.__code__
    if code.co_flags & inspect.CO_VARARGS:
        return None
    return code.co_argcount - (1 if bound else 0)


def _guarded(slot: Callable[..., Any], accepted: int | None) -> Callable[..., Any]:
    return lambda *arguments: errors.call_slot(slot, *arguments[:accepted])


def _connections(sender: QtCore.QObject) -> list[Connection]:
    return sender.__dict__.setdefault("_host_connections", [])


def _drop(sender: QtCore.QObject, fits: Callable[[Connection], bool]) -> bool:
    dropped = [connection for connection in _connections(sender) if fits(connection)]
    for connection in dropped:
        with contextlib.suppress(RuntimeError, TypeError):  # its C++ end may already be gone
            connection.bound_signal.disconnect(connection.guard)
        _connections(sender).remove(connection)
    return bool(dropped)
