"""What a Python can do for the engine, as it found out itself by computing (`python -m medsam2_engine check`).

Only a real computation counts: a build of PyTorch may list a GPU and still have no code for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Optional

from slicer.i18n import tr as _

from MedSAM2SlicerLib.CommandRun import CommandEnd
from MedSAM2SlicerLib.HostMachine import HostMachine
from MedSAM2SlicerLib.InstallPlan import CPU


@dataclass(frozen=True)
class CheckReport:
    """`isUsable` says whether the engine can run; `sentence` what to tell the user, with why a GPU is not used."""

    isUsable: bool
    sentence: str
    device: str = ""
    torch: str = ""


def readReport(end: CommandEnd, machine: HostMachine, backend: str = "") -> CheckReport:
    """`backend` is what was chosen for the installation, if this extension made it."""
    found = _lastObject(end.output)
    if found is None:
        return CheckReport(False, _noReport(end, machine))
    if found.get("too_old"):
        return CheckReport(
            False, _("This is Python {version}; the engine needs 3.10 or later.").format(version=found.get("python"))
        )
    if found.get("missing"):
        missing = ", ".join(str(name) for name in found["missing"])
        return CheckReport(
            False, _("This Python lacks {packages}. Add them to it, or press Install.").format(packages=missing)
        )
    if found.get("broken"):
        return CheckReport(False, _brokenSentence(str(found["broken"]), machine))
    device, title, torch = str(found.get("device")), str(found.get("title")), str(found.get("torch"))
    return CheckReport(True, _ready(title, torch, _whyNoGpu(found, machine, backend)), device, torch)


def _ready(title: str, torch: str, why: str) -> str:
    if why:
        return _("Ready. {why}").format(why=why)
    return _("Ready: {device} (PyTorch {version}).").format(device=title, version=torch)


def _whyNoGpu(found: dict[str, Any], machine: HostMachine, backend: str) -> str:
    """Why the CPU computes, with what to do about it; empty if nothing better can be expected."""
    if found.get("device") != "cpu":
        return ""
    fault = f"{found.get('fault') or ''} {found.get('cuda_fault') or ''}".lower()
    if "no kernel image" in fault or "not compatible with the current pytorch" in fault:
        return _(
            "CPU: the CUDA build does not support this GPU. Choose the PyTorch for older or newer NVIDIA GPUs under "
            "Options and press Repair."
        )
    if "driver" in fault and ("too old" in fault or "insufficient" in fault):
        return _("CPU: the NVIDIA driver is too old for this CUDA build. Update the driver and press Repair.")
    if "out of memory" in fault:
        return _("CPU: the GPU has no free memory. Close other programs that use it and press Repair.")
    if found.get("fault"):
        return _("CPU: the GPU failed ({why}).").format(why=str(found["fault"]).rstrip("."))
    if machine.hasNvidia and backend != CPU:
        if not found.get("cuda"):
            return _("CPU: this PyTorch was built without CUDA. Choose PyTorch for NVIDIA GPUs under Options.")
        return _("CPU: PyTorch does not see the NVIDIA GPU. Check that its driver works.")
    return ""


def _brokenSentence(why: str, machine: HostMachine) -> str:
    if machine.isWindows and ("DLL" in why or "WinError 126" in why):
        return _(
            "PyTorch cannot be loaded ({why}). Install Microsoft's Visual C++ Redistributable "
            "(https://aka.ms/vs/17/release/vc_redist.x64.exe), then press Repair."
        ).format(why=why)
    return _("The engine's Python cannot load a package ({why}). Press Repair.").format(why=why)


def _noReport(end: CommandEnd, machine: HostMachine) -> str:
    if end.couldNotStart:
        return _("This Python could not be started: {why}.").format(why=end.text.strip().rstrip("."))
    if end.hasCrashed:
        return _(
            "The engine's Python crashed while it computed. Choose PyTorch for the CPU under Options and press Repair."
        )
    lines = [line for line in end.text.splitlines() if line.strip()]
    return _brokenSentence(lines[-1].strip() if lines else _("it wrote nothing"), machine)


def _lastObject(output: str) -> Optional[dict[str, Any]]:
    for line in reversed(output.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and "medsam2_check" in found:
            return found
    return None
