"""Figures that may decide which weights ship: on the subjects of the training data that no clip was made of.

    .venv/bin/python Testing/Benchmarks/kept_apart.py DATA embedded [FOLDER ...]

DATA is what the embedded model is trained on; every FOLDER holds the weights of a candidate ("embedded": those that
ship). The cases are those of `dice.py`, in five ways of prompting: a box 5 % and one 10 % larger, sides off either way
(twice), and a box 5 % larger on a slice of half the area. The brain whose label map was kept apart is painted twice,
about as T1 and T2 weighted images show its tissues, so that left and right look alike, each with its slices as they are
and turned so that they go from left to right. All figures are means; "both" is the mean of known range and auto-stop.

The rule: of the candidates that lose at most 0.01 of auto-stop on the painted brains against the weights that ship,
and run on there for at most one slice more, the one with the best mean of the three groups ("score") ships, if it is
better than the weights that ship and passes the tests; otherwise the next best.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
import SimpleITK as sitk
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "MedSAM2Slicer"))

from dice import Prompting, Score, cases_in, score  # noqa: E402

from medsam2_engine.backends.base import Backend  # noqa: E402
from medsam2_engine.backends.load import framing_of, load_sam2  # noqa: E402
from medsam2_engine.finetune.body_sides import FREESURFER  # noqa: E402
from medsam2_engine.finetune.embedded_recipe import EMBEDDED, VALIDATION_SUBJECTS, subject_of  # noqa: E402
from medsam2_engine.finetune.trained_model import as_backend  # noqa: E402
from medsam2_engine.model.checkpoint import load_model  # noqa: E402
from medsam2_engine.models import find_model  # noqa: E402

BOX = "5 %"
HALF = "half"
WAYS = {
    BOX: Prompting(0.05),
    "10 %": Prompting(0.1),
    "off 1": Prompting(seed=1),
    "off 2": Prompting(seed=2),
    HALF: Prompting(0.05, at=0.5),
}
TURNS = {"as it is": (0, 1, 2), "sideways": (1, 2, 0)}  # axes of the file that become I, J and K; I goes sideways
# Brightness in a T1 weighted image, by FreeSurfer's number of the left or only structure. Others get any.
T1 = {
    2: 0.85, 3: 0.55, 4: 0.15, 5: 0.15, 7: 0.83, 8: 0.52, 10: 0.68, 11: 0.58, 12: 0.62, 13: 0.75,
    14: 0.15, 15: 0.15, 16: 0.76, 17: 0.55, 18: 0.54, 24: 0.15, 26: 0.58, 28: 0.72,
}  # fmt: skip
FLUID, FLUID_IN_T2, FALL = 0.2, 0.95, 0.85
AIR, NOISE, BLUR = 0.03, 0.03, 0.5


def main() -> int:
    parser = argparse.ArgumentParser(prog="kept_apart.py", description="Which weights should ship.")
    parser.add_argument("data", type=Path)
    parser.add_argument("models", nargs="+", help='folders with weights, or "embedded"')
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("\n".join(header()), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        real, brains = Path(folder) / "real", Path(folder) / "brains"
        put_cases(options.data, real, brains)
        for name in options.models:
            backend = backend_of(name)
            scores = {way: [score(case, backend) for case in cases_in(real, WAYS[way])] for way in WAYS}
            print(row(name, scores, [score(case, backend) for case in cases_in(brains)]), flush=True)
    return 0


def backend_of(name: str) -> Backend:
    entry = find_model(EMBEDDED)
    model = load_sam2(entry, entry) if name == EMBEDDED else load_model(Path(name))
    return as_backend(model.eval(), framing_of(entry.input_policy))


def put_cases(data: Path, real: Path, brains: Path) -> None:
    """Copy the cases that were kept apart; paint the label maps among them."""
    for case in sorted(data.iterdir()):
        if subject_of(case.name) not in VALIDATION_SUBJECTS:
            continue
        if (case / "image.nii.gz").is_file():
            shutil.copytree(case, real / case.name)
        else:
            for turn, order in TURNS.items():
                for number, fluid in enumerate((T1[14], FLUID_IN_T2)):
                    paint(case, brains / f"{case.name} {turn} {number}", fluid, number, order)


def paint(case: Path, folder: Path, fluid: float, seed: int, order: Sequence[int] = (0, 1, 2)) -> None:
    """A case like one with an image; `fluid` is how bright it is, in T1 or in T2, `order` that of the axes."""
    meta = json.loads((case / "meta.json").read_text(encoding="utf-8"))
    label_map = sitk.PermuteAxes(sitk.ReadImage(str(case / "label.nii.gz")), list(order))
    labels = sitk.GetArrayFromImage(label_map)
    rng = np.random.default_rng(seed)
    image = np.full(labels.shape, AIR, np.float32)
    for name, structure in meta["structures"].items():
        image[labels == structure["label"]] = brightness(name, fluid, rng)
    painted = sitk.GetImageFromArray(image)
    painted.CopyInformation(label_map)
    smooth = sitk.GetArrayFromImage(sitk.DiscreteGaussian(painted, [BLUR] * 3))
    noisy = smooth + rng.normal(0, NOISE, labels.shape).astype(np.float32)
    scanned = sitk.GetImageFromArray((noisy * 1000).astype(np.int16))
    scanned.CopyInformation(label_map)
    folder.mkdir(parents=True)
    sitk.WriteImage(scanned, str(folder / "image.nii.gz"))
    sitk.WriteImage(label_map, str(folder / "label.nii.gz"))
    (folder / "meta.json").write_text(json.dumps(meta | {"modality": "MR"}), encoding="utf-8")


def brightness(name: str, fluid: float, rng: np.random.Generator) -> float:
    """Of a structure called "... FreeSurfer label N"; what is bright in T1 is dark in T2."""
    lefts = {right: left for left, right in FREESURFER.items()}
    found = re.search(r"(\d+)$", name)
    number = int(found[1]) if found else 0
    in_t1 = T1.get(lefts.get(number, number))
    if in_t1 is None:
        return float(rng.uniform(0.05, 0.9))
    if fluid < FLUID:
        return in_t1
    return fluid if in_t1 < FLUID else 1 - FALL * in_t1


def header() -> list[str]:
    titles = (
        "weights",
        "tumours: 5 % larger, known, auto",
        "half the area",
        "five ways, both",
        "past, missed",
        "others: 5 % larger, known, auto",
        "five ways, both",
        "past, missed",
        "painted brains: known, auto",
        "past, missed",
        "score",
    )
    return [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]


def row(name: str, scores: Mapping[str, Sequence[Score]], brains: Sequence[Score]) -> str:
    cells, groups = [name], [_both(brains)]
    for is_tumour in (True, False):
        kept = {way: [found for found in scores[way] if found.case.is_tumour == is_tumour] for way in WAYS}
        every = [found for group in kept.values() for found in group]
        groups.append(_both(every))
        cells += [_pair(kept[BOX]), *([_pair(kept[HALF])] if is_tumour else []), f"{groups[-1]:.3f}", _slices(every)]
    return f"| {' | '.join([*cells, _pair(brains), _slices(brains), f'{mean(groups):.4f}'])} |"


def _both(scores: Sequence[Score]) -> float:
    return mean((found.known + found.auto) / 2 for found in scores)


def _pair(scores: Sequence[Score]) -> str:
    return f"{mean(found.known for found in scores):.3f}, {mean(found.auto for found in scores):.3f}"


def _slices(scores: Sequence[Score]) -> str:
    return f"{mean(found.past for found in scores):.2f}, {mean(found.missed for found in scores):.2f}"


if __name__ == "__main__":
    sys.exit(main())
