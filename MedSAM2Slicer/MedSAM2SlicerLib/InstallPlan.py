"""What an installation of the engine would do, as text for a person to agree to and as command lines to run.

No Qt and no process here. A plan is made of phases; a phase is done when one of its attempts succeeds, tried in order.
Where uv lies is known only when the first phase is done: until then `UV` stands for it in the command lines.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from slicer.i18n import tr as _

from MedSAM2SlicerLib.ChildEnvironment import engineEnvironment, slicerPythonEnvironment, uvEnvironment
from MedSAM2SlicerLib.EngineFolder import EngineFolder
from MedSAM2SlicerLib.HostMachine import LINUX, MACOS, WINDOWS, HostMachine

UV = "<uv>"
UV_VERSION = "0.13.8"
UV_OLDEST = (0, 8)
PYTHON_VERSION = "3.12"
PYTHON_RANGE = ">=3.10,<3.14"

# Backends of PyTorch that can be chosen. INDEX leaves the build to a package index of one's own.
AUTOMATIC, CPU, CUDA, OLDER_CUDA, INDEX = "auto", "cpu", "cu128", "cu126", "index"

# Phases, in their order, and how much of the progress bar each is.
FETCH_UV, MAKE_PYTHON, FETCH_PACKAGES, CHECK, TIDY = "uv", "python", "packages", "check", "tidy"
SHARES = {FETCH_UV: 0.04, MAKE_PYTHON: 0.08, FETCH_PACKAGES: 0.82, CHECK: 0.04, TIDY: 0.02}

_DELETE = "import shutil, sys; [shutil.rmtree(path, ignore_errors=True) for path in sys.argv[1:]]"


@dataclass(frozen=True)
class InstallOptions:
    """What a person may set before an installation; empty means: not set."""

    backend: str = AUTOMATIC
    wheelFolder: str = ""
    proxy: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Attempt:
    """A command line with its complete environment. `uv` is where uv lies if the attempt succeeds."""

    program: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    uv: str = ""


@dataclass(frozen=True)
class Phase:
    """One step of a plan in the user's words. A phase that is not `isRequired` may fail without consequences."""

    name: str
    title: str
    attempts: tuple[Attempt, ...]
    isRequired: bool = True


@dataclass(frozen=True)
class PlanText:
    """What a person is asked to agree to."""

    title: str
    lines: tuple[str, ...]
    accept: str


@dataclass(frozen=True)
class Size:
    """Estimates, in bytes."""

    download: int
    disk: int


class InstallPlan:
    """One installation. `packageFolder` holds the extension's packages and Resources."""

    def __init__(
        self, machine: HostMachine, options: InstallOptions, folder: EngineFolder, packageFolder: Path
    ) -> None:
        self.machine = machine
        self.options = options
        self.folder = folder
        self.backend = _backendFor(machine, options)
        self.requirements = packageFolder / "Resources" / "engine-requirements.txt"
        self._packageFolder = packageFolder
        self._proxy = normalizedProxy(options.proxy) or machine.systemProxy
        self._usesCuda = self.backend.startswith("cu") or (self.backend == AUTOMATIC and machine.hasNvidia)

    @property
    def isOffline(self) -> bool:
        return bool(self.options.wheelFolder)

    @property
    def size(self) -> Size:
        return estimatedSize(self.machine.system, self._usesCuda)

    def text(self, isRepair: bool = False) -> PlanText:
        title = _("Repair the engine?") if isRepair else _("Install the engine?")
        lines = [self._what(), self._howLarge(), self._fromWhere(), self._licences(), self._whereTo()]
        if self.folder.isUnfinished:
            lines.append(_("An installation was interrupted; what it had downloaded completely is used again."))
        return PlanText(title, tuple(lines), _("Repair now") if isRepair else _("Install now"))

    def phases(self, uvOnPath: Optional[str]) -> list[Phase]:
        """`uvOnPath` is a uv that somebody else installed, if there is one."""
        return [
            Phase(FETCH_UV, _("Getting the installer uv"), self._uvAttempts(uvOnPath)),
            Phase(MAKE_PYTHON, _("Getting a Python for the engine"), self._pythonAttempts()),
            Phase(FETCH_PACKAGES, _("Getting PyTorch and the other packages"), (self._packages(),)),
            Phase(
                CHECK,
                _("Computing on the device"),
                (checkAttempt(self.machine, self.folder.python, self._packageFolder),),
            ),
        ]

    # ---- the command lines

    def _uvAttempts(self, uvOnPath: Optional[str]) -> tuple[Attempt, ...]:
        environment = self._uvEnvironment()
        names = ("bin/uv.exe", "Scripts/uv.exe") if self.machine.isWindows else ("bin/uv",)
        own = [str(self.folder.root / "uv" / name) for name in names]
        present = [path for path in own if Path(path).is_file()]
        # An Intel uv would make an Intel environment, which PyTorch does not support any more.
        present += [uvOnPath] if uvOnPath and not self.machine.isTranslated else []
        asked = [Attempt(path, ("--version",), environment, uv=path) for path in present]
        fetched = [Attempt(self.machine.slicerPython, self._pipArguments(), self._pipEnvironment(), uv=own[0])]
        return tuple(asked + (fetched if self.machine.slicerPython else []))

    def _pipArguments(self) -> tuple[str, ...]:
        target = str(self.folder.root / "uv")
        arguments = ["-m", "pip", "install", "--upgrade", "--no-deps", "--only-binary=:all:", "--target", target]
        arguments += ["--disable-pip-version-check", "--no-warn-script-location", "--no-input"]
        if self.machine.isTranslated:
            arguments += ["--platform", "macosx_11_0_arm64"]
        if self.isOffline:
            oldest = ".".join(str(number) for number in UV_OLDEST)
            return (*arguments, "--no-index", "--find-links", self.options.wheelFolder, f"uv>={oldest}")
        return (*arguments, "--retries", "2", f"uv=={UV_VERSION}")

    def _pythonAttempts(self) -> tuple[Attempt, ...]:
        environment, target = self._uvEnvironment(), str(self.folder.environment)
        wanted = pythonOfWheels(self.options.wheelFolder) or PYTHON_RANGE
        present = Attempt(UV, ("venv", "--no-python-downloads", "--python", wanted, target), environment)
        if self.isOffline:
            return (present,)
        # One that uv fetched does not disappear with the next update of the system.
        fetched = Attempt(UV, ("venv", "--managed-python", "--python", PYTHON_VERSION, target), environment)
        return (fetched, present)

    def _packages(self) -> Attempt:
        arguments = ["pip", "install", "--python", str(self.folder.python), "--requirement", str(self.requirements)]
        arguments += ["--only-binary", ":all:"]
        if self.isOffline:
            arguments += ["--no-index", "--find-links", self.options.wheelFolder]
        elif self.backend != INDEX:
            arguments += ["--torch-backend", self.backend]
        return Attempt(UV, tuple(arguments), self._uvEnvironment())

    def _uvEnvironment(self) -> dict[str, str]:
        return uvEnvironment(self.machine, self.folder, self._proxy, self.options.wheelFolder)

    def _pipEnvironment(self) -> dict[str, str]:
        return slicerPythonEnvironment(self.machine, self._proxy)

    # ---- the text

    def _what(self) -> str:
        builds = {
            CPU: _("PyTorch for the CPU"),
            INDEX: _("PyTorch as the package index has it"),
            AUTOMATIC: _("PyTorch for the NVIDIA GPU of this machine"),
            CUDA: _("PyTorch for NVIDIA GPUs (CUDA 12.8)"),
            OLDER_CUDA: _("PyTorch for older NVIDIA GPUs (CUDA 12.6)"),
        }
        build = _("PyTorch from the wheel folder") if self.isOffline else builds[self.backend]
        return _("What: a Python of its own, {build}, NumPy, SimpleITK, safetensors, pynrrd.").format(build=build)

    def _howLarge(self) -> str:
        free = _bytes(freeBytes(self.folder.root))
        if self.isOffline:
            return _("Size: nothing is downloaded; about {disk} on the disk, {free} are free.").format(
                disk=_bytes(self.size.disk), free=free
            )
        return _("Size: about {download} to download; about {disk} on the disk, {free} are free.").format(
            download=_bytes(self.size.download), disk=_bytes(self.size.disk), free=free
        )

    def _fromWhere(self) -> str:
        if self.isOffline:
            return _("From: {folder}.").format(folder=self.options.wheelFolder)
        hosts = _("pypi.org, download.pytorch.org and github.com (Python)")
        if not self._proxy:
            return _("From: {hosts}. No image and nothing about it leaves this computer.").format(hosts=hosts)
        return _("From: {hosts}, through {proxy}. No image and nothing about it leaves this computer.").format(
            hosts=hosts, proxy=withoutPassword(self._proxy)
        )

    def _licences(self) -> str:
        free = _("PyTorch BSD-3-Clause, Python PSF, NumPy BSD, SimpleITK and safetensors Apache-2.0, pynrrd and uv MIT")
        if not self._usesCuda:
            return _("Licences: {free}.").format(free=free)
        return _("Licences: {free}; the CUDA libraries come under NVIDIA's licence agreement.").format(free=free)

    def _whereTo(self) -> str:
        return _("Into: {folder}. Slicer's own Python and everything else stay as they are.").format(
            folder=self.folder.root
        )


def removalText(folder: EngineFolder) -> PlanText:
    lines = (
        _("This folder is deleted, with everything in it: {folder}.").format(folder=folder.root),
        _("Scenes and segments are not touched. The engine can be installed again at any time."),
    )
    return PlanText(_("Remove the engine?"), lines, _("Remove now"))


def checkAttempt(machine: HostMachine, python: Path, packageFolder: Path) -> Attempt:
    """A real computation by `python`; see `EnvironmentCheck` for what it answers."""
    environment = engineEnvironment(machine, packageFolder)
    return Attempt(str(python), ("-m", "medsam2_engine", "check"), environment)


def tidyPhase(machine: HostMachine, paths: list[Path]) -> Phase:
    """Delete folders, in a process because they have too many files to wait for."""
    python = machine.slicerPython or sys.executable
    arguments = ("-c", _DELETE, *(str(path) for path in paths))
    attempt = Attempt(python, arguments, slicerPythonEnvironment(machine, ""))
    return Phase(TIDY, _("Deleting old files"), (attempt,), isRequired=False)


def engineFolderFor(machine: HostMachine, options: InstallOptions, version: str) -> EngineFolder:
    root = Path(options.folder) / "MedSAM2Slicer-engine" if options.folder else None
    return EngineFolder(root or machine.dataFolder / "MedSAM2Slicer" / "engine", version, machine.isWindows)


def engineVersion(packageFolder: Path) -> str:
    """Read, not imported: no file of the engine is ever imported into Slicer."""
    text = (packageFolder / "medsam2_engine" / "version.py").read_text(encoding="utf-8")
    found = re.search(r'^VERSION = "([\w.]+)"', text, re.M)
    assert found is not None, "version.py states the version"
    return found.group(1)


def estimatedSize(system: str, usesCuda: bool) -> Size:
    """Measured with PyTorch 2.13 on Linux (CPU); the others from the sizes of the published files, rounded up."""
    megabyte = 1_000_000
    if usesCuda:
        return Size(3000 * megabyte, 8000 * megabyte) if system == LINUX else Size(3000 * megabyte, 6000 * megabyte)
    return {
        LINUX: Size(400 * megabyte, 1500 * megabyte),
        WINDOWS: Size(350 * megabyte, 1400 * megabyte),
        MACOS: Size(250 * megabyte, 900 * megabyte),
    }.get(system, Size(400 * megabyte, 1500 * megabyte))


def freeBytes(folder: Path) -> int:
    """On the disk where `folder` is or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def pythonOfWheels(wheelFolder: str) -> str:
    """The version of Python that the folder's PyTorch is for, such as "3.12"; empty if there is none, or several."""
    if not wheelFolder or not Path(wheelFolder).is_dir():
        return ""
    names = [path.name for path in Path(wheelFolder).glob("torch-*.whl")]
    found = {match.group(1) for match in (re.search(r"-cp3(\d+)-cp3\d+t?-", name) for name in names) if match}
    return f"3.{found.pop()}" if len(found) == 1 else ""


def normalizedProxy(text: str) -> str:
    """With a scheme, as every program wants it."""
    text = text.strip()
    return text if not text or "://" in text else f"http://{text}"


def withoutPassword(text: str) -> str:
    """Addresses in `text` without the user and password they may hold."""
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1***@", text)


def _backendFor(machine: HostMachine, options: InstallOptions) -> str:
    """Automatic means CUDA where an NVIDIA driver is found; elsewhere uv might choose a build the engine cannot use."""
    if options.backend != AUTOMATIC:
        return options.backend
    if machine.hasNvidia:
        return AUTOMATIC
    # On Windows and macOS the ordinary index has the right build: one server less that has to be reachable.
    return CPU if machine.system == LINUX else INDEX


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
