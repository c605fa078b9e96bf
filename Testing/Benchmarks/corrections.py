"""What a correction costs, and what the second direction is worth, with the embedded model on labelled volumes.

    .venv/bin/python Testing/Benchmarks/corrections.py FOLDER [--every N] [--model embedded] [-o TABLE.md]

FOLDER and its cases are those of `dice.py`.

Cost: one box on the largest slice and a propagation from scratch; then a box on the slice half way to the upper end,
previewed and propagated as a correction, with the first slice kept. Seconds are CPU seconds of one thread.

Two key slices: boxes on the slices a quarter in from either end, auto-stop. The Dice is that of the slices between
them: as fused, as the nearer key slice alone has it, and as whichever direction came last has it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from dice import Case, Mask, cases_in, grown_box

from medsam2_engine import propagation
from medsam2_engine.backends.base import Backend
from medsam2_engine.backends.load import load_backend
from medsam2_engine.fusion import Fused, View, fuse
from medsam2_engine.propagation import SliceMask
from medsam2_engine.session import Session
from medsam2_protocol.masks import region_of_slice
from medsam2_protocol.prompts import MaskPrompt, SegmentPrompts, axis_kji

SHORTEST = 9  # slices of an object with two key slices and something between them
SMALLEST_KEY = 10  # voxels


@dataclass(frozen=True)
class Cost:
    """CPU seconds, encodings and masks of one request."""

    seconds: float
    encoded: int
    masks: int


@dataclass(frozen=True)
class Comparison:
    """Dice of the slices between two key slices."""

    fused: float
    nearest: float
    last: float
    agreement: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="corrections.py", description="Cost of corrections, worth of two directions.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    backend = load_backend(options.model, "cpu")
    costs, comparisons = [], []
    for number, case in enumerate(cases_in(options.folder)):
        if number % options.every == 0 and case.slices[1] - case.slices[0] >= SHORTEST - 1:
            costs.append(cost(case, backend))
            comparisons += compared(case, backend)
            print(case.image.parent.name, case.name, costs[-1][-1], *comparisons[-1:], flush=True)
    table = "\n".join([*cost_table(costs), "", *comparison_table(comparisons)])
    print(table)
    if options.output:
        options.output.write_text(table + "\n", encoding="utf-8")
    return 0


def cost(case: Case, backend: Backend) -> tuple[Cost, Cost, Cost]:
    """From scratch, the preview of a correction, and the correction."""
    session, truth = Session(case.volume, backend), _slices(case)
    scratch = _spent(session, lambda: session.propagate([case.prompts], case.axis, case.slices))
    kept = _mask(case, case.box.slice, truth[case.box.slice])
    k = (case.box.slice + case.slices[1] + 1) // 2
    k = k if truth[k].any() and k != case.box.slice else (case.box.slice + case.slices[0]) // 2
    segment = SegmentPrompts("target", (grown_box(truth[k], case.axis, k),), (kept,))
    preview = _spent(session, lambda: iter([session.predict(segment, case.axis, k)]))
    local = _spent(session, lambda: session.propagate([segment], case.axis, case.slices, corrected=k))
    return scratch, preview, local


def compared(case: Case, backend: Backend) -> list[Comparison]:
    """None where the key slices show next to nothing of the object."""
    truth, (first, last) = _slices(case), case.slices
    keys = first + (last - first) // 4, last - (last - first) // 4
    if min(int(truth[key].sum()) for key in keys) < SMALLEST_KEY:
        return []
    boxes = tuple(grown_box(truth[key], case.axis, key) for key in keys)
    views: list[tuple[View, View]] = []

    def noting(one: View, other: View, shape: tuple[int, int], gated: bool) -> Fused:
        views.append((one, other))
        return fuse(one, other, shape, gated)

    propagation.fuse = noting  # type: ignore[attr-defined]
    try:
        found = list(Session(case.volume, backend).propagate([SegmentPrompts("target", boxes)], case.axis))
    finally:
        propagation.fuse = fuse  # type: ignore[attr-defined]
    both = [one for one in found if one.agreement is not None]
    between = [truth[one.slice] for one in both]
    nearest = [min(pair, key=lambda view: view.distance).mask for pair in views]
    return [
        Comparison(
            _dice([one.mask for one in both], between),
            _dice(nearest, between),
            _dice([other.mask for _, other in views], between),
            mean(one.agreement or 0.0 for one in both),
        )
    ]


def cost_table(costs: list[tuple[Cost, Cost, Cost]]) -> list[str]:
    names = ("propagation from scratch", "preview of a correction", "local correction")
    lines = ["| median (mean) | cases | CPU seconds | encodings | masks |", "|---|---|---|---|---|"]
    for name, members in zip(names, zip(*costs, strict=True), strict=True):
        figures = " | ".join(
            f"{median(values):.2f} ({mean(values):.2f})"
            for values in ([getattr(one, field) for one in members] for field in ("seconds", "encoded", "masks"))
        )
        lines.append(f"| {name} | {len(members)} | {figures} |")
    without = mean(local.encoded + preview.encoded == 0 for _, preview, local in costs)
    return [*lines, "", f"Corrections without any encoding: {without:.1%}."]


def comparison_table(comparisons: list[Comparison]) -> list[str]:
    lines = ["| slices between two key slices | cases | mean Dice | median Dice |", "|---|---|---|---|"]
    for name, field in (("fused", "fused"), ("nearer key slice", "nearest"), ("last writer", "last")):
        values = [getattr(one, field) for one in comparisons]
        lines.append(f"| {name} | {len(values)} | {mean(values):.3f} | {median(values):.3f} |")
    return lines


def _spent(session: Session, ask: Callable[[], Iterator[SliceMask]]) -> Cost:
    encoded, started = session.encoded, time.process_time()
    masks = sum(1 for _ in ask())
    return Cost(time.process_time() - started, session.encoded - encoded, masks)


def _slices(case: Case) -> Mask:
    return np.moveaxis(case.truth_kji, axis_kji(case.axis), 0)


def _mask(case: Case, index: int, mask: Mask) -> MaskPrompt:
    return MaskPrompt(case.axis, index, region_of_slice(mask, axis_kji(case.axis), index))


def _dice(found: list[Mask], truth: list[Mask]) -> float:
    both = sum(int((a & b).sum()) for a, b in zip(found, truth, strict=True))
    total = sum(int(mask.sum()) for masks in (found, truth) for mask in masks)
    return 2 * both / total if total else 1.0


if __name__ == "__main__":
    sys.exit(main())
