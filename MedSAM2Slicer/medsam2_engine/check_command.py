"""`medsam2 check`: can this Python run the engine, and on what? One line of JSON on stdout, for the host.

Nothing but the standard library is imported before it is known to be there, so that any Python from 3.8 on gives an
answer instead of a traceback. The device is found out by computing on it.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Sequence
from typing import Any

OLDEST_PYTHON = (3, 10)
NEEDED = ("numpy", "torch", "safetensors", "SimpleITK", "nrrd")


def main(argv: Sequence[str] | None = None) -> int:
    """0 if the engine can run."""
    if argv:
        print("usage: medsam2 check\n\nPrints one line of JSON: what this Python can do for the engine.")
        return 0 if argv[0] in ("-h", "--help") else 2
    report = {"medsam2_check": 1, "python": ".".join(map(str, sys.version_info[:3])), **_findings()}
    print(json.dumps(report), flush=True)
    return 0 if "device" in report else 1


def _findings() -> dict[str, Any]:
    if sys.version_info < OLDEST_PYTHON:
        return {"too_old": True}
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return {"missing": missing}
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:  # a DLL that cannot be loaded is an OSError
            return {"broken": f"{name}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"}
    return _device()


def _device() -> dict[str, Any]:
    import torch

    from medsam2_engine.device import choose_device, set_thread_policy

    set_thread_policy()
    device = choose_device()
    return {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "device": device.name,
        "title": device.title,
        "fault": device.note,
        "cuda_fault": _cuda_fault(),
    }


def _cuda_fault() -> str:
    """Why a CUDA build sees no GPU; empty where there is none to see."""
    import torch

    if torch.version.cuda is None or torch.cuda.is_available():
        return ""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return str(error).splitlines()[0]
    return ""
