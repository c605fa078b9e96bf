"""Which Python runs the engine, and with which environment variables. Nothing is installed here: see
`EngineInstaller`.

The engine's Python is looked for in this order: the path set in the panel, the variable MEDSAM2_ENGINE_PYTHON, a
`.venv` beside the extension's source tree. What a person named counts even if it is wrong: then the panel says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import slicer
from slicer.i18n import tr as _

SETTING = "MedSAM2Slicer/EnginePython"
VARIABLE = "MEDSAM2_ENGINE_PYTHON"
MODELS_SETTING = "MedSAM2Slicer/ModelsFolder"
MODELS_VARIABLE = "MEDSAM2_MODELS"
# Who named a Python.
BY_SETTING, BY_VARIABLE, BESIDE_SOURCE = "setting", "variable", "source"

# Slicer's own Python, libraries and Qt would break a foreign Python that inherits them.
_FOREIGN_VARIABLES = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_FOREIGN_PREFIXES = ("QT_", "DYLD_", "CONDA_")


class EngineNotInstalled(RuntimeError):
    """There is no Python to run the engine; the sentence says what to do next."""


@dataclass(frozen=True)
class EngineCommand:
    """A command line and the complete environment it runs in."""

    program: str
    arguments: tuple[str, ...]
    environment: dict[str, str]


@dataclass(frozen=True)
class NamedPython:
    """A path, and who named it. It may not exist."""

    path: str
    source: str

    @property
    def exists(self) -> bool:
        return os.path.isfile(self.path)


class EngineEnvironment:
    """The engine beside this extension, run by the Python that the user or the developer named."""

    def __init__(self, packageFolder: Path) -> None:
        """`packageFolder` holds `medsam2_engine` and `medsam2_protocol`."""
        self._packageFolder = packageFolder

    def command(self) -> EngineCommand:
        """
        Raises:
            EngineNotInstalled: no Python is named, or the one named does not exist.
        """
        arguments = ("-u", "-m", "medsam2_engine", "worker", "--parent-pid", str(os.getpid()))
        return EngineCommand(self.python(), arguments, cleanEnvironment(self._packageFolder))

    def python(self) -> str:
        """
        Raises:
            EngineNotInstalled: see `command`.
        """
        named = self.named()
        if named is None:
            raise EngineNotInstalled(
                _(
                    "The engine is not installed. Install it in the section Engine, or choose there a Python that has "
                    "PyTorch."
                )
            )
        if not named.exists:
            raise EngineNotInstalled(_missing(named))
        return named.path

    def named(self) -> Optional[NamedPython]:
        """The Python that counts; None if nobody named one and there is none beside the source tree."""
        root = self._packageFolder.parent
        for source, path in ((BY_SETTING, enginePython()), (BY_VARIABLE, os.environ.get(VARIABLE, ""))):
            if path:
                return NamedPython(path, source)
        for path in (root / ".venv" / "bin" / "python", root / ".venv" / "Scripts" / "python.exe"):
            if path.is_file():
                return NamedPython(str(path), BESIDE_SOURCE)
        return None


def _missing(named: NamedPython) -> str:
    if named.source == BY_VARIABLE:
        text = _("There is no Python at {path}, which {variable} names. Correct it, or install the engine here.")
        return text.format(path=named.path, variable=VARIABLE)
    return _("There is no Python at {path}. Correct the engine's Python in the section Engine.").format(path=named.path)


def enginePython() -> str:
    """The path set in the panel, or an empty string."""
    return str(slicer.app.settings().value(SETTING, "") or "")


def setEnginePython(path: str) -> None:
    slicer.app.settings().setValue(SETTING, path)


def modelsFolder() -> str:
    """Where models are kept, as set in the panel; empty: where the engine keeps them by itself."""
    return str(slicer.app.settings().value(MODELS_SETTING, "") or "")


def setModelsFolder(path: str) -> None:
    slicer.app.settings().setValue(MODELS_SETTING, path.strip())


def cleanEnvironment(packageFolder: Path) -> dict[str, str]:
    """The environment Slicer itself was started in, without what would mislead another Python."""
    startup = slicer.app.startupEnvironment()
    environment = {str(key): str(startup.value(key)) for key in list(startup.keys()) if not _isForeign(str(key))}
    environment["PYTHONPATH"] = str(packageFolder)
    environment["PYTHONNOUSERSITE"] = "1"
    # As its lines are read; Windows would give its pipes an encoding of the country's.
    environment["PYTHONIOENCODING"] = "utf-8"
    # Idle OpenMP threads would otherwise spin and take the cores from Slicer's rendering.
    environment["OMP_WAIT_POLICY"] = "PASSIVE"
    if modelsFolder():
        environment[MODELS_VARIABLE] = modelsFolder()
    return environment


def _isForeign(variable: str) -> bool:
    return variable in _FOREIGN_VARIABLES or variable.startswith(_FOREIGN_PREFIXES)
