"""Result files appear whole or not at all: written under a temporary name beside their place, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medsam2_engine.errors import UnwritableResult


def check_writable(path: Path) -> None:
    """Find out before a long computation whether a file can be written there.

    Raises:
        UnwritableResult: the folder is missing or cannot be written to, or a folder has that name already.
    """
    if path.is_dir():
        raise UnwritableResult(f"{path} is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise UnwritableResult(f"There is no folder {path.parent} to write {path.name} into. Create it first.")
    _new_temporary(path).unlink()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path with the same ending, in the same folder; what is written there replaces `path` at the end.

    If the body raises, `path` stays as it was and the temporary file is removed.

    Raises:
        UnwritableResult: the folder cannot be written to, the disk is full, or the body raised an OSError.
    """
    temporary = _new_temporary(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise UnwritableResult(f"{path} could not be written ({error.strerror or error}).") from error
    finally:
        temporary.unlink(missing_ok=True)


def _new_temporary(path: Path) -> Path:
    """A new empty file. Its ending is in small letters: ITK knows .nii.gz, and not .NII.GZ."""
    ending = "".join(path.suffixes[-2:]).lower()
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".medsam2-", suffix=ending)
        os.close(handle)
        _give_usual_permissions(Path(name))
    except OSError as error:
        raise UnwritableResult(
            f"Nothing can be written into the folder {path.parent} ({error.strerror}). Choose another one."
        ) from error
    return Path(name)


def _give_usual_permissions(path: Path) -> None:
    """`mkstemp` makes files for their owner alone; a result should be as readable as any other new file."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
