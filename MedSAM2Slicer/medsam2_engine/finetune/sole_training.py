"""One training at a time in a folder: two would write the same state, and both list the result.

The sign is a lock on a file in it, which the system takes back however the process ends; the file itself says nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EAGAIN, EDEADLK
from pathlib import Path
from typing import BinaryIO

from medsam2_engine.errors import BadRequest

LOCK_FILE = "lock"
_TAKEN = (EACCES, EAGAIN, EDEADLK)  # as the systems say it


@contextmanager
def sole_training_in(folder: Path) -> Iterator[None]:
    """Within it no other process gets in. Where a disk knows no locks, everybody does.

    Raises:
        BadRequest: another process is in it.
        OSError: the folder cannot be written to.
    """
    with (folder / LOCK_FILE).open("ab") as file:
        try:
            _lock(file)
        except OSError as error:
            if error.errno in _TAKEN:
                raise BadRequest(
                    f"Another program is training in {folder}, perhaps a second 3D Slicer. Wait until it has ended, or "
                    "stop it there."
                ) from error
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
