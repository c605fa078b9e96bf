"""Ending a process and everything it has started, without waiting.

Slicer's own Python is a launcher: killing it alone would leave the real Python, and its download, behind.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import qt

from MedSAM2SlicerLib.HostMachine import LINUX, WINDOWS

# How long another program may take to end the tree before its root is killed alone.
_GRACE_MS = 1000


def killTree(process) -> None:
    """`process` is a running QProcess; it reports its end by its own signal."""
    pid = int(process.processId())
    if pid <= 0:
        process.kill()
    elif sys.platform == LINUX:
        doomed = _frozenDescendants(pid)
        process.kill()
        _signal(doomed, signal.SIGKILL)
    else:
        # The children are found through their parent, which must therefore not go first.
        onWindows, elsewhere = ["taskkill", "/T", "/F", "/PID", str(pid)], ["pkill", "-KILL", "-P", str(pid)]
        with contextlib.suppress(OSError):
            subprocess.Popen(
                onWindows if sys.platform == WINDOWS else elsewhere,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        qt.QTimer.singleShot(_GRACE_MS, lambda: process.kill())


def _frozenDescendants(pid: int) -> set[int]:
    """All below `pid`, stopped: a process that goes on could start another one after the look at the list."""
    found: set[int] = set()
    _signal({pid}, signal.SIGSTOP)
    while True:
        new = _descendants(pid) - found
        if not new:
            return found
        _signal(new, signal.SIGSTOP)
        found |= new


def _descendants(pid: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found, toVisit = set(), [pid]
    while toVisit:
        below = children.get(toVisit.pop(), [])
        found.update(below)
        toVisit += below
    return found


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)
