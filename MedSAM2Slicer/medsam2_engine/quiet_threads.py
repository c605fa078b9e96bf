"""How the threads of torch wait for each other. Without torch: torch reads this once, when it is imported."""

from __future__ import annotations

from collections.abc import MutableMapping


def quiet_waiting(environment: MutableMapping[str, str]) -> None:
    """Let waiting threads sleep instead of spin on a core that Slicer could use. What is set already stays."""
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # GNU and LLVM OpenMP
    environment.setdefault("KMP_BLOCKTIME", "0")  # Intel and LLVM OpenMP, in milliseconds
