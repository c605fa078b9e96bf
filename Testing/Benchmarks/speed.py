"""Seconds per slice of the demo's job on this machine, for several numbers of threads.

    python3 dev.py bench [--repeats 3] [--threads 1 2 4] [--device auto] [--model embedded]

Every run is a process of its own, as it is for a user; the best of the repeats is printed, since other programs can
only make a run slower.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "bench-output"


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py bench", description="Seconds per slice of the demo's job.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, os.cpu_count() or 1}))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", default="embedded")
    options = parser.parse_args()
    print(f"{'threads':>7}{'s per slice':>13}")
    for threads in options.threads:
        best_s = min(seconds_per_slice(threads, options.device, options.model) for _ in range(options.repeats))
        print(f"{threads:>7}{best_s:>13.4f}", flush=True)
    return 0


def seconds_per_slice(threads: int, device: str, model: str) -> float:
    command = [sys.executable, ROOT / "Testing/demo.py", "-o", OUTPUT, "--device", device, "--model", model]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    (report,) = OUTPUT.glob("*.report.json")
    return float(json.loads(report.read_text(encoding="utf-8"))["seconds_per_slice"])


if __name__ == "__main__":
    sys.exit(main())
