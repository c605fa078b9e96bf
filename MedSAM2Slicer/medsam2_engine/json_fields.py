"""Strict reading of JSON that people write by hand: every mistake is a `BadRequest` that names its place."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from medsam2_engine.errors import BadRequest


def parse_json(text: str, where: str) -> Any:
    """Any JSON value. A key that stands twice in one object is a mistake: one of the two would be lost.

    Raises:
        BadRequest: not JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{where} is not valid JSON: {error}") from error


def fields_of(data: object, where: str, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, Any]:
    """A JSON object with all of the required keys and no unknown one."""
    if not isinstance(data, dict):
        raise BadRequest(f"{where}: an object {{...}} was expected, not {_shown(data)}.")
    unknown = [key for key in data if key not in required and key not in optional]
    if unknown:
        known = ", ".join([*required, *optional])
        raise BadRequest(f"{where}: unknown key {unknown[0]!r}. Known keys: {known}.")
    missing = [key for key in required if key not in data]
    if missing:
        raise BadRequest(f"{where}: {missing[0]!r} is missing.")
    return data


def list_of(value: object, where: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise BadRequest(f"{where}: a list with at least one entry was expected, not {_shown(value)}.")
    return value


def text_of(value: object, where: str) -> str:
    """A text that a person can read: not empty, on one line."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise BadRequest(f"{where}: a text on one line was expected, not {_shown(value)}.")
    return value


def choice_of(value: object, choices: Sequence[str], where: str) -> str:
    if not isinstance(value, str) or value not in choices:
        raise BadRequest(f"{where}: one of {', '.join(choices)} was expected, not {_shown(value)}.")
    return value


def flag_of(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise BadRequest(f"{where}: true or false was expected, not {_shown(value)}.")
    return value


def index_of(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRequest(f"{where}: a whole number was expected, not {_shown(value)}.")
    return value


def numbers_of(value: object, count: int, where: str) -> tuple[float, ...]:
    """Exactly `count` finite numbers."""
    if not isinstance(value, list) or len(value) != count or not all(_is_number(item) for item in value):
        raise BadRequest(f"{where}: a list of {count} numbers was expected, not {_shown(value)}.")
    return tuple(float(item) for item in value)


def _is_number(value: object) -> bool:
    """Finite as a float: JSON's integers have no end, and Python reads NaN and Infinity although JSON has neither."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    repeated = [key for number, key in enumerate(keys) if key in keys[:number]]
    if repeated:
        raise ValueError(f"the key {repeated[0]!r} stands twice in one object")
    return dict(pairs)
