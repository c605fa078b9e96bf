"""A file that is written a few milliseconds at a time from the event loop, so that Slicer stays responsive.

It appears whole under its name, or not at all: until then it has another ending.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import qt

UNFINISHED = ".part"


class SlowFile:
    """`pieces` may raise an OSError. One of `onDone` and `onFailed(error)` is called, unless it is dropped."""

    def __init__(
        self, path: Path, pieces: Iterator[bytes], onDone: Callable[[], None], onFailed: Callable[[OSError], None]
    ) -> None:
        self._path = path
        self._pieces = pieces
        self._onDone = onDone
        self._onFailed = onFailed
        self._file = None
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self.onTimer)

    def start(self) -> None:
        self._timer.start()

    def drop(self) -> None:
        """Stop writing, and leave no trace."""
        self._close()
        with contextlib.suppress(OSError):
            os.remove(self._unfinished)

    def onTimer(self) -> None:
        try:
            isDone = self._writeOne()
        except OSError as error:
            self.drop()
            self._onFailed(error)
            return
        if isDone:
            self._onDone()

    @property
    def _unfinished(self) -> Path:
        return self._path.with_name(self._path.name + UNFINISHED)

    def _writeOne(self) -> bool:
        if self._file is None:
            self._file = self._unfinished.open("wb")
        piece = next(self._pieces, None)
        if piece is not None:
            self._file.write(piece)
            return False
        self._close()
        os.replace(self._unfinished, self._path)
        return True

    def _close(self) -> None:
        self._timer.stop()
        self._pieces = iter(())
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
