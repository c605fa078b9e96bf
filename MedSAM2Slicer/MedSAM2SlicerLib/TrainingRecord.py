"""One training: what it was started with, and how far it is, as a file in its folder.

    FOLDER/trainings/NAME/training.json

It is written before the training starts, so that one that was killed with Slicer can go on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

FILE = "training.json"
UNFINISHED, DONE = "unfinished", "done"


@dataclass(frozen=True)
class TrainingRecord:
    """`id` is the result's in the model list, and the folder's name; `cases` are names of cases.

    `step` of `steps` is how far it is known to be; `facts` are the figures it ended with.
    """

    id: str
    title: str
    base: str
    learns: str
    steps: int
    device: str
    cases: tuple[str, ...]
    state: str = UNFINISHED
    step: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)

    def write(self, trainings: Path) -> None:
        """
        Raises:
            OSError: the folder cannot be written to.
        """
        folder = trainings / self.id
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{FILE}.part"
        temporary.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        os.replace(temporary, folder / FILE)

    def arguments(self, cases: Path, trainings: Path) -> list[str]:
        """Of `medsam2 finetune`."""
        choices = {
            "--id": self.id,
            "--model": self.base,
            "--train": self.learns,
            "--steps": str(self.steps),
            "--device": self.device,
        }
        options = [word for name, value in choices.items() for word in (name, value)]
        place = [str(cases), "--output", str(trainings / self.id)]
        # In one word, since a title may begin with a hyphen.
        return [*place, *options, f"--title={self.title}", "--background", "--json", "--only", *self.cases]

    def at(self, step: int) -> TrainingRecord:
        return replace(self, step=step)

    def ended(self, state: str, facts: Optional[Mapping[str, Any]] = None) -> TrainingRecord:
        return replace(self, state=state, facts=dict(facts or {}))


def latestTraining(trainings: Path) -> Optional[TrainingRecord]:
    """The one that was written last; None if there is none, or if nobody may look."""
    try:
        files = [path for path in trainings.glob(f"*/{FILE}") if path.is_file()] if trainings.is_dir() else []
        files.sort(key=lambda path: path.stat().st_mtime)
    except OSError:
        return None
    found = [_read(path) for path in files]
    records = [record for record in found if record is not None]
    return records[-1] if records else None


def _read(path: Path) -> Optional[TrainingRecord]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return TrainingRecord(**{**values, "cases": tuple(values["cases"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
