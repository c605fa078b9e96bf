"""How much memory can still be had, as far as the system tells."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import torch


def free_memory(device: str = "cpu") -> int | None:
    """Bytes that can still be had on a device ("cpu", "cuda", "mps") without pushing others out; None: nobody says."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return _ASKED.get(_platform(), _unknown)()


def available_in(meminfo: str) -> int | None:
    """Bytes that Linux's /proc/meminfo calls available."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def pages_in(vm_stat: str) -> int | None:
    """Bytes in the pages that macOS's vm_stat calls free, inactive or speculative."""
    head, *lines = vm_stat.splitlines()
    size = re.search(r"page size of (\d+) bytes", head)
    if size is None:
        return None
    counts = dict(line.split(":") for line in lines if line.count(":") == 1)
    return int(size[1]) * sum(
        int(counts.get(f"Pages {kind}", "0").strip(" .")) for kind in ("free", "inactive", "speculative")
    )


class _MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX of the Windows API."""

    _fields_ = [
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *(
            (name, ctypes.c_ulonglong)
            for name in ("total", "available", "total_page", "page", "total_virtual", "virtual", "extended")
        ),
    ]


def _of_windows() -> int | None:
    status = _MemoryStatus()
    status.length = ctypes.sizeof(status)
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009
    return int(status.available) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def _of_macos() -> int | None:
    try:
        return pages_in(subprocess.run(["vm_stat"], capture_output=True, text=True, check=True, timeout=5).stdout)
    except (OSError, subprocess.SubprocessError):
        return None


def _of_linux() -> int | None:
    return available_in(Path("/proc/meminfo").read_text(encoding="ascii"))


def _unknown() -> int | None:
    return None


def _platform() -> str:
    return sys.platform


_ASKED = {"linux": _of_linux, "win32": _of_windows, "darwin": _of_macos}
