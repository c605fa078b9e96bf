"""How much of what is wrong lies on the slices that a person is sent to.

    .venv/bin/python Testing/Benchmarks/confidence.py FOLDER [--every N] [--model embedded] [-o TABLE.md]

FOLDER, its cases and their one box are those of `dice.py`, with auto-stop. Wrong is every voxel in which a sent slice
differs from the truth. A fifth of the slices is named; the same number of slices chosen knowing the truth holds the
most that can be had, and slices chosen by chance hold a fifth.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from dice import Case, cases_in

from medsam2_engine.backends.base import Backend
from medsam2_engine.backends.load import load_backend
from medsam2_engine.session import Session
from medsam2_protocol.confidence import DOUBTFUL_SHARE, doubtful, evidence_of
from medsam2_protocol.masks import region_of_slice
from medsam2_protocol.prompts import axis_kji

FEWEST = 10  # slices, so that a fifth is more than one


@dataclass(frozen=True)
class Found:
    """Parts of the wrong voxels of one case: on the named slices, at best, and by chance."""

    named: float
    best: float
    chance: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="confidence.py", description="Wrong voxels on the slices that are named.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    backend = load_backend(options.model, "cpu")
    found = []
    for number, case in enumerate(cases_in(options.folder)):
        if number % options.every == 0:
            found += looked_at(case, backend)
            print(case.image.parent.name, case.name, *found[-1:], flush=True)
    table = "\n".join(summary(found))
    print(table)
    if options.output:
        options.output.write_text(table + "\n", encoding="utf-8")
    return 0


def looked_at(case: Case, backend: Backend) -> list[Found]:
    """Nothing for a case of few slices."""
    axis = axis_kji(case.axis)
    truth = np.moveaxis(case.truth_kji, axis, 0)
    results = sorted(Session(case.volume, backend).propagate([case.prompts], case.axis), key=lambda one: one.slice)
    wrong = {one.slice: int((one.mask ^ truth[one.slice]).sum()) for one in results}
    if len(results) < FEWEST or not sum(wrong.values()):
        return []
    evidence = [
        evidence_of(
            case.axis, one.slice, region_of_slice(one.mask, axis, one.slice), one.object_score, one.predicted_iou
        )
        for one in results
    ]
    named = doubtful(evidence, [case.box.slice], below=1.0)
    best = sorted(wrong.values())[::-1][: len(named)]
    total = sum(wrong.values())
    return [Found(sum(wrong[index] for index in named) / total, sum(best) / total, len(named) / len(results))]


def summary(found: list[Found]) -> list[str]:
    lines = [f"| wrong voxels on {DOUBTFUL_SHARE:.0%} of the slices | cases | mean | median |", "|---|---|---|---|"]
    for name, field in (("named by confidence", "named"), ("knowing the truth", "best"), ("by chance", "chance")):
        values = [getattr(one, field) for one in found]
        lines.append(f"| {name} | {len(values)} | {mean(values):.1%} | {median(values):.1%} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
