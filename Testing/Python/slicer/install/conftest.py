"""A computer on which the engine can be installed in a second: uv, pip and the Pythons are imitated (`fake_uv`)."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "MedSAM2Slicer"
FAKE_UV = Path(__file__).with_name("fake_uv.py")


@pytest.fixture
def computer(
    app: Any, tmp_path: Path, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Computer]:
    import slicerhost

    monkeypatch.delenv("MEDSAM2_ENGINE_PYTHON", raising=False)
    slicerhost.slot_errors.clear()
    computer = Computer(tmp_path, wait_until)
    yield computer
    print(computer.installer.logText())  # pytest shows it where a test fails
    computer.installer.stop()
    wait_until(lambda: computer.alive() == [], 10)
    forget_settings()
    assert list(slicerhost.slot_errors) == []


class Computer:
    """`installer` works on it; `behave` tells the imitated programs what to do, `calls` what was asked of them."""

    def __init__(self, folder: Path, wait_until: Callable[..., None]) -> None:
        from MedSAM2SlicerLib.EngineInstaller import EngineInstaller

        forget_settings()
        self.folder = folder
        self.outcomes: list[Any] = []
        self.progress: list[tuple[float, str]] = []
        self._wait_until = wait_until
        self._overrides: dict[str, Any] = {}
        self._startup: dict[str, str] = {}
        # Installed as in Slicer: no source tree around it, where a developer's Python could lie.
        self.package = folder / "extension" / "MedSAM2Slicer"
        self.package.parent.mkdir()
        self.package.symlink_to(MODULE_FOLDER)
        (folder / "on-path").mkdir()
        write_program(folder / "PythonSlicer", "PythonSlicer")
        self.behave()
        self.installer = EngineInstaller(self.package, self.describe)
        self.installer.onFinished = self.outcomes.append
        self.installer.onProgress = lambda fraction, text: self.progress.append((fraction, text))

    def describe(self) -> Any:
        from MedSAM2SlicerLib.HostMachine import HostMachine

        variables = {
            "PATH": f"{self.folder / 'on-path'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder),
            "FAKE_INSTALL": str(self.folder),
            **self._startup,
        }
        facts: dict[str, Any] = {
            "system": "linux",
            "architecture": "x86_64",
            "isTranslated": False,
            "hasNvidia": False,
            "slicerHome": str(self.folder / "Slicer"),
            "slicerPython": str(self.folder / "PythonSlicer"),
            "dataFolder": self.folder / "data",
            "startup": variables,
            "own": {**variables, "OF_SLICERS_LAUNCHER": "needed"},
        }
        return HostMachine(**{**facts, **self._overrides})

    def be(self, **facts: Any) -> None:
        """Another kind of machine: fields of `HostMachine`."""
        self._overrides.update(facts)

    def set_variables(self, **variables: str) -> None:
        """In the environment Slicer was started in."""
        self._startup.update(variables)

    def behave(self, **behaviour: Any) -> None:
        """How the programs behave: version, managed, venv, pip, get_uv, check, report; see `fake_uv`."""
        (self.folder / "behaviour.json").write_text(json.dumps(behaviour))

    def put_uv_on_path(self) -> None:
        write_program(self.folder / "on-path" / "uv", "uv")

    def calls(self, role: str = "uv") -> list[dict[str, Any]]:
        log = self.folder / "calls.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [call for call in map(json.loads, lines) if call["role"] == role]

    def call(self, *beginning: str) -> dict[str, Any]:
        """The last call of uv that begins with these arguments."""
        return [call for call in self.calls() if call["arguments"][: len(beginning)] == list(beginning)][-1]

    def install(self) -> Any:
        self.installer.install()
        return self.finish()

    def finish(self) -> Any:
        """The outcome of the run that is under way."""
        self._wait_until(lambda: self.installer.lastOutcome is not None, 20)
        return self.installer.lastOutcome

    def start_and_wait_for(self, file: str) -> None:
        self.installer.install()
        self._wait_until((self.folder / file).exists, 20)

    def alive(self) -> list[str]:
        """Imitated programs, and what they started, that still run: they have this computer in their environment."""
        mark = f"FAKE_INSTALL={self.folder}\0".encode()
        return [folder.name for folder in Path("/proc").glob("[0-9]*") if mark in environment_of(folder)]


def environment_of(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes() + b"\0"
    except OSError:
        return b""


def write_program(path: Path, role: str) -> None:
    spec = importlib.util.spec_from_file_location("fake_uv", FAKE_UV)
    assert spec is not None
    assert spec.loader is not None
    os.environ.setdefault("FAKE_INSTALL", "")
    fake_uv = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake_uv)
    fake_uv.write_program(path, role)


def forget_settings() -> None:
    import slicer

    for key in ("EnginePython", "EngineBackend", "EngineWheelFolder", "EngineProxy", "EngineFolder"):
        slicer.app.settings().remove(f"MedSAM2Slicer/{key}")
