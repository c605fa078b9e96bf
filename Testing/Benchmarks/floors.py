"""What a model has to be better than: the box itself, and region growing, on the cases of `dice.py`.

    .venv/bin/python Testing/Benchmarks/floors.py FOLDER [-o TABLE.md]

"ellipse" is the ellipse inscribed in the box, the same on every slice. "growing" is SimpleITK's ConnectedThreshold from
the inner half of the box on the prompted slice: mean ± MULTIPLIER standard deviations, then ROUNDS times more from what
was found; kept within the box enlarged by half, holes filled. Auto-stop: the ellipse is on as many slices as its box is
long in mm, about the prompted one; region growing ends where it finds nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "MedSAM2Slicer"))

from dice import Case, Mask, cases_in, header, row, scored, summary  # noqa: E402

from medsam2_protocol.prompts import axis_ijk, axis_kji  # noqa: E402

MULTIPLIER, ROUNDS = 1.5, 1  # the best of five pairs
SEED_PART, REACH = 0.5, 1.5  # of the box: what it grows from, and how far it may

Stack = npt.NDArray[np.float32]


def main() -> int:
    parser = argparse.ArgumentParser(prog="floors.py", description="Dice without a model.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    cases = list(cases_in(options.folder))
    lines = []
    for name, floor in FLOORS.items():
        scores = [scored(case, *floor(case)) for case in cases]
        head = [f"## {name}", "", *summary(scores), ""]
        print("\n".join(head), flush=True)
        lines += [*head, *header(), *(row(score) for score in scores), ""]
    if options.output:
        options.output.write_text("\n".join(lines), encoding="utf-8")
    return 0


def ellipses(case: Case) -> tuple[Mask, Mask]:
    """Known range and auto-stop, both (K, J, I)."""
    mask = np.zeros(case.volume.shape_kji, bool)
    slices = _stack(mask, case)
    slices[:] = _ellipse(case, 1.0, slices.shape[1:])
    spacing = case.volume.spacing_mm
    across = [spacing[n] for n in range(3) if n != axis_ijk(case.axis)]
    longer = max((high - low) * mm for low, high, mm in zip(case.box.min, case.box.max, across, strict=True))
    half = round(0.5 * longer / spacing[axis_ijk(case.axis)])
    return _kept(mask, case, *case.slices), _kept(mask, case, case.box.slice - half, case.box.slice + half)


def grown(case: Case) -> tuple[Mask, Mask]:
    """Known range and auto-stop, both (K, J, I)."""
    slices = np.nan_to_num(_stack(case.volume.voxels_kji, case).astype(np.float32))
    seed, reach = (_ellipse(case, SEED_PART, slices.shape[1:]), _rectangle(case, REACH, slices.shape[1:]))
    rows, columns = (np.flatnonzero(reach.any(axis=axis)) for axis in (1, 0))
    part = (slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    found = np.zeros(slices.shape, bool)
    found[part] = _growing(slices[part], seed[part[1:]], case.box.slice)
    mask = np.ascontiguousarray(np.moveaxis(found, 0, axis_kji(case.axis)))
    return _kept(mask, case, *case.slices), mask


def _growing(slices: Stack, seed: Mask, index: int) -> Mask:
    seeds = [(int(x), int(y), index) for y, x in np.argwhere(seed)]
    image = sitk.GetImageFromArray(np.ascontiguousarray(slices))
    values = slices[index][seed]
    for _ in range(1 + ROUNDS):
        low, high = (float(values.mean() + sign * MULTIPLIER * values.std()) for sign in (-1, 1))
        region = sitk.ConnectedThreshold(image, seeds, low, high)
        found = slices[sitk.GetArrayViewFromImage(region) > 0]
        values = found if found.size else values
    filled = [sitk.GetArrayFromImage(sitk.BinaryFillhole(region[:, :, k])) > 0 for k in range(len(slices))]
    return np.stack(filled)


def _ellipse(case: Case, part: float, shape: tuple[int, ...]) -> Mask:
    y, x = _from_middle(case, part, shape)
    return np.asarray(x**2 + y**2 <= 1)


def _rectangle(case: Case, part: float, shape: tuple[int, ...]) -> Mask:
    y, x = _from_middle(case, part, shape)
    return np.asarray((np.abs(x) <= 1) & (np.abs(y) <= 1))


def _from_middle(case: Case, part: float, shape: tuple[int, ...]) -> tuple[Stack, Stack]:
    """Rows and columns of a slice, 0 in the middle of the box and 1 at the edge of its `part`; at least a voxel."""
    (x0, y0), (x1, y1) = case.box.min, case.box.max
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return (y - (y0 + y1) / 2) / max(part * (y1 - y0) / 2, 1), (x - (x0 + x1) / 2) / max(part * (x1 - x0) / 2, 1)


def _stack(array_kji: npt.NDArray[np.generic], case: Case) -> npt.NDArray[np.generic]:
    return np.moveaxis(array_kji, axis_kji(case.axis), 0)


def _kept(mask: Mask, case: Case, first: int, last: int) -> Mask:
    """Only the slices from the first to the last."""
    kept = np.zeros_like(mask)
    part = slice(max(first, 0), last + 1)
    _stack(kept, case)[part] = _stack(mask, case)[part]
    return kept


FLOORS: dict[str, Callable[[Case], tuple[Mask, Mask]]] = {"ellipse": ellipses, "growing": grown}


if __name__ == "__main__":
    sys.exit(main())
