"""Do not outlive the host.

A closed stdin says it first; this is for hosts that die while somebody else holds a copy of the pipe open.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time

POLL_S = 1.0


def exit_with_parent(pid: int) -> None:
    """Watch the process `pid` from a daemon thread; when it is gone, end this process at once."""
    threading.Thread(target=_watch, args=(pid,), daemon=True, name="parent watch").start()


def _watch(pid: int) -> None:
    while is_alive(pid):
        time.sleep(POLL_S)
    os._exit(0)


def is_alive(pid: int) -> bool:
    """Whether a process exists. A zombie, which nobody has waited for yet, counts as gone."""
    return _is_alive_on_windows(pid) if sys.platform == "win32" else _is_alive_on_posix(pid)


def _is_alive_on_posix(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Linux tells in /proc; elsewhere a zombie counts as alive until it is waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def _is_alive_on_windows(pid: int) -> bool:
    synchronize, timeout = 0x00100000, 0x00000102
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined,unused-ignore]
    handle = kernel.OpenProcess(synchronize, False, pid)
    if not handle:
        return False
    alive = kernel.WaitForSingleObject(handle, 0) == timeout
    kernel.CloseHandle(handle)
    return bool(alive)
