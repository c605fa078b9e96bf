"""What corrective clicks bring on the prompted slice, on the cases of `dice.py`, and what the predicted IoU is worth.

    .venv/bin/python Testing/Benchmarks/clicks.py FOLDER [--every 4] [--clicks 5] [--model embedded]

The box comes first; then, one after the other, clicks at the deepest place of the larger error (missed or surplus).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "MedSAM2Slicer"))

from dice import Case, Mask, cases_in, dice  # noqa: E402

from medsam2_engine.backends.base import Backend  # noqa: E402
from medsam2_engine.backends.load import load_backend  # noqa: E402
from medsam2_engine.finetune.clicks import clicks_on_errors  # noqa: E402
from medsam2_engine.session import Session  # noqa: E402
from medsam2_protocol.prompts import PointPrompt, Prompt, SegmentPrompts, axis_ijk, axis_kji  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="clicks.py", description="Dice after every corrective click.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=4, help="every Nth structure")
    parser.add_argument("--clicks", type=int, default=5)
    parser.add_argument("--model", default="embedded")
    options = parser.parse_args()
    torch.set_num_threads(1)
    backend = load_backend(options.model, "cpu")
    cases = [case for number, case in enumerate(cases_in(options.folder)) if number % options.every == 0]
    played = [corrected(case, backend, options.clicks) for case in cases]
    print("| | box | " + " | ".join(f"click {number + 1}" for number in range(options.clicks)) + " |")
    print("|---" * (options.clicks + 2) + "|")
    for name, middle in (("mean Dice", mean), ("median Dice", median)):
        steps = zip(*([found for found, _ in rows] for rows in played), strict=True)
        print(f"| {name}, {len(cases)} structures | " + " | ".join(f"{middle(step):.3f}" for step in steps) + " |")
    boxes = [rows[0] for rows in played]
    print(f"Correlation of predicted and true IoU: box {correlation(boxes):.2f}, ", end="")
    print(f"box and clicks {correlation([row for rows in played for row in rows]):.2f}")
    return 0


def corrected(case: Case, backend: Backend, clicks: int) -> list[tuple[float, float]]:
    """Dice and predicted IoU after the box and after every click."""
    session = Session(case.volume, backend)
    truth = np.take(case.truth_kji, case.box.slice, axis_kji(case.axis))
    prompts: list[Prompt] = [case.box]
    rows = []
    for _ in range(clicks + 1):
        found = session.predict(SegmentPrompts("target", tuple(prompts)), case.axis, case.box.slice)
        rows.append((dice(found.mask, truth), found.predicted_iou))
        prompts.append(next_click(case, found.mask, truth))
    return rows


def next_click(case: Case, found: Mask, truth: Mask) -> PointPrompt:
    """Masks (rows, columns) of the prompted slice."""
    side = max(found.shape)
    square = [((0, side - found.shape[0]), (0, side - found.shape[1]))] * 2
    padded = (torch.from_numpy(np.pad(mask, pad))[None] for mask, pad in zip((found, truth), square, strict=True))
    places, labels = clicks_on_errors(*padded)
    ijk = [float(value) for value in places[0]]
    ijk.insert(axis_ijk(case.axis), float(case.box.slice))
    return PointPrompt((ijk[0], ijk[1], ijk[2]), bool(labels[0]))


def correlation(rows: list[tuple[float, float]]) -> float:
    """Pearson's, of predicted IoU with the IoU that the Dice stands for."""
    true = [found / (2 - found) for found, _ in rows]
    return float(np.corrcoef(true, [guess for _, guess in rows])[0, 1])


if __name__ == "__main__":
    sys.exit(main())
