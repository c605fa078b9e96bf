"""Reasons not to begin an installation, found before anything is downloaded."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Optional

from slicer.i18n import tr as _

from MedSAM2SlicerLib.EngineFolder import EngineFolder, NotOurFolder
from MedSAM2SlicerLib.HostMachine import MACOS
from MedSAM2SlicerLib.InstallErrors import Trouble
from MedSAM2SlicerLib.InstallPlan import InstallPlan, freeBytes

# A resumed installation finds most of what it needs in uv's cache.
_SHARE_WHEN_CACHED = 0.3


def obstacle(plan: InstallPlan) -> Optional[Trouble]:
    """Claims the folder on the way, for only writing to it shows whether that is possible."""
    if plan.machine.system == MACOS and plan.machine.architecture == "x86_64":
        return Trouble(
            "unsupported_platform",
            _(
                "PyTorch does not support Macs with Intel processors any more. Use an existing Python that has an "
                "older PyTorch, or another computer."
            ),
        )
    return _missingWheels(plan) or _unclaimable(plan.folder) or _shortOfSpace(plan)


def unwritable(folder: EngineFolder, error: OSError) -> Trouble:
    elsewhere = _("Choose another folder under Options.")
    if isinstance(error, NotOurFolder):
        sentence = _("{folder} holds files of something else.").format(folder=folder.root)
        return Trouble("not_ours", f"{sentence} {elsewhere}")
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return Trouble("disk_full", _("The disk is full. Make room.") + f" {elsewhere}")
    sentence = _("{folder} cannot be written to ({why}).").format(folder=folder.root, why=error.strerror or error)
    return Trouble("no_permission", f"{sentence} {elsewhere}")


def inUse(folder: EngineFolder, error: OSError) -> Trouble:
    sentence = _("{folder} is in use ({why}). Restart Slicer and try again.")
    return Trouble("in_use", sentence.format(folder=folder.root, why=error.strerror or error))


def _missingWheels(plan: InstallPlan) -> Optional[Trouble]:
    wheels = plan.options.wheelFolder
    if not wheels or any(Path(wheels).glob("*.whl")):
        return None
    sentence = _("There are no wheels (*.whl) in {folder}. Correct the wheel folder, or clear it to download.")
    return Trouble("wheels_missing", sentence.format(folder=wheels))


def _unclaimable(folder: EngineFolder) -> Optional[Trouble]:
    try:
        folder.claim()
    except OSError as error:
        return unwritable(folder, error)
    return None


def _shortOfSpace(plan: InstallPlan) -> Optional[Trouble]:
    hasCache = (plan.folder.root / "cache").is_dir()
    needed = plan.size.disk * (_SHARE_WHEN_CACHED if hasCache else 1.0)
    free = freeBytes(plan.folder.root)
    if free >= needed:
        return None
    sentence = _(
        "The disk has {free:.1f} GB free, and the engine needs {needed:.1f} GB. Make room, or choose another folder "
        "under Options."
    )
    return Trouble("disk_full", sentence.format(free=free / 1e9, needed=needed / 1e9))
