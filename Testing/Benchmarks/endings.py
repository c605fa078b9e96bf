"""How far the embedded model runs past the end of objects that end.

    .venv/bin/python Testing/Benchmarks/endings.py [--count 40] [--model embedded] [--policy sam2] [-o TABLE.md]

Phantoms of `Testing/ending_phantoms.py`: one box (5 % larger than the object) on the largest slice, auto-stop. An end
counts as run past by as many slices as hold a mask beyond it; a case counts by the worse of its two ends.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "MedSAM2Slicer"), str(ROOT / "Testing")]

from ending_phantoms import KINDS, an_ending  # noqa: E402
from medsam2_engine.backends.base import Backend  # noqa: E402
from medsam2_engine.backends.load import load_backend  # noqa: E402
from medsam2_engine.session import Session  # noqa: E402
from medsam2_protocol.messages import POLICIES  # noqa: E402
from medsam2_protocol.prompts import SegmentPrompts  # noqa: E402
from phantoms import Phantom, dice  # noqa: E402

TOLERATED = 1  # slices


@dataclass(frozen=True)
class Ending:
    """Slices too many and too few at the worse end, and the Dice of the whole."""

    kind: str
    over: int
    under: int
    dice: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="endings.py", description="Over-propagation on objects that end.")
    parser.add_argument("--count", type=int, default=40, help="phantoms of each kind")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--policy", choices=POLICIES, default="sam2")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    backend = load_backend(options.model, "cpu")
    endings = [
        ending(kind, an_ending(kind, seed), backend, options.policy) for kind in KINDS for seed in range(options.count)
    ]
    table = "\n".join(summary(endings))
    print(table)
    if options.output:
        options.output.write_text(table + "\n", encoding="utf-8")
    return 0


def ending(kind: str, phantom: Phantom, backend: Backend, policy: str) -> Ending:
    index = phantom.largest_slice("K")
    asked = SegmentPrompts("s1", (phantom.box("K", index),))
    found = np.zeros(phantom.truth_kji.shape, bool)
    for one in Session(phantom.volume, backend).propagate([asked], "K", policy=policy):
        found[one.slice] = one.mask
    first, last = phantom.occupied("K")
    slices = np.flatnonzero(found.any(axis=(1, 2)))
    over = max(int((slices > last).sum()), int((slices < first).sum()))
    missed = ~found.any(axis=(1, 2))
    under = max(int(missed[first:index].sum()), int(missed[index : last + 1].sum()))
    return Ending(kind, over, under, dice(found, phantom.truth_kji))


def summary(endings: list[Ending]) -> list[str]:
    lines = [
        "| object | cases | at most 1 slice past the end | mean slices past | at most 1 slice missed | mean Dice |",
        "|---|---|---|---|---|---|",
    ]
    for kind in (*KINDS, "all"):
        members = [one for one in endings if kind in (one.kind, "all")]
        if members:
            past, missed = (mean(value <= TOLERATED for value in values) for values in _ends(members))
            over = mean(one.over for one in members)
            score = mean(one.dice for one in members)
            lines.append(f"| {kind} | {len(members)} | {past:.1%} | {over:.2f} | {missed:.1%} | {score:.3f} |")
    return lines


def _ends(endings: list[Ending]) -> tuple[list[int], list[int]]:
    return [one.over for one in endings], [one.under for one in endings]


if __name__ == "__main__":
    sys.exit(main())
