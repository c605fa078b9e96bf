"""How far an installation is, from what uv and pip write and from how the disk fills.

uv says when it begins to download a package and when it has it, but not what happens in between: for a file of several
gigabytes the free space of the disk is the only sign of life. The fraction never goes back.
"""

from __future__ import annotations

import re

from slicer.i18n import tr as _

from MedSAM2SlicerLib.InstallPlan import FETCH_PACKAGES, SHARES

_UNITS = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_BEGINS = re.compile(r"^\s*Downloading (\S+) \(([\d.]+) ?([KMG]?i?B)\)")
_HAS = re.compile(r"^\s*Downloaded (\S+)")
# Inside the phase of the packages: when everything is known, when everything is there.
_RESOLVED, _PREPARED, _INSTALLED = 0.04, 0.85, 0.99


class InstallProgress:
    """`fraction` and `text` are what to show. `diskBytes` is how much the packages will need."""

    def __init__(self, diskBytes: int) -> None:
        self.fraction = 0.0
        self.text = ""
        self._diskBytes = diskBytes
        self._phase = ""
        self._title = ""
        self._sizes: dict[str, float] = {}
        self._have: set[str] = set()
        self._freeAtStart = 0

    def startPhase(self, name: str, title: str, free: int) -> None:
        self._phase, self._title, self._freeAtStart = name, title, free
        self._sizes, self._have = {}, set()
        self._advance(0.0)
        self.text = f"{title}…"

    def onLine(self, line: str) -> None:
        begins, has = _BEGINS.match(line), _HAS.match(line)
        if begins:
            self._sizes[begins.group(1)] = float(begins.group(2)) * _UNITS.get(begins.group(3), 1)
        elif has:
            self._have.add(has.group(1))
        elif self._phase == FETCH_PACKAGES:
            self._onMilestone(line)
        if begins or has:
            self._advance(self._downloaded())
            self._describe(0)

    def onDisk(self, free: int) -> None:
        """The free space now."""
        if self._phase == FETCH_PACKAGES:
            used = max(0, self._freeAtStart - free)
            self._advance(min(_PREPARED, _RESOLVED + (_PREPARED - _RESOLVED) * used / self._diskBytes))
            self._describe(used)

    def onPhaseEnded(self) -> None:
        self._advance(1.0)

    def _onMilestone(self, line: str) -> None:
        for start, inPhase in (("Resolved ", _RESOLVED), ("Prepared ", _PREPARED), ("Installed ", _INSTALLED)):
            if line.startswith(start):
                self._advance(inPhase)
        if line.startswith("Prepared "):
            self._sizes = {}
            self.text = _("Installing the packages…")

    def _downloaded(self) -> float:
        total = sum(self._sizes.values())
        have = sum(size for name, size in self._sizes.items() if name in self._have)
        return _RESOLVED + (_PREPARED - _RESOLVED) * (have / total if total else 0.0)

    def _describe(self, used: int) -> None:
        waiting = sorted((size, name) for name, size in self._sizes.items() if name not in self._have)
        if not waiting:
            return
        size, name = waiting[-1]
        text = _("Downloading {package} ({size:.0f} MB)").format(package=name, size=size / 1e6)
        if len(waiting) > 1:
            text = _("{downloading} and {count} more").format(downloading=text, count=len(waiting) - 1)
        if used >= 1e6:
            text = _("{downloading}; {used:.0f} MB written").format(downloading=text, used=used / 1e6)
        self.text = text + "…"

    def _advance(self, inPhase: float) -> None:
        before = 0.0
        for name, share in SHARES.items():
            if name == self._phase:
                break
            before += share
        self.fraction = max(self.fraction, min(1.0, before + SHARES.get(self._phase, 0.0) * inPhase))
