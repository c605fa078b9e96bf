"""The full log of installations, in a file and for "Copy log". Passwords in addresses are left out.

The file is opened for each entry: on Windows an open file would keep its folder from being renamed.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Optional

from MedSAM2SlicerLib.InstallPlan import withoutPassword

# A new file is begun when the old one has grown to this; one before it is kept.
LARGEST_BYTES = 4_000_000


class InstallLog:
    """Nothing is read or written before the first entry. Without a writable file the log is kept in memory only."""

    def __init__(self) -> None:
        self.path: Optional[Path] = None
        self._lines: list[str] = []

    def begin(self, path: Path, title: str) -> None:
        self.path = path
        self._lines = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and path.stat().st_size > LARGEST_BYTES:
                path.replace(path.with_name(path.name + ".1"))
        except OSError:
            logging.warning("MedSAM2Slicer: the installation log %s cannot be written", path)
            self.path = None
        self.write(f"==== {time.strftime('%Y-%m-%d %H:%M:%S')} {title}")

    def write(self, text: str) -> None:
        clean = withoutPassword(text.rstrip("\n"))
        self._lines.append(clean)
        if self.path is not None:
            try:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(clean + "\n")
            except OSError:
                self.path = None  # the disk is full, for instance; the lines in memory go on

    def text(self, path: Optional[Path] = None) -> str:
        """Everything in the file, or `path` if nothing was written by this Slicer; else what is in memory."""
        source = self.path or path
        if source is not None and source.is_file():
            try:
                return source.read_text(encoding="utf-8", errors="replace")
            except OSError:
                pass
        return "\n".join(self._lines)
