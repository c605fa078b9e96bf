"""Scores as a file that says what they are of, so that those of other cases or another model are not taken for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from medsam2_engine.atomic_file import replacing
from medsam2_engine.finetune.scoring import Score, Task
from medsam2_engine.models import ModelEntry


def digest_of(entry: ModelEntry, tasks: Sequence[Task]) -> str:
    """Of a model's files and of everything that is asked of it."""
    names = [entry.id, *(file.sha256 for file in entry.files)]
    names += [f"{task.case.sha256} {task.structure.name} {task.box}" for task in tasks]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def read_scores(path: Path, digest: str) -> list[Score] | None:
    """None if there are none, if they are of something else, or if the file is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return [Score(**item) for item in kept["scores"]] if kept["of"] == digest else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_scores(path: Path, digest: str, scores: Sequence[Score]) -> None:
    """
    Raises:
        UnwritableResult: the disk is full.
    """
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"of": digest, "scores": [vars(item) for item in scores]}), encoding="utf-8")
