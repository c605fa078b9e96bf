"""What is free is read from what the system says."""

from __future__ import annotations

import sys

import pytest

from medsam2_engine import free_memory as asked
from medsam2_engine.free_memory import available_in, free_memory, pages_in

MEMINFO = "MemTotal:       16000000 kB\nMemFree:          500000 kB\nMemAvailable:    9000000 kB\n"
VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                                5000.
Pages active:                            200000.
Pages inactive:                          100000.
Pages speculative:                         3000.
"Translation faults":                 123456789.
"""


def test_linux_says_what_is_available() -> None:
    assert available_in(MEMINFO) == 9_000_000 * 1024


def test_a_linux_that_does_not_say_it_is_no_error() -> None:
    assert available_in("MemTotal: 1 kB\n") is None


def test_macos_says_it_in_pages() -> None:
    assert pages_in(VM_STAT) == 16384 * 108_000


def test_other_words_of_macos_are_no_error() -> None:
    assert pages_in("vm_stat: unknown\n") is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/meminfo")
def test_this_machine_has_some() -> None:
    free = free_memory()
    assert free is not None
    assert free > 1 << 20


def test_another_system_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "_platform", lambda: "aix")
    assert free_memory() is None


def test_a_mac_without_the_program_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(asked, "_platform", lambda: "darwin")
    monkeypatch.setattr(asked.subprocess, "run", fail)
    assert free_memory() is None
