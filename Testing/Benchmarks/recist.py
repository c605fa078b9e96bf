"""Dice from a RECIST line alone: which prompts a line should become.

    .venv/bin/python Testing/Benchmarks/recist.py FOLDER [--volumes N] [--in-3d NAME ...]

FOLDER and the choice of structures are those of dice.py; only tumours count. The line is the longest diameter of the
label's largest slice, its ends moved at random by 3 % of its length. For every way of making prompts of it: Dice on
that slice, and, for those named, Dice in 3D with auto-stop.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent))

from dice import Case, cases_in, dice

from medsam2_engine.backends.load import load_backend
from medsam2_engine.session import Session
from medsam2_protocol.prompts import Prompt, SegmentPrompts, axis_ijk, axis_kji
from MedSAM2SlicerLib.Measures import measure
from MedSAM2SlicerLib.RecistPrompts import boxOfLine, pointsOfLine

JITTER = 0.03
Ends = npt.NDArray[np.float64]
Way = Callable[[Ends, Case], tuple[Prompt, ...]]


def box(aspect: float, shares: tuple[float, ...] = ()) -> Way:
    def prompts(ends: Ends, case: Case) -> tuple[Prompt, ...]:
        spacing, shape = case.volume.spacing_mm, case.volume.shape_kji[::-1]
        return boxOfLine(ends, case.axis, spacing, shape, aspect), *pointsOfLine(ends, shares)

    return prompts


WAYS: dict[str, Way] = {
    "points": lambda ends, case: pointsOfLine(ends),
    "box-0.5": box(0.5),
    "box-0.65": box(0.65),
    "box-0.75": box(0.75),
    "box-1": box(1.0),
    "box-0.75+middle": box(0.75, (0.5,)),
    "box-0.75+points": box(0.75, (0.25, 0.5, 0.75)),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="recist.py", description="Dice from a RECIST line alone.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--volumes", type=int, default=1000)
    parser.add_argument("--in-3d", nargs="*", choices=WAYS, default=[])
    options = parser.parse_args()
    backend, random = load_backend(options.model), np.random.default_rng(0)
    flat: dict[str, list[float]] = {name: [] for name in [*WAYS, "true box"]}
    deep: dict[str, list[float]] = {name: [] for name in options.in_3d}
    for case in [one for one in cases_in(options.folder) if one.is_tumour][: options.volumes]:
        session, ends = Session(case.volume, backend), line_of(case, random)
        for name, way in {**WAYS, "true box": lambda ends, case: (case.box,)}.items():
            segment = SegmentPrompts("target", way(ends, case))
            flat[name].append(on_slice(session, case, segment))
        for name in options.in_3d:
            deep[name].append(in_3d(session, case, SegmentPrompts("target", WAYS[name](ends, case))))
        print(
            case.image.parent.name, case.name, {name: round(values[-1], 3) for name, values in flat.items()}, flush=True
        )
    for name, values in flat.items():
        print(
            f"| {name} | {len(values)} | {median(values):.3f} ({mean(values):.3f}) | {in_words(deep.get(name, []))} |"
        )
    return 0


def in_words(values: list[float]) -> str:
    return f"{median(values):.3f} ({mean(values):.3f})" if values else "-"


def line_of(case: Case, random: np.random.Generator) -> Ends:
    """The ends (2, 3), IJK, of the longest diameter of the label's largest slice, as a hand would draw it."""
    along, index = axis_kji(case.axis), case.box.slice
    plane = np.zeros_like(case.truth_kji)
    np.moveaxis(plane, along, 0)[index] = np.moveaxis(case.truth_kji, along, 0)[index]
    spacing = np.array(case.volume.spacing_mm)
    # A lattice in which the slice axis of the case is the axial one.
    turned = np.eye(4)
    turned[:3, :3] = np.diag(spacing)[[*(axis for axis in range(3) if axis != 2 - along), 2 - along]]
    found = measure(plane, (0, 0, 0), turned)
    assert found is not None
    assert found.axis == case.axis
    world = np.array([found.longAxis.start_world, found.longAxis.end_world])
    ends = world @ np.linalg.inv(turned[:3, :3]).T
    length = np.linalg.norm((ends[1] - ends[0]) * spacing)
    ends += random.normal(0, JITTER * length, ends.shape) / spacing
    ends[:, axis_ijk(case.axis)] = index
    return np.asarray(np.clip(ends, 0, np.array(case.volume.shape_kji[::-1]) - 1))


def on_slice(session: Session, case: Case, segment: SegmentPrompts) -> float:
    found = session.predict(segment, case.axis, case.box.slice)
    return dice(found.mask, np.take(case.truth_kji, case.box.slice, axis_kji(case.axis)))


def in_3d(session: Session, case: Case, segment: SegmentPrompts) -> float:
    mask = np.zeros(case.volume.shape_kji, bool)
    for found in session.propagate([segment], case.axis, None):
        np.moveaxis(mask, axis_kji(case.axis), 0)[found.slice] = found.mask
    return dice(mask, case.truth_kji)


if __name__ == "__main__":
    sys.exit(main())
