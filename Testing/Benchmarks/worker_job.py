"""From the start of the worker's process to its first masks, over its real protocol."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from embedded_job import a_lesion

from medsam2_protocol.messages import Done, Failed, Hello, Message, OpenVolume, Predict
from medsam2_protocol.prompts import SegmentPrompts
from medsam2_protocol.tagged import from_json, to_json

PACKAGES = Path(__file__).resolve().parents[2] / "MedSAM2Slicer"


def start_to_first_mask(repeats: int) -> dict[str, float]:
    """Median wall seconds."""
    runs = [_once() for _ in range(repeats)]
    return {name: median(run[name] for run in runs) for name in runs[0]}


def _once() -> dict[str, float]:
    phantom = a_lesion(20)
    voxels = np.ascontiguousarray(phantom.volume.voxels_kji)
    matrix = tuple(tuple(map(float, row)) for row in phantom.volume.ijk_to_ras)
    segment = SegmentPrompts("s", (phantom.box("K", 10),))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.raw"
        voxels.tofile(path)
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "medsam2_engine", "worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        )

        def wait_for(kind: type[Message]) -> float:
            for line in process.stdout or ():
                message = from_json(line, Message)
                assert not isinstance(message, Failed), message
                if isinstance(message, kind):
                    break
            return time.perf_counter() - started

        def ask(request: Message) -> float:
            assert process.stdin is not None
            process.stdin.write(to_json(request).encode() + b"\n")
            process.stdin.flush()
            return wait_for(Done)

        ready = wait_for(Hello)
        ask(OpenVolume("o", "v", str(path), voxels.dtype.str, voxels.shape, matrix, "MR"))  # type: ignore[arg-type]
        first = ask(Predict("p1", "v", segment, "K", 10))
        again = ask(Predict("p2", "v", segment, "K", 10))
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)
    return {"ready (Hello)": ready, "first mask": first, "second mask after the first": again - first}
