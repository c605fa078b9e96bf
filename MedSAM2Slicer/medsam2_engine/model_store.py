"""Bring models into the user's folder, and take them out again. What ships is never touched."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from medsam2_engine.download import Progress, download
from medsam2_engine.errors import NoSuchModel, UnwritableResult
from medsam2_engine.models import (
    ENTRY_FILE,
    CheckpointFile,
    InputPolicy,
    ModelEntry,
    all_models,
    find_checkpoint,
    find_model,
    is_installed,
    sha256_of,
    write_received,
)
from medsam2_engine.user_folders import models_folder
from medsam2_protocol.tagged import to_jsonable

MIRROR_VARIABLE = "MEDSAM2_MIRROR"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
FOLDER_FILES = ("config.json", "model.safetensors")


def download_model(
    entry: ModelEntry, mirror: str, progress: Progress, is_cancelled: Callable[[], bool] = lambda: False
) -> Path:
    """Every file of a listed model that is not there yet; the folder it now lies in.

    Raises what `download` raises.
    """
    folder = models_folder() / entry.id
    received = []
    for file in entry.files:
        if not (is_installed(entry) and (folder / file.name).is_file()):
            found = download(file, folder, mirror, progress, is_cancelled)
            received.append(CheckpointFile(file.name, found.size, found.sha256))
    if received:
        write_received(folder, received)
    return find_checkpoint(entry)


def add_listed(entry: ModelEntry, source: Path) -> Path:
    """Copy a listed model from a file, or from a folder that holds its files, such as a stick.

    Raises:
        NoSuchModel: a file is missing, or is not the published one.
        UnwritableResult: it cannot be copied.
    """
    folder = models_folder() / entry.id
    pairs = [(file, source / file.name if source.is_dir() else source) for file in entry.files]
    for file, path in pairs:
        _require_published(file, path)
    _copy([(path, file.name) for file, path in pairs], folder)
    write_received(folder, [_described(folder / file.name) for file in entry.files])
    return find_checkpoint(entry)


def add_own(source: Path, entry: ModelEntry) -> Path:
    """Copy the user's own checkpoint, transformers folder or adapter, and list it as `entry` (its files are filled in).

    Raises:
        NoSuchModel: the id is taken or no usable name.
        UnwritableResult: it cannot be copied.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", entry.id):
        raise NoSuchModel(f"{entry.id!r} is no usable id. Take small letters, digits, dots and hyphens.")
    if any(entry.id == other.id for other in all_models()):
        raise NoSuchModel(f"There is a model {entry.id!r} already. Choose another name (`--id`), or remove that one.")
    folder = models_folder() / entry.id
    paths = [source / name for name in _names_in(source)] if source.is_dir() else [source]
    _copy([(path, path.name) for path in paths], folder)
    files = [_described(folder / path.name) for path in paths]
    data = to_jsonable(entry) | {"files": [to_jsonable(file) for file in files]}
    (folder / ENTRY_FILE).write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return find_checkpoint(find_model(entry.id))


def own_entry(
    model_id: str, title: str, backend: str, architecture: str, policy: InputPolicy, base: str = ""
) -> ModelEntry:
    """The entry of a model of which we know no more than what it is."""
    return ModelEntry(
        id=model_id,
        title=title or model_id,
        backend=backend,
        purpose="Added by the user.",
        input_policy=policy,
        files=(),
        licence="unknown",
        licence_note="Whoever gave you the weights knows.",
        training_data=(),
        citation="",
        architecture=architecture,
        base=base,
    )


def listed_with_content(path: Path) -> ModelEntry | None:
    """The listed model that is this very file, whatever it is called."""
    sha256 = sha256_of(path)
    return next((entry for entry in all_models() if [file.sha256 for file in entry.files] == [sha256]), None)


def remove_model(entry: ModelEntry) -> Path:
    """Delete a model from the user's folder.

    Raises:
        NoSuchModel: it is not there; what ships stays.
        UnwritableResult: it cannot be deleted.
    """
    folder = models_folder() / entry.id
    if not folder.is_dir():
        raise NoSuchModel(
            f"The model {entry.id!r} is not among those that were downloaded or added; nothing to remove."
        )
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise UnwritableResult(f"{folder} could not be deleted ({error.strerror}). Close what uses it.") from error
    return folder


def whole(path: Path) -> Path:
    """The folder, where somebody named one file of a model that is a folder; otherwise the path itself."""
    for names in (ADAPTER_FILES, FOLDER_FILES):
        if path.is_file() and path.name in names and all((path.parent / name).is_file() for name in names):
            return path.parent
    return path


def _names_in(folder: Path) -> tuple[str, ...]:
    for names in (ADAPTER_FILES, FOLDER_FILES):
        if all((folder / name).is_file() for name in names):
            return names
    raise NoSuchModel(
        f"{folder} holds neither {' and '.join(FOLDER_FILES)} nor {' and '.join(ADAPTER_FILES)}. Name the file itself."
    )


def _require_published(file: CheckpointFile, path: Path) -> None:
    if not path.is_file():
        raise NoSuchModel(f"There is no file {path}. Name the file, or the folder that holds {file.name}.")
    if file.sha256 and sha256_of(path) != file.sha256:
        raise NoSuchModel(f"{path} is not the published {file.name} (SHA-256 differs). Copy or download it again.")


def _copy(pairs: list[tuple[Path, str]], folder: Path) -> None:
    """All of them or none."""
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source, name in pairs:
            shutil.copyfile(source, folder / f"{name}.part")
            (folder / f"{name}.part").replace(folder / name)
    except OSError as error:
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise UnwritableResult(
            f"{folder} cannot be written ({error.strerror}). Make room, or choose another folder for models "
            "(`MEDSAM2_MODELS`)."
        ) from error


def _described(path: Path) -> CheckpointFile:
    return CheckpointFile(path.name, path.stat().st_size, sha256_of(path))
