"""When the whole object is there first, and how near it comes to what it will be.

    .venv/bin/python Testing/Benchmarks/progressive.py FOLDER [--every N] [--model embedded] [-o TABLE.md]

FOLDER, its cases and their one box are those of `dice.py`, with auto-stop. Every case is followed plainly and with a
first look; the masks have to be the same. Times are CPU seconds of one thread, from the request on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from dice import Case, Mask, cases_in, dice
from measuring import timed

from medsam2_engine.backends.base import Backend
from medsam2_engine.backends.load import load_backend
from medsam2_engine.session import Session
from medsam2_protocol.prompts import axis_kji

Row = tuple[float, float, float, float, float, float]
TITLES = (
    "plain run, CPU s",
    "with a first look, CPU s",
    "until the first look is there, CPU s",
    "Dice of the first look with the masks",
    "Dice of the first look with the truth",
    "Dice of the masks with the truth",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="progressive.py", description="The first look of a propagation.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    backend = load_backend(options.model, "cpu")
    rows = []
    for number, case in enumerate(cases_in(options.folder)):
        if number % options.every == 0:
            rows.append(row(case, backend))
            print(case.image.parent.name, case.name, [f"{value:.3f}" for value in rows[-1]], flush=True)
    table = "\n".join(summary(rows))
    print(table)
    if options.output:
        options.output.write_text(table + "\n", encoding="utf-8")
    return 0


def summary(rows: list[Row]) -> Iterator[str]:
    yield f"{len(rows)} structures"
    yield "| | median | mean |"
    yield "|---|---|---|"
    for title, values in zip(TITLES, zip(*rows, strict=True), strict=True):
        yield f"| {title} | {median(values):.3f} | {np.mean(values):.3f} |"


def row(case: Case, backend: Backend) -> Row:
    plain_s, _ = timed(lambda: list(Session(case.volume, backend).propagate([case.prompts], case.axis)))
    first, rough, masks, whole_s = followed(case, backend, True)
    _, _, plain, _ = followed(case, backend, False)
    if not np.array_equal(masks, plain):
        raise SystemExit(f"{case.image} {case.name}: the masks differ after a first look")
    return plain_s, whole_s, first, dice(rough, masks), dice(rough, case.truth_kji), dice(masks, case.truth_kji)


def followed(case: Case, backend: Backend, progressive: bool) -> tuple[float, Mask, Mask, float]:
    """CPU seconds to the last provisional mask, what was there then, the masks in the end, CPU seconds in all."""
    found = np.zeros(case.volume.shape_kji, bool)
    first, rough = 0.0, found.copy()
    start = time.process_time()
    for one in Session(case.volume, backend).propagate([case.prompts], case.axis, progressive=progressive):
        np.moveaxis(found, axis_kji(case.axis), 0)[one.slice] = one.mask
        if one.is_provisional:
            first = time.process_time() - start
            np.moveaxis(rough, axis_kji(case.axis), 0)[one.slice] = one.mask
        elif not first:
            np.moveaxis(rough, axis_kji(case.axis), 0)[one.slice] = one.mask
    return first, rough, found, time.process_time() - start


if __name__ == "__main__":
    sys.exit(main())
