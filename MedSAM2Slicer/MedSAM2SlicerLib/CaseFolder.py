"""The folder of a person's approved cases, which grows from scene to scene, and of the trainings on them.

    FOLDER/cases/case-1a2b3c4d/   image.nrrd, label.seg.nrrd, meta.json: as docs/finetuning.md describes
    FOLDER/trainings/NAME/        state, report and result of one training
    FOLDER/unfinished/            cases that are being written

A case is known by its volume's voxels: the same volume again takes the place of what was there. Patients are known by a
digest; a volume's name is noted for the person who looks for a case, and goes nowhere else.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.HostMachine import hostMachine

SETTING = "MedSAM2Slicer/TrainingFolder"
CASES, TRAININGS, UNFINISHED = "cases", "trainings", "unfinished"
IMAGE, LABEL, META = "image.nrrd", "label.seg.nrrd", "meta.json"
FEWEST_SUBJECTS = 2
_MOST_NAMED = 6


@dataclass(frozen=True)
class KeptCase:
    """`subject` is whose it is; `structures` are the names of what is drawn in it."""

    id: str
    subject: str
    structures: tuple[str, ...]


class CaseFolder:
    """`root` need not be there yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cases = root / CASES
        self.trainings = root / TRAININGS

    def read(self) -> tuple[KeptCase, ...]:
        """All complete cases by id. A folder that somebody has put there by hand counts as one, too.

        None of them where nobody may look: whoever adds a case is told why.
        """
        try:
            folders = sorted(self.cases.iterdir()) if self.cases.is_dir() else []
            return tuple(_case(folder) for folder in folders if (folder / LABEL).is_file())
        except OSError:
            return ()

    def newCase(self, caseId: str) -> Path:
        """An empty folder to write a case into.

        Raises:
            OSError: it cannot be made.
        """
        folder = self.root / UNFINISHED / caseId
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def finish(self, caseId: str, meta: dict) -> None:
        """The case that was written counts from now on.

        Raises:
            OSError: it cannot be put in its place.
        """
        folder, place = self.root / UNFINISHED / caseId, self.cases / caseId
        text = json.dumps(meta, ensure_ascii=False, indent=2)
        (folder / META).write_text(text + "\n", encoding="utf-8")
        self.cases.mkdir(exist_ok=True)
        earlier = self.root / UNFINISHED / f"{caseId}-earlier"
        shutil.rmtree(earlier, ignore_errors=True)
        if place.exists():
            os.replace(place, earlier)
        try:
            os.replace(folder, place)
        except OSError:
            # Windows moves no folder in which somebody, such as a virus scanner, reads.
            if earlier.exists():
                os.replace(earlier, place)
            raise
        shutil.rmtree(earlier, ignore_errors=True)


def caseFolder() -> CaseFolder:
    chosen = chosenFolder()
    return CaseFolder(Path(chosen) if chosen else hostMachine().dataFolder / "MedSAM2Slicer" / "training")


def chosenFolder() -> str:
    """As set in the panel; empty: where the extension keeps them by itself."""
    return str(slicer.app.settings().value(SETTING, "") or "")


def chooseFolder(path: str) -> None:
    slicer.app.settings().setValue(SETTING, path.strip())


def subjectsOf(cases: Iterable[KeptCase]) -> int:
    return len({case.subject for case in cases})


def casesText(cases: tuple[KeptCase, ...]) -> str:
    """What the folder holds: how many cases of how many patients, and of which structure how many."""
    if not cases:
        return _("No case is kept yet.")
    counts = Counter(name for case in cases for name in sorted(set(case.structures)))
    named = [f"{name} ({count})" for name, count in counts.most_common(_MOST_NAMED)]
    more = len(counts) - len(named)
    text = _("Cases: {cases}, patients: {subjects}. {structures}.")
    if more > 0:
        text = _("Cases: {cases}, patients: {subjects}. {structures} and {more} more.")
    return text.format(cases=len(cases), subjects=subjectsOf(cases), structures=", ".join(named), more=more)


def _case(folder: Path) -> KeptCase:
    try:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        return KeptCase(folder.name, str(meta.get("subject", folder.name)), tuple(meta.get("structures", {})))
    except (OSError, ValueError, AttributeError, TypeError):
        return KeptCase(folder.name, folder.name, ())
