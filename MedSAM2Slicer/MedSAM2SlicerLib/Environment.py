"""Which Python runs the engine, and with which environment variables. Nothing is installed here: see
`EngineInstaller`.

The engine's Python is looked for in this order: the path set in the panel, the variable MEDSAM2_ENGINE_PYTHON, a
`.venv` beside the extension's source tree. What a person named counts even if it is wrong: then the panel says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

SETTING = "MedSAM2Slicer/EnginePython"
VARIABLE = "MEDSAM2_ENGINE_PYTHON"

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
        for named, path in self._candidates():
            if not path:
                continue
            if os.path.isfile(path):
                return path
            if named:
                raise EngineNotInstalled(
                    _("There is no Python at {path}. Correct the engine's Python in the section Engine.").format(
                        path=path
                    )
                )
        raise EngineNotInstalled(
            _(
                "The engine is not installed. Install it in the section Engine, or choose there a Python that has "
                "PyTorch."
            )
        )

    def _candidates(self) -> list[tuple[bool, str]]:
        """Paths in order of preference, each with whether a person named it."""
        root = self._packageFolder.parent
        return [
            (True, enginePython()),
            (True, os.environ.get(VARIABLE, "")),
            (False, str(root / ".venv" / "bin" / "python")),
            (False, str(root / ".venv" / "Scripts" / "python.exe")),
        ]


def enginePython() -> str:
    """The path set in the panel, or an empty string."""
    return str(slicer.app.settings().value(SETTING, "") or "")


def setEnginePython(path: str) -> None:
    slicer.app.settings().setValue(SETTING, path)


def cleanEnvironment(packageFolder: Path) -> dict[str, str]:
    """The environment Slicer itself was started in, without what would mislead another Python."""
    startup = slicer.app.startupEnvironment()
    environment = {str(key): str(startup.value(key)) for key in list(startup.keys()) if not _isForeign(str(key))}
    environment["PYTHONPATH"] = str(packageFolder)
    environment["PYTHONNOUSERSITE"] = "1"
    # Idle OpenMP threads would otherwise spin and take the cores from Slicer's rendering.
    environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return environment


def _isForeign(variable: str) -> bool:
    return variable in _FOREIGN_VARIABLES or variable.startswith(_FOREIGN_PREFIXES)
