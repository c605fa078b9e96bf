"""What a person is asked to agree to before an installation or a removal: what, how large, which licences, where to."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from MedSAM2SlicerLib.EngineFolder import EngineFolder
from MedSAM2SlicerLib.HostMachine import MACOS
from MedSAM2SlicerLib.InstallPlan import (
    AUTOMATIC,
    CPU,
    CUDA,
    INDEX,
    OLDER_CUDA,
    InstallPlan,
    freeBytes,
    withoutPassword,
)


@dataclass(frozen=True)
class PlanText:
    """`accept` is what the button says."""

    title: str
    lines: tuple[str, ...]
    accept: str


def installText(plan: InstallPlan) -> PlanText:
    isRepair = plan.folder.isReady
    lines = [_what(plan), _howLarge(plan), _fromWhere(plan), _licences(plan), _whereTo(plan)]
    if plan.folder.isUnfinished:
        lines.append(_("An installation was interrupted; what it had downloaded completely is used again."))
    if isRepair:
        return PlanText(_("Repair the engine?"), tuple(lines), _("Repair now"))
    return PlanText(_("Install the engine?"), tuple(lines), _("Install now"))


def partsText(plan: InstallPlan) -> PlanText:
    lines = (
        _("What: PEFT for adapters, Matplotlib for the pictures of the report, and readers of DICOM segmentations."),
        _("Size: about 150 MB to download; {free} are free.").format(free=_bytes(freeBytes(plan.folder.root))),
        _fromWhere(plan),
        _("Licences: Apache-2.0 (PEFT, Accelerate, Transformers), MIT (DICOM readers), Matplotlib's own (BSD-like)."),
        _("Into: {folder}. PyTorch stays as it is.").format(folder=plan.folder.environment),
    )
    return PlanText(_("Get the parts for training?"), lines, _("Get them now"))


def removalText(folder: EngineFolder) -> PlanText:
    lines = (
        _("This folder is deleted, with everything in it: {folder}.").format(folder=folder.root),
        _("Scenes and segments are not touched. The engine can be installed again at any time."),
    )
    return PlanText(_("Remove the engine?"), lines, _("Remove now"))


def _what(plan: InstallPlan) -> str:
    builds = {
        CPU: _("PyTorch for the CPU"),
        INDEX: _("PyTorch as the package index has it"),
        AUTOMATIC: _("PyTorch for the NVIDIA GPU of this computer"),
        CUDA: _("PyTorch for NVIDIA GPUs (CUDA 12.8)"),
        OLDER_CUDA: _("PyTorch for older NVIDIA GPUs (CUDA 12.6)"),
    }
    build = _("PyTorch from the wheel folder") if plan.isOffline else builds[plan.backend]
    if plan.machine.system == MACOS and plan.backend == CPU and not plan.isOffline:
        build = _("PyTorch for this Mac")
    return _("What: a Python of its own, {build}, NumPy, SimpleITK, safetensors, pynrrd.").format(build=build)


def _howLarge(plan: InstallPlan) -> str:
    disk, free = _bytes(plan.size.disk), _bytes(freeBytes(plan.folder.root))
    if plan.isOffline:
        return _("Size: nothing is downloaded; about {disk} on the disk, {free} are free.").format(disk=disk, free=free)
    return _("Size: about {download} to download; about {disk} on the disk, {free} are free.").format(
        download=_bytes(plan.size.download), disk=disk, free=free
    )


def _fromWhere(plan: InstallPlan) -> str:
    if plan.isOffline:
        return _("From: {folder}.").format(folder=plan.options.wheelFolder)
    index = _("the package index set up on this computer") if plan.hasOwnIndex else "pypi.org"
    pytorch = "" if plan.isOfOrdinaryIndex else ", download.pytorch.org"
    hosts = _("{hosts} and github.com (Python)").format(hosts=index + pytorch)
    if plan.proxy:
        hosts = _("{hosts}, through {proxy}").format(hosts=hosts, proxy=withoutPassword(plan.proxy))
    return _("From: {hosts}. No image and nothing about it leaves this computer.").format(hosts=hosts)


def _licences(plan: InstallPlan) -> str:
    free = _("PyTorch BSD-3-Clause, Python PSF, NumPy BSD, SimpleITK and safetensors Apache-2.0, pynrrd and uv MIT")
    if not plan.usesCuda:
        return _("Licences: {free}.").format(free=free)
    return _("Licences: {free}; the CUDA libraries come under NVIDIA's licence agreement.").format(free=free)


def _whereTo(plan: InstallPlan) -> str:
    return _("Into: {folder}. Slicer's own Python and everything else stay as they are.").format(
        folder=plan.folder.root
    )


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
