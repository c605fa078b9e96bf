"""What an installation has to know of this machine and of the Slicer that runs on it, read in one place.

Reading it starts no process and asks no network, so that it may be done on Slicer's main thread.
"""

from __future__ import annotations

import os
import shutil
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import slicer

# As sys.platform has them. The module platform may ask Windows for minutes.
LINUX, WINDOWS, MACOS = "linux", "win32", "darwin"


@dataclass(frozen=True)
class HostMachine:
    """`startup` is the environment Slicer was started in, `own` the one its launcher made of it."""

    system: str
    architecture: str  # of the processor, also if Slicer itself is translated
    isTranslated: bool  # an Intel Slicer on an Apple processor
    hasNvidia: bool
    slicerHome: str
    slicerPython: str
    dataFolder: Path
    startup: dict[str, str] = field(repr=False)
    own: dict[str, str] = field(repr=False)
    systemProxy: str = ""

    @property
    def isWindows(self) -> bool:
        return self.system == WINDOWS


def hostMachine() -> HostMachine:
    system, translated = sys.platform, _isTranslated()
    return HostMachine(
        system=system,
        architecture="arm64" if translated else _architecture(),
        isTranslated=translated,
        hasNvidia=_hasNvidiaDriver(system),
        slicerHome=str(slicer.app.slicerHome),
        slicerPython=_slicerPython(),
        dataFolder=_dataFolder(system),
        startup=_startupEnvironment(),
        own=dict(os.environ),
        systemProxy=_systemProxy(),
    )


def _architecture() -> str:
    return os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_ARCHITECTURE", "").lower()


def _isTranslated() -> bool:
    """Under Rosetta everything claims to be x86_64, but not the text of the kernel's version."""
    return sys.platform == MACOS and os.uname().machine == "x86_64" and "ARM64" in os.uname().version


def _hasNvidiaDriver(system: str) -> bool:
    if system == WINDOWS:
        return os.path.isfile(os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvcuda.dll"))
    return os.path.exists("/proc/driver/nvidia/version")


def _slicerPython() -> str:
    """Slicer's own Python with its launcher, which Slicer puts on PATH; an empty string if there is none."""
    name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
    beside = os.path.join(str(slicer.app.slicerHome), "bin", name)
    return shutil.which("PythonSlicer") or (beside if os.path.isfile(beside) else "")


def _dataFolder(system: str) -> Path:
    """Where programs keep large files of one user: never in a roaming profile, never in the extension's folder."""
    home = Path.home()
    if system == WINDOWS:
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if system == MACOS:
        return home / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")


def _startupEnvironment() -> dict[str, str]:
    startup = slicer.app.startupEnvironment()
    return {str(key): str(startup.value(key)) for key in list(startup.keys())}


def _systemProxy() -> str:
    """From the environment, else from the settings of Windows or macOS."""
    proxies = urllib.request.getproxies()
    return proxies.get("https") or proxies.get("http") or ""
