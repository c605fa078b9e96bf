"""What `medsam2 models` says: in words to a person, as JSON to a program."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medsam2_engine.models import (
    ModelEntry,
    all_models,
    expected_files,
    find_checkpoint,
    is_installed,
    user_models,
    weights_bytes,
)
from medsam2_engine.user_folders import cache_folder, models_folder
from medsam2_protocol.tagged import to_jsonable

MISSING = "not published"


@dataclass(frozen=True)
class Answer:
    """The end of a command: `text` for a person; `end` and `facts` for a program, which gets one line of JSON."""

    end: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def line(self, as_json: bool) -> str:
        if not as_json:
            return self.text
        return json.dumps({"end": self.end, **self.facts, "text": self.text})


def list_as_json() -> str:
    """Every entry with what this machine adds: whether and where it is, whether it may be downloaded and removed.

    In plain ASCII: Windows gives a pipe an encoding of its own, in which many a title cannot be written.
    """
    own = user_models()
    entries = [
        to_jsonable(entry)
        | {
            "installed": is_installed(entry),
            "size": entry.size,
            "weights_bytes": weights_bytes(entry),
            "downloadable": entry.is_downloadable,
            "removable": _has_files(models_folder() / entry.id),
            "own": entry in own,
            "place": str(models_folder() / entry.id),
        }
        for entry in all_models()
    ]
    return json.dumps(entries, indent=2)


def list_as_text() -> str:
    return "\n".join(_line(entry) for entry in all_models())


def installed(entry: ModelEntry, folder: Path) -> Answer:
    return Answer("installed", f"{entry.id}: now in {folder}", _where(entry, folder))


def added(entry: ModelEntry, folder: Path, text: str = "") -> Answer:
    return Answer("added", f"{entry.id}: now in {folder}" + (f"\n{text}" if text else ""), _where(entry, folder))


def removed(entry: ModelEntry, folder: Path) -> Answer:
    return Answer("removed", f"{entry.id}: {folder} was deleted.", {"id": entry.id, "title": entry.title})


def verified(entry: ModelEntry) -> Answer:
    """
    Raises:
        NoSuchModel: it is not installed, or not as it should be.
    """
    folder = find_checkpoint(entry)
    expected = expected_files(entry, folder)
    files = "\n".join(f"  {file.sha256}  {file.name}" for file in expected)
    word = "published" if _is_published(entry) else "first received (no checksum is published)"
    text = f"{entry.id}: all {len(expected)} files in {folder} are as {word}.\n{files}"
    return Answer("verified", text, _where(entry, folder))


def description(entry: ModelEntry) -> str:
    policy = entry.input_policy
    crop = f", {policy.crop_over_box:g} times the box" if policy.crop_over_box else ""
    channels = ", a slice between its neighbours" if policy.channels == "neighbours" else ""
    facts = {
        "Id": entry.id,
        "Title": entry.title,
        "Purpose": entry.purpose,
        "Installed": "yes" if is_installed(entry) else "no",
        "Adapts": entry.base,
        "Input": f"{policy.kind.replace('_', ' ')}, {policy.size} x {policy.size} pixels{crop}{channels}",
        "Licence": f"{entry.licence}. {entry.licence_note}",
        "Trained on": "\n".join(f"{data.name}: {data.licence}" for data in entry.training_data),
        "Citation": entry.citation,
        "Files": "\n".join(_file(entry)),
        "Folder": str(models_folder() / entry.id),
        "Cache": str(cache_folder()),
    }
    return "\n".join(_fact(name, text) for name, text in facts.items() if text)


def _has_files(folder: Path) -> bool:
    """Also of a download that was interrupted."""
    return folder.is_dir() and any(folder.iterdir())


def _line(entry: ModelEntry) -> str:
    state = "installed" if is_installed(entry) else "not installed"
    size = f"{entry.size / 1e6:7.1f} MB" if entry.size else "    ? MB  "
    return f"{entry.id:<24} {state:<14} {size}  {entry.title}"


def _where(entry: ModelEntry, folder: Path) -> dict[str, Any]:
    files = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in expected_files(entry, folder)]
    return {
        "id": entry.id,
        "title": entry.title,
        "folder": str(folder),
        "files": files,
        "published": _is_published(entry),
        "own": entry in user_models(),
    }


def _is_published(entry: ModelEntry) -> bool:
    return all(file.sha256 for file in entry.files)


def _file(entry: ModelEntry) -> list[str]:
    return [
        f"{file.name}, {file.size or MISSING} bytes, sha256 {file.sha256 or MISSING}"
        + (f"\n{file.url}" if file.url else "")
        for file in entry.files
    ]


def _fact(name: str, text: str) -> str:
    wrapped = [part for line in text.splitlines() for part in textwrap.wrap(line, 100, subsequent_indent="  ")]
    return "\n".join(f"{label:<12}{part}" for label, part in zip([name] + [""] * len(wrapped), wrapped, strict=False))
