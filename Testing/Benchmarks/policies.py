"""Memory policies compared: Dice on labelled volumes, and how far each runs past the end of objects.

    .venv/bin/python Testing/Benchmarks/policies.py FOLDER [--every N] [--count 10] [--model embedded] [-o TABLE.md]

FOLDER, its cases and their one box are those of `dice.py`, with auto-stop; the phantoms are those of `endings.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, median

import torch

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from dice import Case, cases_in, dice
from endings import KINDS, TOLERATED, Ending, ending
from measuring import timed

from ending_phantoms import an_ending
from medsam2_engine.backends.base import Backend
from medsam2_engine.backends.load import load_backend
from medsam2_engine.session import Session
from medsam2_protocol.messages import POLICIES
from medsam2_protocol.prompts import axis_kji


def main() -> int:
    parser = argparse.ArgumentParser(prog="policies.py", description="Memory policies compared.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--count", type=int, default=10, help="phantoms of each kind")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    backend = load_backend(options.model, "cpu")
    scores: defaultdict[str, list[tuple[bool, float, float]]] = defaultdict(list)
    for number, case in enumerate(cases_in(options.folder)):
        if number % options.every == 0:
            for policy, found in scored(case, backend).items():
                scores[policy].append((case.is_tumour, *found))
            print(case.image.parent.name, case.name, {name: f"{rows[-1][1]:.3f}" for name, rows in scores.items()})
    endings = {
        policy: [
            ending(kind, an_ending(kind, seed), backend, policy) for kind in KINDS for seed in range(options.count)
        ]
        for policy in POLICIES
    }
    table = "\n".join(summary(scores, endings))
    print(table)
    if options.output:
        options.output.write_text(table + "\n", encoding="utf-8")
    return 0


def scored(case: Case, backend: Backend) -> dict[str, tuple[float, float]]:
    """By policy: Dice, and CPU seconds per mask. All look at the same encoded slices."""
    session = Session(case.volume, backend)
    list(session.propagate([case.prompts], case.axis))
    return {policy: _followed(session, case, policy) for policy in POLICIES}


def summary(scores: dict[str, list[tuple[bool, float, float]]], endings: dict[str, list[Ending]]) -> list[str]:
    lines = [
        "| policy | cases | mean (median) Dice | tumours | CPU ms per slice | phantoms | at most 1 slice past | Dice |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for policy, rows in scores.items():
        values, tumours = [score for _, score, _ in rows], [score for is_tumour, score, _ in rows if is_tumour]
        past = mean(one.over <= TOLERATED for one in endings[policy])
        cells = (
            policy,
            len(rows),
            f"{mean(values):.3f} ({median(values):.3f})",
            f"{mean(tumours):.3f} ({median(tumours):.3f})" if tumours else "",
            f"{1000 * median(cost for *_, cost in rows):.1f}",
            len(endings[policy]),
            f"{past:.1%}",
            f"{mean(one.dice for one in endings[policy]):.3f}",
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def _followed(session: Session, case: Case, policy: str) -> tuple[float, float]:
    mask = np.zeros(case.volume.shape_kji, bool)
    slices = np.moveaxis(mask, axis_kji(case.axis), 0)
    count = 0

    def follow() -> None:
        nonlocal count
        for found in session.propagate([case.prompts], case.axis, policy=policy):
            slices[found.slice] = found.mask
            count += 1

    cpu, _ = timed(follow)
    return dice(mask, case.truth_kji), cpu / count


if __name__ == "__main__":
    sys.exit(main())
