"""Where a user's own files lie: models they downloaded or added, and what can be computed again.

`MEDSAM2_MODELS` and `MEDSAM2_CACHE` name other folders, for a shared drive or a machine without a home. Nothing is
created by asking.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

APPLICATION = "MedSAM2Slicer"


def models_folder() -> Path:
    """One folder per model lies in it, named after the model's id."""
    return _chosen("MEDSAM2_MODELS") or _data_home() / APPLICATION / "Models"


def cache_folder() -> Path:
    """May be deleted at any time."""
    return _chosen("MEDSAM2_CACHE") or _cache_home() / APPLICATION


def _chosen(variable: str) -> Path | None:
    value = os.environ.get(variable, "")
    return Path(value).expanduser() if value else None


def _data_home() -> Path:
    if sys.platform == "win32":
        return _windows_home()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return _chosen("XDG_DATA_HOME") or Path.home() / ".local" / "share"


def _cache_home() -> Path:
    if sys.platform == "win32":
        return _windows_home() / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return _chosen("XDG_CACHE_HOME") or Path.home() / ".cache"


def _windows_home() -> Path:
    return _chosen("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
