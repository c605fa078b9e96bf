"""What a window does to the embedded model: Dice of the same boxes with the model's own policy and with others.

    .venv/bin/python Testing/Benchmarks/windows.py FOLDER [--modality CT] [--match TEXT ...] [-o TABLE.md]

FOLDER and protocol are those of `dice.py`; every cell has the Dice of the prompted slice and of the whole object, where
propagation stops by itself. `--match` keeps volumes whose folder has one of the texts in its name. "first display" is
what Slicer shows of a volume that nobody has touched.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
from dice import Case, Mask, cases_in, dice

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "MedSAM2Slicer"))

from medsam2_engine.backends.base import Backend  # noqa: E402
from medsam2_engine.backends.load import load_backend  # noqa: E402
from medsam2_engine.session import Session  # noqa: E402
from medsam2_protocol.messages import Window  # noqa: E402
from medsam2_protocol.prompts import axis_kji  # noqa: E402
from MedSAM2SlicerLib.WindowPresets import percentileWindow, preset, sampled  # noqa: E402

FIRST_DISPLAY = (0.1, 99.9)


@dataclass(frozen=True)
class Score:
    """Dice on the prompted slice and of the whole object with auto-stop."""

    prompted: float
    auto: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="windows.py", description="Dice of the embedded model under windows.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--modality", choices=("CT", "MR", "PET"), default="CT")
    parser.add_argument("--match", nargs="+", default=[""])
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    backend = load_backend("embedded")
    lines, scores = [], []
    for case in cases_in(options.folder):
        chosen = any(text in case.image.parent.name for text in options.match)
        if chosen and is_of(case, options.modality):
            windows = candidates(case, options.modality)
            if not lines:
                lines = [f"| volume | structure | {' | '.join(windows)} |", "|---" * (len(windows) + 2) + "|"]
            scores.append([score(case, backend, window) for window in windows.values()])
            lines.append(_row(case.image.parent.name, case.name, scores[-1]))
            print(lines[-1], flush=True)
    for name, average in (("median", median), ("mean", mean)):
        columns = zip(*scores, strict=True)
        found = [Score(average([s.prompted for s in c]), average([s.auto for s in c])) for c in columns]
        lines.append(_row(f"{name} of {len(scores)}", "", found))
    print("\n".join(lines))
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


def is_of(case: Case, modality: str) -> bool:
    """CT that was stored as 8-bit pictures has no HU, and so no preset."""
    return modality in case.modality and "8-bit" not in case.modality


def candidates(case: Case, modality: str) -> dict[str, Window | None]:
    values = sampled(case.volume.voxels_kji)
    first_display = Window(*(float(end) for end in np.percentile(values, FIRST_DISPLAY)))
    if modality == "CT":
        presets = {name: preset(name) for name in ("abdomen", "lung", "bone")}
        return {"automatic": None, "first display": first_display, **presets}
    if modality == "MR":
        return {"automatic": None, "first display": first_display, "percentiles": percentileWindow(values)}
    return {
        "automatic": None,
        "first display": first_display,
        "percentiles": percentileWindow(values),
        **{f"SUV 0-{upper:g}": Window(0.0, upper) for upper in (5.0, 10.0, 20.0)},
    }


def score(case: Case, backend: Backend, window: Window | None) -> Score:
    mask = np.zeros(case.volume.shape_kji, bool)
    for found in Session(case.volume, backend).propagate([case.prompts], case.axis, None, window):
        np.moveaxis(mask, axis_kji(case.axis), 0)[found.slice] = found.mask
    prompted, truth = (_prompted_slice(case, voxels) for voxels in (mask, case.truth_kji))
    return Score(dice(prompted, truth), dice(mask, case.truth_kji))


def _prompted_slice(case: Case, voxels: Mask) -> Mask:
    return np.asarray(np.take(voxels, case.box.slice, axis_kji(case.axis)))


def _row(volume: str, structure: str, scores: list[Score]) -> str:
    figures = " | ".join(f"{one.prompted:.3f} {one.auto:.3f}" for one in scores)
    return f"| {volume} | {structure} | {figures} |"


if __name__ == "__main__":
    sys.exit(main())
