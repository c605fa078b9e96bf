"""Progress as one line of plain text that is written over; nothing at all where nobody watches."""

from __future__ import annotations

from typing import TextIO

WIDTH = 30


class ProgressBar:
    """A bar for a known number of slices, a count for an unknown one. Silent unless `stream` is a terminal."""

    def __init__(self, stream: TextIO, total: int | None, is_wanted: bool = True) -> None:
        self._stream = stream
        self._total = total
        self._is_shown = is_wanted and stream.isatty()
        self._done = 0
        self._length = 0

    def advance(self, text: str) -> None:
        """One more slice is done; `text` names it."""
        self._done += 1
        if self._total is None:
            self._write(f"{self._done:4d} slices  {text}")
            return
        filled = WIDTH * min(self._done, self._total) // max(self._total, 1)
        self._write(f"[{'#' * filled}{'.' * (WIDTH - filled)}] {self._done}/{self._total}  {text}")

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave an empty line for what is printed next, be it a summary or an error."""
        self._write("")
        if self._is_shown:
            self._stream.write("\r")
            self._stream.flush()

    def _write(self, line: str) -> None:
        if self._is_shown:
            self._stream.write("\r" + line + " " * (self._length - len(line)))
            self._stream.flush()
            self._length = len(line)
