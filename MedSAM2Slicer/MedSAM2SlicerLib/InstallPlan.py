"""What an installation of the engine would do, as command lines to run; `InstallText` says it to a person.

No Qt and no process here. A plan is made of phases; a phase is done when one of its attempts succeeds, tried in order.
Where uv lies is known only when the first phase is done: until then `UV` stands for it in the command lines.
"""

from __future__ import annotations

import re
import shutil
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
SHARES = {FETCH_UV: 0.04, MAKE_PYTHON: 0.08, FETCH_PACKAGES: 0.78, CHECK: 0.1, TIDY: 0.0}

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
        self.parts = packageFolder / "Resources" / "training-requirements.txt"
        self._packageFolder = packageFolder
        self.proxy = normalizedProxy(options.proxy) or machine.systemProxy
        self.usesCuda = self.backend.startswith("cu") or (self.backend == AUTOMATIC and machine.hasNvidia)

    @property
    def isOffline(self) -> bool:
        return bool(self.options.wheelFolder)

    @property
    def size(self) -> Size:
        return estimatedSize(self.machine.system, self.usesCuda)

    @property
    def isOfOrdinaryIndex(self) -> bool:
        """On Windows and macOS the ordinary index has the CPU build: one server less that has to be reachable."""
        return self.backend == INDEX or (self.backend == CPU and self.machine.system != LINUX)

    @property
    def hasOwnIndex(self) -> bool:
        """Somebody set up another package index than the public one for uv or pip."""
        environment = self._uvEnvironment()
        return any(environment.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"))

    def phases(self, uvOnPath: Optional[str]) -> list[Phase]:
        """`uvOnPath` is a uv that somebody else installed, if there is one."""
        return [
            Phase(FETCH_UV, _("Getting the installer uv"), self._uvAttempts(uvOnPath)),
            Phase(MAKE_PYTHON, _("Getting a Python for the engine"), self._pythonAttempts()),
            Phase(FETCH_PACKAGES, _("Getting PyTorch and the other packages"), (self._packages(),)),
            checkPhase(self.machine, self.folder.python, self._packageFolder),
        ]

    def partsPhases(self, uvOnPath: Optional[str]) -> list[Phase]:
        """Of adding what training needs to an environment that is there."""
        return [
            Phase(FETCH_UV, _("Getting the installer uv"), self._uvAttempts(uvOnPath)),
            Phase(FETCH_PACKAGES, _("Getting the parts for training"), (self._packages(self.parts),)),
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
        environment = slicerPythonEnvironment(self.machine, self.proxy)
        return (*asked, Attempt(_slicerPython(self.machine), self._pipArguments(), environment, uv=own[0]))

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

    def _packages(self, *more: Path) -> Attempt:
        """The engine's packages, and those of other lists beside them; PyTorch stays the one that is there."""
        arguments = ["pip", "install", "--python", str(self.folder.python)]
        for requirements in (self.requirements, *more):
            arguments += ["--requirement", str(requirements)]
        arguments += ["--only-binary", ":all:"]
        if self.isOffline:
            arguments += ["--no-index", "--find-links", self.options.wheelFolder]
        elif not self.isOfOrdinaryIndex:
            arguments += ["--torch-backend", self.backend]
        return Attempt(UV, tuple(arguments), self._uvEnvironment())

    def _uvEnvironment(self) -> dict[str, str]:
        return uvEnvironment(self.machine, self.folder, self.proxy, self.options.wheelFolder)


def checkPhase(machine: HostMachine, python: Path, packageFolder: Path) -> Phase:
    """A real computation by `python`; see `EnvironmentCheck` for what it answers."""
    environment = engineEnvironment(machine, packageFolder)
    attempt = Attempt(str(python), ("-m", "medsam2_engine", "check"), environment)
    return Phase(CHECK, _("Computing on the device"), (attempt,))


def tidyPhase(machine: HostMachine, paths: list[Path]) -> Phase:
    """Delete folders, in a process because they have too many files to wait for."""
    arguments = ("-c", _DELETE, *(str(path) for path in paths))
    attempt = Attempt(_slicerPython(machine), arguments, slicerPythonEnvironment(machine, ""))
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


def _slicerPython(machine: HostMachine) -> str:
    """Where it is not found the name alone at least gives an error that says so. `sys.executable` may be Slicer."""
    return machine.slicerPython or "PythonSlicer"


def _backendFor(machine: HostMachine, options: InstallOptions) -> str:
    """Automatic means CUDA where an NVIDIA driver is found; elsewhere uv might choose a build the engine cannot use."""
    if options.backend != AUTOMATIC:
        return options.backend
    return AUTOMATIC if machine.hasNvidia else CPU
