"""Frozen dataclasses as JSON objects: the one place that knows how a message looks on the wire.

Rule: a tagged dataclass is written as a JSON object whose ``"type"`` is its tag and whose other keys are its fields.
Reading is strict. An unknown tag, an unknown or missing field, or a value of the wrong kind is a `MalformedMessage`,
never a half-filled object. NaN and infinity are refused both ways, because JSON does not have them.
"""

from __future__ import annotations

import json
import sys
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Callable, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

_TAG_OF: dict[type, str] = {}
_TYPE_OF: dict[str, type] = {}


class MalformedMessage(ValueError):
    """A text that is not one of our messages. The sentence says which part is wrong."""


def tagged(tag: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: give a frozen dataclass the name under which it travels."""

    def register(cls: type[T]) -> type[T]:
        assert tag not in _TYPE_OF, "two messages are tagged " + tag
        _TAG_OF[cls] = tag
        _TYPE_OF[tag] = cls
        return cls

    return register


def to_json(value: object) -> str:
    """One line of JSON (no newline in it) for a tagged dataclass."""
    return json.dumps(to_jsonable(value), separators=(",", ":"), allow_nan=False)


def from_json(text: str | bytes, expected: type[T]) -> T:
    """Read one message.

    Raises:
        MalformedMessage: the text is not JSON, or not an `expected` (a class, or a base class of messages).
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage(f"not a JSON text: {error}") from error
    return from_jsonable(data, expected)


def to_jsonable(value: Any) -> Any:
    """Dictionaries, lists and plain values for a (nested) dataclass."""
    if is_dataclass(value) and not isinstance(value, type):
        tag = _TAG_OF.get(type(value))
        head = {} if tag is None else {"type": tag}
        return {**head, **{field.name: to_jsonable(getattr(value, field.name)) for field in fields(value)}}
    if isinstance(value, (tuple, list)):
        return [to_jsonable(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} cannot travel in a message")


def from_jsonable(data: Any, expected: type[T]) -> T:
    """The dataclass that `data` describes; see `from_json`."""
    return _read(data, expected, expected.__name__)  # type: ignore[no-any-return]


def _read(data: Any, kind: Any, where: str) -> Any:
    origin = get_origin(kind)
    if origin is Union:
        return _read_union(data, get_args(kind), where)
    if origin is tuple:
        return _read_tuple(data, get_args(kind), where)
    if isinstance(kind, type) and (kind in _TAG_OF or _is_base_of_tagged(kind)):
        return _read_tagged(data, kind, where)
    if is_dataclass(kind):
        return _read_fields(data, kind, where)
    return _read_plain(data, kind, where)


def _read_union(data: Any, choices: tuple[Any, ...], where: str) -> Any:
    if data is None and type(None) in choices:
        return None
    present = [choice for choice in choices if choice is not type(None)]
    if len(present) == 1:
        return _read(data, present[0], where)
    tag = data.get("type") if isinstance(data, dict) else None
    for choice in present:
        if _TAG_OF.get(choice) == tag:
            return _read(data, choice, where)
    raise MalformedMessage("{}: {!r} is none of {}".format(where, tag, ", ".join(_TAG_OF[c] for c in present)))


def _read_tuple(data: Any, items: tuple[Any, ...], where: str) -> Any:
    if not isinstance(data, list):
        raise MalformedMessage(f"{where}: a list was expected, not {data!r}")
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_read(value, items[0], f"{where}[{n}]") for n, value in enumerate(data))
    if len(data) != len(items):
        raise MalformedMessage(f"{where}: {len(items)} values were expected, not {len(data)}")
    return tuple(_read(value, item, f"{where}[{n}]") for n, (value, item) in enumerate(zip(data, items)))


def _read_tagged(data: Any, base: type, where: str) -> Any:
    if not isinstance(data, dict):
        raise MalformedMessage(f"{where}: an object was expected, not {data!r}")
    tag = data.get("type")
    cls = _TYPE_OF.get(tag) if isinstance(tag, str) else None
    if cls is None or not issubclass(cls, base):
        raise MalformedMessage(f"{where}: unknown type {tag!r}")
    return _read_fields({key: value for key, value in data.items() if key != "type"}, cls, cls.__name__)


def _read_fields(data: Any, cls: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise MalformedMessage(f"{where}: an object was expected, not {data!r}")
    kinds = _field_types(cls)
    unknown = sorted(set(data) - set(kinds))
    if unknown:
        raise MalformedMessage("{}: unknown field {}".format(where, ", ".join(unknown)))
    missing = [f.name for f in fields(cls) if f.name not in data and f.default is MISSING]
    if missing:
        raise MalformedMessage("{}: missing field {}".format(where, ", ".join(missing)))
    values = {name: _read(value, kinds[name], f"{where}.{name}") for name, value in data.items()}
    try:
        return cls(**values)
    except ValueError as error:
        raise MalformedMessage(f"{where}: {error}") from error


def _read_plain(data: Any, kind: Any, where: str) -> Any:
    if kind is float and type(data) in (int, float) and abs(data) <= sys.float_info.max:
        return float(data)
    if kind is not float and type(data) is kind:
        return data
    raise MalformedMessage("{}: {} was expected, not {!r}".format(where, getattr(kind, "__name__", kind), data))


@cache
def _field_types(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _is_base_of_tagged(kind: type) -> bool:
    return any(issubclass(cls, kind) for cls in _TAG_OF)
