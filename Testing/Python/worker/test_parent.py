"""Who counts as alive."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from medsam2_engine.parent import is_alive


@pytest.fixture
def a_process() -> Iterator[subprocess.Popen[bytes]]:
    """It lives until its stdin is closed."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_this_process_is_alive() -> None:
    assert is_alive(os.getpid())


def test_another_process_is_alive(a_process: subprocess.Popen[bytes]) -> None:
    assert is_alive(a_process.pid)


def test_a_process_that_was_waited_for_is_gone(a_process: subprocess.Popen[bytes]) -> None:
    a_process.kill()
    a_process.wait()
    assert not is_alive(a_process.pid)


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="tells a zombie from the living on Linux only")
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="tells a zombie from the living on Linux only")
def test_a_process_that_nobody_has_waited_for_is_gone(a_process: subprocess.Popen[bytes]) -> None:
    a_process.kill()
    os.waitid(os.P_PID, a_process.pid, os.WEXITED | os.WNOWAIT)  # it is dead now, and still a zombie
    assert not is_alive(a_process.pid)


@pytest.mark.skipif(sys.platform == "win32", reason="needs the first process of a POSIX system")
def test_a_process_of_somebody_else_is_alive() -> None:
    assert is_alive(1)
