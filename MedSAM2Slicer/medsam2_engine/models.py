"""Which models exist, and where their checkpoints lie. Nothing about a model is inferred from a file's name.

`models.json` is the list; one entry there is all it takes to know another checkpoint. A checkpoint is a folder named
after the model's id. It is used only if every file has the size and SHA-256 of the entry, so that a half-copied or
replaced file is an error with a sentence and not a wrong mask.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medsam2_engine.errors import NoSuchModel
from medsam2_protocol.tagged import from_jsonable

MODEL_LIST = Path(__file__).parent / "models.json"
# In the wheel the checkpoints are a package of data; in the source tree and in Slicer they are resources.
CHECKPOINT_FOLDERS = (Path(__file__).parent / "checkpoints", Path(__file__).parents[1] / "Resources" / "Models")
INPUT_KINDS = ("object_crop", "whole_slice")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class InputPolicy:
    """What a model looks at: "object_crop" is a square around the object, "whole_slice" the windowed slice.

    `size` is the edge of the model's image in pixels; `crop_over_box` is the edge of the crop over the longer edge of
    the box (0 for whole slices).
    """

    kind: str
    size: int
    crop_over_box: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in INPUT_KINDS:
            raise ValueError(f"unknown input policy {self.kind!r}")
        if (self.kind == "object_crop") != (self.crop_over_box >= 1):
            raise ValueError("crop_over_box belongs to an object_crop, and is at least 1")


@dataclass(frozen=True)
class CheckpointFile:
    """One file of a checkpoint; `size` in bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class TrainingData:
    """What a model has seen, and under which licence."""

    name: str
    licence: str


@dataclass(frozen=True)
class ModelEntry:
    """One model of the list."""

    id: str
    title: str
    backend: str
    purpose: str
    input_policy: InputPolicy
    files: tuple[CheckpointFile, ...]
    licence: str
    licence_note: str
    training_data: tuple[TrainingData, ...]
    citation: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@functools.cache
def all_models() -> tuple[ModelEntry, ...]:
    """Every model of the list, installed or not, in the list's order."""
    return read_models(MODEL_LIST)


def read_models(path: Path) -> tuple[ModelEntry, ...]:
    """The entries of a model list.

    Raises:
        MalformedMessage: an entry has an unknown, a missing or a wrong field.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    return tuple(from_jsonable(item, ModelEntry) for item in data)


def find_model(model_id: str) -> ModelEntry:
    """The entry of that id.

    Raises:
        NoSuchModel: the list does not have it.
    """
    for entry in all_models():
        if entry.id == model_id:
            return entry
    known = ", ".join(entry.id for entry in all_models())
    raise NoSuchModel(f"There is no model {model_id!r}. Known models: {known}.")


def find_checkpoint(entry: ModelEntry, folders: Sequence[Path] = CHECKPOINT_FOLDERS) -> Path:
    """The verified folder that holds the model's files.

    Raises:
        NoSuchModel: it is nowhere, or a file of it is missing, cut short or changed.
    """
    folder = _folder_of(entry, folders)
    if folder is None:
        raise NoSuchModel(f"The model {entry.id!r} is not installed. Reinstall the extension or the engine package.")
    for file in entry.files:
        fault = _fault_of(folder / file.name, file)
        if fault:
            raise NoSuchModel(
                f"The model {entry.id!r} cannot be used: {fault}. Remove the folder {folder} and install it again."
            )
    return folder


def is_installed(entry: ModelEntry, folders: Sequence[Path] = CHECKPOINT_FOLDERS) -> bool:
    """Whether the files are there with the right sizes. Their content is checked by `find_checkpoint`."""
    folder = _folder_of(entry, folders)
    return folder is not None and all(_has_size(folder / file.name, file.size) for file in entry.files)


def _folder_of(entry: ModelEntry, folders: Sequence[Path]) -> Path | None:
    return next((folder / entry.id for folder in folders if (folder / entry.id).is_dir()), None)


def _fault_of(path: Path, expected: CheckpointFile) -> str:
    """What is wrong with a file, or ""."""
    try:
        found = path.stat()
        if found.st_size != expected.size:
            return f"{expected.name} has {found.st_size} bytes instead of {expected.size}"
        if _sha256(path, found.st_size, found.st_mtime_ns) != expected.sha256:
            return f"the content of {expected.name} is not the published one (SHA-256 differs)"
    except FileNotFoundError:
        return f"{expected.name} is missing"
    except OSError as error:
        return f"{expected.name} cannot be read ({error.strerror})"
    return ""


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """Computed once per process for as long as size and time of the file stay the same."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
