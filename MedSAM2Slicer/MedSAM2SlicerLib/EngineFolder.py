"""The folder that holds the engine's environment, and the rules for touching it.

    <root>/made-by-MedSAM2Slicer.txt      written first: this folder is ours, and may be removed as a whole
    <root>/uv  <root>/python  <root>/cache    the installer, the Pythons it fetched, what it downloaded
    <root>/env-<version>/                 the environment of this version of the engine
    <root>/env-<version>/installed.json   written last: without it the environment is half-made
    <root>/previous-<version>/            the one before, while a new one is made; it comes back if that fails
    <root>/trash-*                        waits to be deleted by a process of its own: it has too many files to wait for
    <root>-install.log                    beside it, so that the log outlives the removal

Nothing is ever deleted here, only renamed; `doomed` says what is to be deleted.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

MARK = "made-by-MedSAM2Slicer.txt"
RECORD = "installed.json"
_HALF_DOWNLOAD_S = 3600


class NotOurFolder(OSError):
    """There is something in the folder, and it was not made by this extension."""


@dataclass(frozen=True)
class EngineFolder:
    """Paths, and the state they are in. Every question looks at the disk anew."""

    root: Path
    version: str
    isWindows: bool = os.name == "nt"

    @property
    def environment(self) -> Path:
        return self.root / f"env-{self.version}"

    @property
    def previous(self) -> Path:
        return self.root / f"previous-{self.version}"

    @property
    def python(self) -> Path:
        """The interpreter of the environment."""
        return self.environment / (Path("Scripts", "python.exe") if self.isWindows else Path("bin", "python"))

    @property
    def log(self) -> Path:
        return self.root.with_name(self.root.name + "-install.log")

    @property
    def isOurs(self) -> bool:
        return (self.root / MARK).is_file() and not self.root.is_symlink()

    @property
    def isReady(self) -> bool:
        return (self.environment / RECORD).is_file() and self.python.is_file()

    @property
    def isUnfinished(self) -> bool:
        return self.isOurs and not self.isReady

    def record(self) -> Optional[dict[str, Any]]:
        """What was noted when the installation succeeded, or None."""
        try:
            noted = json.loads((self.environment / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return noted if isinstance(noted, dict) else None

    def claim(self) -> None:
        """
        Raises:
            NotOurFolder: there are files of somebody else.
            OSError: it cannot be made or written to.
        """
        if self.root.exists() and not self.isOurs and any(self.root.iterdir()):
            raise NotOurFolder(str(self.root))
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / MARK).write_text(
            "The engine of the 3D Slicer extension MedSAM2Slicer. The extension removes this folder as a whole.\n",
            encoding="utf-8",
        )

    def setAside(self) -> None:
        """Make room for a new environment; one that was ready can be brought back."""
        if self.isReady:
            self._discard(self.previous)
            self.environment.rename(self.previous)
        else:
            self._discard(self.environment)

    def bringBack(self) -> None:
        """The new environment came to nothing; nothing happens if there was none before."""
        if self.previous.exists():
            self._discard(self.environment)
            self.previous.rename(self.environment)

    def finish(self, noted: dict[str, Any]) -> None:
        """Note that the environment is complete."""
        unfinished = self.environment / (RECORD + ".part")
        unfinished.write_text(json.dumps(noted, indent=1), encoding="utf-8")
        os.replace(unfinished, self.environment / RECORD)

    def doomed(self) -> list[Path]:
        """What a process may delete when an installation has ended."""
        if not self.isOurs:
            return []
        previous = [self.previous] if self.isReady and self.previous.exists() else []
        return sorted(self.root.glob("trash-*")) + self._halfDownloads() + previous + self._removed()

    def detach(self) -> list[Path]:
        """Give the whole folder up; returns what is to be deleted.

        Raises:
            NotOurFolder: it does not bear our mark.
            OSError: something in it is still in use.
        """
        if not self.isOurs:
            raise NotOurFolder(str(self.root))
        self.root.rename(self.root.with_name(f"{self.root.name}-removed-{uuid.uuid4().hex[:8]}"))
        return self._removed()

    def _halfDownloads(self) -> list[Path]:
        """What killed processes left in uv's cache, but nothing that another Slicer may be downloading just now."""
        oldest_s = time.time() - _HALF_DOWNLOAD_S
        return [path for path in sorted(self.root.glob("cache/.tmp*")) if path.stat().st_mtime < oldest_s]

    def _removed(self) -> list[Path]:
        """Folders given up, among them those whose deletion was interrupted."""
        found = sorted(self.root.parent.glob(f"{self.root.name}-removed-*"))
        return [path for path in found if (path / MARK).is_file()]

    def _discard(self, folder: Path) -> None:
        if folder.exists():
            folder.rename(self.root / f"trash-{uuid.uuid4().hex[:8]}")
