"""The commands of this repository, for a machine with nothing but Python:

    python3 dev.py demo    segment a real volume with the embedded checkpoint
    python3 dev.py test    every test and every check
    python3 dev.py bench   seconds per slice on this machine
    python3 dev.py lint    the checks alone
    python3 dev.py setup   the environment alone

Each makes sure of its environment first: `.venv` beside this file, versions from constraints.txt. A stamp in the
environment remembers what was installed, so a second run starts at once; a broken environment is made anew.
Only the standard library is used here, in syntax that old Pythons can read far enough to say they are too old.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent
CONSTRAINTS = ROOT / "constraints.txt"
OLDEST_PYTHON = (3, 10)
# The newest Python that has the headless Slicer of the tests comes first.
PYTHON_NAMES = ("python3.13", "python3.12", "python3.11", "python3.10", "python3")
FREE_DISK_GB = {"demo": 3, "test": 5}

TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PROBE_TIMEOUT_S = 5

# What a real Slicer runs: the module, and the test that it is installed.
HOST_SOURCES = (
    "MedSAM2Slicer/MedSAM2Slicer.py",
    "MedSAM2Slicer/MedSAM2SlicerLib",
    "MedSAM2Slicer/medsam2_protocol",
    "Testing/Slicer",
)
# In a process of their own, as Slicer is: no torch in it, and Qt set up before anybody else imports it.
HOST_TESTS, ENGINE_TESTS = "Testing/Python/slicer", "Testing/Python/engine"
CHECKS = {
    "ruff": ("ruff", "check", "."),
    "format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy",),
    "imports": ("lint-imports", "--no-logo", "--no-cache"),
    "python39": ("vermin", "--quiet", "--no-tips", "--violations", "-t=3.9-", *HOST_SOURCES),
}

# What Qt and VTK load from the system, and the Debian or Ubuntu package it comes in.
SYSTEM_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libX11.so.6": "libx11-6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libxkbcommon.so.0": "libxkbcommon0",
}


class DevError(Exception):
    """Something the person at the keyboard can mend; its text says how."""


def main(arguments: Sequence[str] | None = None) -> int:
    options, rest = parser().parse_known_args(arguments)
    if rest and options.command not in ("demo", "test", "bench"):
        parser().error("unknown: " + " ".join(rest))
    try:
        return int(options.run(options, rest))
    except DevError as error:
        print(f"\ndev.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n\nEach")[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default_venv = os.environ.get("MEDSAM2_VENV") or ROOT / ".venv"
    top.add_argument("--venv", type=Path, default=default_venv, help="the environment (also MEDSAM2_VENV); else .venv")
    commands = top.add_subparsers(dest="command", required=True)
    # `demo --help` and `bench --help` are answered by the scripts they start.
    for name, run, text, answers_help in (
        ("demo", demo, "segment a real volume: [VOLUME --label LABEL] [-o FOLDER] [--device D] [--model M]", False),
        ("test", test, "run all tests and checks; arguments go to pytest", False),
        ("bench", bench, "measure seconds per slice", False),
        ("lint", lint, "run the checks, or those named", True),
        ("setup", setup, "make the environment and stop", True),
        ("packages", packages, "print the Debian packages the tests need and this machine lacks", True),
    ):
        command = commands.add_parser(name, help=text, description=text, add_help=answers_help)
        command.set_defaults(run=run)
        if name == "lint":
            command.add_argument("checks", nargs="*", metavar="CHECK", help=", ".join(CHECKS))
    return top


def demo(options: argparse.Namespace, rest: list[str]) -> int:
    python = prepare(options.venv, "demo")
    return call([python, ROOT / "Testing/demo.py", *rest])


def test(options: argparse.Namespace, rest: list[str]) -> int:
    refuse_without_libraries()
    python = prepare(options.venv, "test")
    if rest:
        return run_pytest(python, *rest)
    runs = [[ENGINE_TESTS], [f"--ignore={HOST_TESTS}", f"--ignore={ENGINE_TESTS}"]]
    if has_modules(python, "slicer_core"):
        runs.insert(0, ["--override-ini=python_files=test_[a-r]*.py", HOST_TESTS])
        runs.insert(2, ["--override-ini=python_files=test_[s-z]*.py", HOST_TESTS])
    else:
        print("dev.py: no headless Slicer for this Python, its tests are left out; Python 3.10 to 3.13 runs them all.")
    with tempfile.TemporaryDirectory() as folder:
        reports: list[Path] = []
        for run in runs:
            reports.append(Path(folder) / f"{len(reports)}.xml")
            run.append(f"--junit-xml={reports[-1]}")
        codes = two_at_a_time(runs, python)
        print(closing_line([report for report in reports if report.exists()]))
    return max(codes)


def bench(options: argparse.Namespace, rest: list[str]) -> int:
    python = prepare(options.venv, "demo")
    return call([python, ROOT / "Testing/Benchmarks/speed.py", *rest])


def lint(options: argparse.Namespace, rest: list[str]) -> int:
    unknown = set(options.checks) - set(CHECKS)
    if unknown:
        raise DevError(f"no check called {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}.")
    python = prepare(options.venv, "test")
    failed = [name for name in options.checks or CHECKS if call(*check_command(name, python))]
    if failed:
        print("dev.py: failed: " + ", ".join(failed), file=sys.stderr)
    return 1 if failed else 0


def setup(options: argparse.Namespace, rest: list[str]) -> int:
    print(prepare(options.venv, "test"))
    return 0


def packages(options: argparse.Namespace, rest: list[str]) -> int:
    print(*([] if can_make_environments(sys.executable) else ["python3-venv"]), *missing_libraries().values())
    return 0


def run_pytest(python: Path, *arguments: str, output: TextIO | None = None) -> int:
    return call([python, "-m", "pytest", *arguments], {"QT_QPA_PLATFORM": "offscreen"}, output)


def two_at_a_time(runs: Sequence[Sequence[str]], python: Path) -> list[int]:
    """Runs of pytest, each begun when one of two before it has ended; their exit codes.

    The first is seen as it goes, the others when they have ended, whole.
    """
    with ThreadPoolExecutor(2) as pool, contextlib.ExitStack() as stack:
        begun: list[tuple[Future[int], TextIO | None]] = []
        for arguments in runs:
            output: TextIO | None = None
            if begun:
                output = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace"))
            begun.append((pool.submit(run_pytest, python, *arguments, output=output), output))
        codes = []
        for run, output in begun:
            codes.append(run.result())
            if output is not None:
                output.seek(0)
                shutil.copyfileobj(output, sys.stdout)
    return codes


def closing_line(reports: Sequence[Path]) -> str:
    """All runs as one count."""
    suites = [suite for report in reports for suite in ElementTree.parse(report).iter("testsuite")]
    total, failures, errors, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    return f"{total - failures - errors - skipped} passed, {failures + errors} failed, {skipped} skipped"


def check_command(name: str, python: Path) -> tuple[list[str | Path], dict[str, str]]:
    """One of CHECKS as a command line of the environment `python` belongs to, and the variables it needs."""
    program, *arguments = CHECKS[name]
    # import-linter reads the packages from where they lie: MedSAM2SlicerLib is never installed.
    return [python.parent / program, *arguments], {"PYTHONPATH": str(ROOT / "MedSAM2Slicer")}


def call(command: Sequence[str | Path], variables: dict[str, str] | None = None, output: TextIO | None = None) -> int:
    sys.stdout.flush()
    environment = {**clean_environment(), **(variables or {})}
    errors = subprocess.STDOUT if output is not None else None
    return subprocess.call([str(part) for part in command], cwd=ROOT, env=environment, stdout=output, stderr=errors)


# The environment


def prepare(venv: Path, extra: str) -> Path:
    """Makes sure that `venv` holds this repository with its `extra` requirements; returns its Python."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise DevError(f"this is Python {found}; Python 3.10 or later is needed (try python3.11 dev.py …).")
    venv = Path(os.path.abspath(venv))
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamps = [venv / f"medsam2-{name}.stamp" for name in (extra, "test")]
    works = has_modules(python, "pip")
    if works and any(is_current(stamp) for stamp in stamps) and has_modules(python, "torch", "medsam2_engine"):
        return python
    if not works:
        create(venv)
    install(venv, python, extra)
    stamps[0].write_text(fingerprint())
    return python


def is_current(stamp: Path) -> bool:
    return stamp.is_file() and stamp.read_text() == fingerprint()


def fingerprint() -> str:
    """Changes whenever the environment has to be looked at again: other pins, other metadata, a moved checkout."""
    digest = hashlib.sha256(str(ROOT).encode())
    for file in (CONSTRAINTS, ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def has_modules(python: str | Path, *names: str) -> bool:
    code = f"import importlib.util as u, sys; sys.exit(not all(u.find_spec(n) for n in {names!r}))"
    return answers(python, "-c", code)


def answers(*command: str | Path) -> bool:
    """Whether the command exists and ends well; a shim or a link that leads nowhere does not."""
    try:
        done = subprocess.run([str(part) for part in command], cwd=ROOT, env=clean_environment(), capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def create(venv: Path) -> None:
    if venv.exists() and not (venv / "pyvenv.cfg").is_file() and any(venv.iterdir()):
        raise DevError(f"{venv} is there and is no Python environment; name another folder with --venv.")
    base = base_python()
    print(f"dev.py: making {venv} with {base}")
    shutil.rmtree(venv, ignore_errors=True)
    made = subprocess.run([base, "-m", "venv", str(venv)], capture_output=True, text=True, env=clean_environment())
    if made.returncode:
        raise DevError(f"{base} could not make {venv}:\n{made.stdout}{made.stderr}")


def base_python() -> str:
    """The Python to build the environment on: this one if it can run every test, else the best one that is found."""
    named = [path for path in map(shutil.which, PYTHON_NAMES) if path]
    running = [sys.executable]
    candidates = running + named if sys.version_info < (3, 14) else named + running
    for python in candidates:
        fits = answers(python, "-c", f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON!r})")
        if fits and can_make_environments(python):
            return python
    raise DevError(
        f"{sys.executable} has no ensurepip, which Python's venv needs.\nOn Debian and Ubuntu: apt install python3-venv"
    )


def can_make_environments(python: str) -> bool:
    return answers(python, "-c", "import ensurepip, venv")


def clean_environment() -> dict[str, str]:
    """Without the variables that would lead pip or Python out of the environment."""
    unwanted = {"PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_CONSTRAINT"}
    return {name: value for name, value in os.environ.items() if name not in unwanted}


# Installation


def install(venv: Path, python: Path, extra: str) -> None:
    free_gb = shutil.disk_usage(venv).free / 1e9
    if free_gb < FREE_DISK_GB[extra] and not has_modules(python, "torch"):
        raise DevError(f"{free_gb:.1f} GB are free at {venv}; the environment needs {FREE_DISK_GB[extra]} GB.")
    # torch first and alone: where its own index is used, nothing else is taken from there.
    pip(python, "torch", *torch_index())
    pip(python, "setuptools")
    pip(python, "--no-build-isolation", "--editable", f"{ROOT}[{extra}]")


def torch_index() -> list[str]:
    """Options that let pip find the right build of torch.

    On Linux the ordinary index has the CUDA build, gigabytes that a machine without an NVIDIA card cannot use; the
    CPU build is on PyTorch's own index. MEDSAM2_TORCH_INDEX names another one, and empty means the ordinary one.
    """
    chosen = os.environ.get("MEDSAM2_TORCH_INDEX")
    if chosen is None:
        wanted = sys.platform == "linux" and not has_nvidia_card()
        chosen = TORCH_CPU_INDEX if wanted and is_reachable(TORCH_CPU_INDEX) else ""
    return ["--extra-index-url", chosen] if chosen else []


def has_nvidia_card() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def is_reachable(index: str) -> bool:
    # pip would try an unreachable index again and again, for every package; one short question is enough.
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=PROBE_TIMEOUT_S):
            return True
    except (OSError, ValueError):
        print(f"dev.py: {index} does not answer; torch comes from pip's ordinary index.")
        return False


def pip(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-c", str(CONSTRAINTS), *arguments]
    print("dev.py: pip install", *arguments, flush=True)
    process = subprocess.Popen(command, cwd=ROOT, env=clean_environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    complaints = []
    for line in process.stderr:
        sys.stderr.write(line)
        complaints.append(line)
    if process.wait():
        raise DevError(advice("".join(complaints)))


def advice(complaints: str) -> str:
    """What to do about a failed pip, from what it wrote to stderr."""
    again = "Then run the same command again: it goes on where this one stopped."
    if "No space left on device" in complaints or "Disk quota exceeded" in complaints:
        return f"the disk is full. Make room (or name a roomier place with --venv and TMPDIR). {again}"
    if any(sign in complaints for sign in ("NewConnectionError", "ConnectTimeout", "ReadTimeout", "ProxyError")):
        return f"pip could not reach the package index. Look at the network and proxy settings. {again}"
    if "No matching distribution" in complaints or "ResolutionImpossible" in complaints:
        return f"there is no build of a package above for this Python ({sys.version.split()[0]}, {sys.platform})."
    return "pip could not install the environment; its message is above."


# System libraries


def refuse_without_libraries() -> None:
    missing = missing_libraries()
    if missing:
        raise DevError(
            f"the tests draw with Qt and OpenGL and miss {', '.join(missing)}.\n"
            f"On Debian and Ubuntu: sudo apt-get install -y {' '.join(missing.values())}"
        )


def missing_libraries() -> dict[str, str]:
    """Library → Debian package of those of SYSTEM_LIBRARIES that cannot be loaded here."""
    if sys.platform != "linux":
        return {}
    return {library: package for library, package in SYSTEM_LIBRARIES.items() if not is_loadable(library)}


def is_loadable(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
