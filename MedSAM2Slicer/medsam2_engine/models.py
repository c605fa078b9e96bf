"""Which models exist, and where their checkpoints lie. Nothing about a model is inferred from a file's name.

`models.json` is the list; one entry there is all it takes to know another checkpoint. A checkpoint is a folder named
after the model's id, shipped or in the user's own models folder. It is used only if every file has the size and SHA-256
of the entry, so that a half-copied or replaced file is an error with a sentence and not a wrong mask. Where the authors
published neither, those of the file that was received are written down in `received.json` beside it, and hold from
then on. A model that the user brought has its entry, `entry.json`, in its own folder.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medsam2_engine.errors import NoSuchModel
from medsam2_engine.user_folders import models_folder
from medsam2_protocol.tagged import MalformedMessage, from_jsonable

logger = logging.getLogger(__name__)
MODEL_LIST = Path(__file__).parent / "models.json"
# In the wheel the checkpoints are a package of data; in the source tree and in Slicer they are resources.
CHECKPOINT_FOLDERS = (Path(__file__).parent / "checkpoints", Path(__file__).parents[1] / "Resources" / "Models")
INPUT_KINDS = ("object_crop", "whole_slice", "padded_slice")
NORMALISATIONS = ("imagenet", "unit", "half")
CHANNELS = ("equal", "neighbours")
ENTRY_FILE = "entry.json"
RECEIVED_FILE = "received.json"
_CHUNK = 1 << 20


@dataclass(frozen=True)
class InputPolicy:
    """What a model looks at: "object_crop" is a square around the object, "whole_slice" the windowed slice stretched
    to a square, "padded_slice" the windowed slice in its own proportions, padded to a square.

    `size` is the edge of the model's image in pixels; `crop_over_box` is the edge of the crop over the longer edge of
    the box (0 for whole slices). Whole slices are three "equal" channels, or a slice between its "neighbours"; with
    ImageNet's mean and deviation ("imagenet"), from 0 to 1 ("unit") or from -1 to 1 ("half").
    """

    kind: str
    size: int
    crop_over_box: float = 0.0
    normalisation: str = "imagenet"
    channels: str = "equal"

    def __post_init__(self) -> None:
        if self.kind not in INPUT_KINDS:
            raise ValueError(f"unknown input policy {self.kind!r}")
        if (self.kind == "object_crop") != (self.crop_over_box >= 1):
            raise ValueError("crop_over_box belongs to an object_crop, and is at least 1")
        if self.normalisation not in NORMALISATIONS:
            raise ValueError(f"unknown normalisation {self.normalisation!r}")
        if self.channels not in CHANNELS or (self.kind == "object_crop" and self.channels != CHANNELS[0]):
            raise ValueError(f"unknown channels {self.channels!r} for {self.kind!r}")


@dataclass(frozen=True)
class CheckpointFile:
    """One file of a checkpoint; `size` in bytes. 0 and "" where the authors publish no size, checksum or address."""

    name: str
    size: int
    sha256: str
    url: str = ""


@dataclass(frozen=True)
class TrainingData:
    """What a model has seen, and under which licence."""

    name: str
    licence: str


@dataclass(frozen=True)
class ModelEntry:
    """One model of the list.

    `architecture` names one of `model.architectures`, or is "" where a config.json among the files says it. `base` is
    the id of the model that an adapter is laid over. `is_consent_needed`: its licence restricts what it may be used
    for, and has to be accepted before a download.
    """

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
    architecture: str = ""
    is_consent_needed: bool = False
    base: str = ""

    @property
    def size(self) -> int:
        """Bytes of all files; 0 where nobody published it."""
        return sum(file.size for file in self.files)

    @property
    def is_downloadable(self) -> bool:
        return all(file.url for file in self.files)


def all_models() -> tuple[ModelEntry, ...]:
    """Every model of the list, installed or not, in the list's order, then those that the user added."""
    return _listed_models() + user_models()


def user_models(folder: Path | None = None) -> tuple[ModelEntry, ...]:
    """The models that the user added, by id. An entry that cannot be read is left out: it must not hide the others."""
    found = []
    for path in sorted((folder or models_folder()).glob(f"*/{ENTRY_FILE}")):
        try:
            entry = from_jsonable(json.loads(path.read_text(encoding="utf-8")), ModelEntry)
        except (OSError, ValueError):
            logger.warning("%s cannot be read; the model is not listed", path)
            continue
        if entry.id == path.parent.name and entry.id not in {listed.id for listed in _listed_models()}:
            found.append(entry)
    return tuple(found)


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


def checkpoint_folders() -> tuple[Path, ...]:
    """Where checkpoints are looked for: those that ship first."""
    return (*CHECKPOINT_FOLDERS, models_folder())


def find_checkpoint(entry: ModelEntry, folders: Sequence[Path] | None = None) -> Path:
    """The verified folder that holds the model's files.

    Raises:
        NoSuchModel: it is nowhere, or a file of it is missing, cut short or changed.
    """
    folder = _folder_of(entry, folders)
    if folder is None:
        raise NoSuchModel(f"The model {entry.id!r} is not installed. {_way_to(entry)}")
    for file in expected_files(entry, folder):
        fault = _fault_of(folder / file.name, file)
        if fault:
            raise NoSuchModel(
                f"The model {entry.id!r} cannot be used: {fault}. Remove the folder {folder} and install it again."
            )
    return folder


def is_installed(entry: ModelEntry, folders: Sequence[Path] | None = None) -> bool:
    """Whether the files are there with the right sizes. Their content is checked by `find_checkpoint`."""
    folder = _folder_of(entry, folders)
    return folder is not None and all(_has_size(folder / file.name, file) for file in expected_files(entry, folder))


def weights_bytes(entry: ModelEntry) -> int:
    """Of all files that are loaded, those of an adapter's base among them; 0 where nobody knows the size."""
    folder = _folder_of(entry, None)
    files = entry.files if folder is None else expected_files(entry, folder)
    bases = [base for base in all_models() if base.id == entry.base]
    return sum(file.size for file in files) + sum(map(weights_bytes, bases))


def expected_files(entry: ModelEntry, folder: Path) -> tuple[CheckpointFile, ...]:
    """The entry's files, with sizes and checksums as published, or else as received in that folder."""
    received = _received(folder)
    return tuple(
        file if file.sha256 else replace(file, size=known.size, sha256=known.sha256)
        for file in entry.files
        for known in (received.get(file.name, file),)
    )


def write_received(folder: Path, files: Sequence[CheckpointFile]) -> None:
    """Write down what was received."""
    data = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in files]
    (folder / RECEIVED_FILE).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def sha256_of(path: Path) -> str:
    """Computed once per process for as long as size and time of the file stay the same."""
    found = path.stat()
    return _sha256(path, found.st_size, found.st_mtime_ns)


@functools.cache
def _listed_models() -> tuple[ModelEntry, ...]:
    return read_models(MODEL_LIST)


def _received(folder: Path) -> dict[str, CheckpointFile]:
    try:
        data = json.loads((folder / RECEIVED_FILE).read_text(encoding="utf-8"))
        return {file.name: file for file in (from_jsonable(item, CheckpointFile) for item in data)}
    except (OSError, ValueError, TypeError, MalformedMessage):
        return {}


def _way_to(entry: ModelEntry) -> str:
    if entry.is_downloadable:
        return f"Download it (`medsam2 models download {entry.id}`), or add it from a disk (`medsam2 models add`)."
    if any(not file.sha256 for file in entry.files):
        return (
            f"Get it from its authors (`medsam2 models info {entry.id}` says where), and add it "
            f"(`medsam2 models add PATH --id {entry.id}`)."
        )
    return "Reinstall the extension or the engine package."


def _folder_of(entry: ModelEntry, folders: Sequence[Path] | None) -> Path | None:
    places = checkpoint_folders() if folders is None else folders
    return next((folder / entry.id for folder in places if (folder / entry.id).is_dir()), None)


def _fault_of(path: Path, expected: CheckpointFile) -> str:
    """What is wrong with a file, or ""."""
    try:
        found = path.stat()
        if found.st_size != (expected.size or found.st_size):
            return f"{expected.name} has {found.st_size} bytes instead of {expected.size}"
        if sha256_of(path) != (expected.sha256 or sha256_of(path)):
            return f"the content of {expected.name} is not the published one (SHA-256 differs)"
    except FileNotFoundError:
        return f"{expected.name} is missing"
    except OSError as error:
        return f"{expected.name} cannot be read ({error.strerror})"
    return ""


def _has_size(path: Path, expected: CheckpointFile) -> bool:
    return path.is_file() and path.stat().st_size == (expected.size or path.stat().st_size)


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
