"""Programs that an installation starts, imitated: `python fake_uv.py uv|python|PythonSlicer ARGUMENTS...`.

FAKE_INSTALL names a folder: `behaviour.json` there says how to behave (see `conftest.py`), and every call is appended
to `calls.jsonl` with its environment. The texts are those of uv 0.13.8 and pip.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ["FAKE_INSTALL"])
DISK_FULL = (
    "error: Failed to download `numpy==2.4.6`\n"
    "  cause: failed to write to file `c/numpy/__version__.pyi`: No space left on device (os error 28)"
)
NO_NETWORK = (
    "error: Request failed after 3 retries in 6.5s\n"
    "  cause: Failed to fetch: https://pypi.org/simple/torch/\n"
    "  cause: client error (Connect)\n"
    "  cause: dns error\n"
    "  cause: failed to lookup address information: Name or service not known"
)
NO_WHEEL = (
    "error: No solution found when resolving dependencies\n"
    "  cause: Because torch was not found in the provided package locations and you require torch>=2.5, we can "
    "conclude that your requirements are unsatisfiable."
)
NO_PYTHON = "error: No interpreter found for Python >=3.10, <3.14 in virtual environments, managed installations"
TROUBLE = {"disk_full": DISK_FULL, "no_network": NO_NETWORK, "no_wheel": NO_WHEEL, "no_python": NO_PYTHON}
PACKAGES = ("torch (180.4MiB)", "simpleitk (50.1MiB)", "numpy (16.1MiB)")


def main() -> int:
    role, *arguments = sys.argv[1:]
    behaviour = json.loads((FOLDER / "behaviour.json").read_text())
    with (FOLDER / "calls.jsonl").open("a") as calls:
        entry = {"role": role, "arguments": arguments, "environment": dict(os.environ), "pid": os.getpid()}
        calls.write(json.dumps(entry) + "\n")
    if role == "uv":
        return uv(arguments, behaviour)
    return python(arguments, behaviour) if role == "python" else slicer_python(arguments, behaviour)


def uv(arguments: list[str], behaviour: dict[str, str]) -> int:
    if arguments == ["--version"]:
        print(behaviour.get("version", "uv 0.13.8 (x86_64-unknown-linux-gnu)"))
        return 0
    command = "venv" if arguments[0] == "venv" else "pip"
    wanted = behaviour.get(command, "ok")
    if command == "venv" and "--managed-python" in arguments:
        wanted = behaviour.get("managed", wanted)
    return make_environment(Path(arguments[-1]), wanted) if command == "venv" else install(arguments, wanted)


def make_environment(folder: Path, wanted: str) -> int:
    if wanted != "ok":
        return misbehave(wanted)
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text("home = nowhere\n")
    write_program(folder / "bin" / "python", "python")
    say("Creating virtual environment at: env")
    return 0


def install(arguments: list[str], wanted: str) -> int:
    site = Path(arguments[arguments.index("--python") + 1]).parents[1] / "lib"
    say("Resolved 12 packages in 343ms")
    for package in PACKAGES:
        say(f"Downloading {package}")
    site.mkdir(exist_ok=True)
    (site / "half-made").write_text("half of torch")
    cache = Path(os.environ["UV_CACHE_DIR"])
    cache.mkdir(exist_ok=True)
    (cache / "numpy.whl").write_text("complete")
    if wanted not in ("ok", "slow"):
        return misbehave(wanted)
    for package in reversed(PACKAGES):
        time.sleep(0.15 if wanted == "slow" else 0)
        say(f" Downloaded {package.split()[0]}")
    say("Prepared 12 packages in 983ms\nInstalled 12 packages in 153ms\n + torch==2.13.0+cpu")
    return 0


def misbehave(wanted: str) -> int:
    if wanted == "hang":
        # As a launcher does: the work is done by a child, which must not survive.
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        (FOLDER / "grandchild").write_text(str(child.pid))
        time.sleep(60)
    if wanted == "crash":
        os.abort()
    say(TROUBLE[wanted])
    return 2


def python(arguments: list[str], behaviour: dict[str, str]) -> int:
    """Of the environment; it is only ever asked for the check."""
    assert arguments == ["-m", "medsam2_engine", "check"], arguments
    if behaviour.get("check") == "crash":
        os.abort()
    report = {"medsam2_check": 1, "python": "3.12.1", "torch": "2.13.0+cpu", "cuda": None, "device": "cpu"}
    report.update({"title": "CPU, 1 thread", "fault": "", "cuda_fault": ""})
    report.update(behaviour.get("report", {}))
    print(json.dumps(report))
    return 0 if "missing" not in report else 1


def slicer_python(arguments: list[str], behaviour: dict[str, str]) -> int:
    if arguments[0] == "-c":
        os.execv(sys.executable, [sys.executable, *arguments])
    assert arguments[:3] == ["-m", "pip", "install"], arguments
    if behaviour.get("get_uv", "ok") != "ok":
        print("WARNING: Retrying (Retry(total=1)) after connection broken by 'NewConnectionError': /simple/uv/")
        print("ERROR: No matching distribution found for uv==0.13.8", file=sys.stderr)
        return 1
    target = Path(arguments[arguments.index("--target") + 1])
    (target / "bin").mkdir(parents=True, exist_ok=True)
    write_program(target / "bin" / "uv", "uv")
    return 0


def write_program(path: Path, role: str) -> None:
    """A command that is this file in the given role."""
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{__file__}" {role} "$@"\n')
    path.chmod(0o755)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
