"""Dice of the embedded model on labelled volumes: one box on the largest slice, nothing else.

    .venv/bin/python Testing/Benchmarks/dice.py FOLDER [-o TABLE.md]
        [--model embedded] [--through session cli worker module] [--margin 0.05 | --off 1] [--at 1.0]

FOLDER holds one folder per volume with `image.nii.gz`, `label.nii.gz` and `meta.json` (`id`, `modality`, `dim`,
`structures: {name: {label}}`). The protocol: the largest slice along the volume's slice axis (`--at 0.5`: the first one
that has half its area), the bounding box of the label there grown on every side by 5 % of its size (`--margin`; `--off
SEED`: every side moved by 5 to 10 %, in or out), both directions. "known" is told the true range, "auto" is not. A
structure counts if it has 5 slices, 25 voxels on the prompted slice, and four fifths of it in one piece (which then is
the target). "past" and "missed" are the slices of "auto" beyond the true ends, and those of the truth without a mask.

`--through` sends auto cases (all, or every Nth with `--every N`) through several ways into the engine and stops at the
first voxel that differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "MedSAM2Slicer"))

from medsam2_engine.backends.base import Backend  # noqa: E402
from medsam2_engine.backends.load import load_backend  # noqa: E402
from medsam2_engine.session import Session  # noqa: E402
from medsam2_engine.volume import Volume, read_volume  # noqa: E402
from medsam2_protocol.client import EngineClient  # noqa: E402
from medsam2_protocol.messages import Done, End, Event, MaskChanged, OpenVolume, Propagate, Request  # noqa: E402
from medsam2_protocol.prompts import BoxPrompt, SegmentPrompts, axis_kji  # noqa: E402

Mask = npt.NDArray[np.bool_]
MARGIN = 0.05  # of the object's size, on every side
OFF = 0.05, 0.1  # of the object's size
SMALLEST_SLICES, SMALLEST_AREA, LARGEST_PIECE = 5, 25, 0.8
ANISOTROPIC = 1.3
TUMOUR_WORDS = ("gtv", "tumour", "tumor", "lesion", "lymph", "glioma")


@dataclass(frozen=True)
class Case:
    """One structure of one volume; `truth_kji` is bool, `slices` its first and last slice along `axis`."""

    image: Path
    name: str
    modality: str
    volume: Volume
    truth_kji: Mask
    axis: str
    slices: tuple[int, int]
    box: BoxPrompt

    @property
    def is_tumour(self) -> bool:
        return any(word in f"{self.name} {self.image.parent.name}".lower() for word in TUMOUR_WORDS)

    @property
    def prompts(self) -> SegmentPrompts:
        return SegmentPrompts("target", (self.box,))


@dataclass(frozen=True)
class Prompting:
    """Which slice is prompted, by which box.

    Attributes:
        margin: of the box on every side, as a part of the object's size.
        at: area of the slice, as a part of the largest.
        seed: instead of the margin every side is moved by `OFF`, inwards or outwards, for each structure otherwise.
    """

    margin: float = MARGIN
    at: float = 1.0
    seed: int | None = None

    def slice_of(self, areas: npt.NDArray[np.int64]) -> int:
        return int(np.flatnonzero(areas >= self.at * areas.max())[0])

    def box(self, mask: Mask, axis: str, index: int, name: str) -> BoxPrompt:
        if self.seed is None:
            return grown_box(mask, axis, index, self.margin)
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        return moved_box(mask, axis, index, rng.uniform(*OFF, 4) * rng.choice([-1, 1], 4))


@dataclass(frozen=True)
class Score:
    """Dice on the prompted slice, in 3D with the true range known, and with auto-stop.

    `past` and `missed` count slices of the mask with auto-stop, both ends together.
    """

    case: Case
    prompted: float
    known: float
    auto: float
    past: int
    missed: int


def main() -> int:
    parser = argparse.ArgumentParser(prog="dice.py", description="Dice of a model on labelled volumes.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--through", nargs="+", choices=sorted(WAYS), default=["session"])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--margin", type=float, default=MARGIN, help="of the box, as a part of the object's size")
    parser.add_argument("--off", type=int, metavar="SEED", help="move every side by 5 to 10 %%, in or out")
    parser.add_argument("--at", type=float, default=1.0, help="area of the prompted slice, as a part of the largest")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    backend = load_backend(options.model)
    scores = []
    for case in cases_in(options.folder, Prompting(options.margin, options.at, options.off)):
        scores.append(score(case, backend))
        print(row(scores[-1]), flush=True)
        if len(options.through) > 1 and len(scores) % options.every == 0:
            check_identity(case, options.model, backend, options.through)
    table = "\n".join([*summary(scores), "", *header(), *(row(score) for score in scores)])
    print("\n".join(summary(scores)))
    if options.output:
        options.output.write_text(table + "\n", encoding="utf-8")
    return 0


def cases_in(folder: Path, prompting: Prompting | None = None) -> Iterator[Case]:
    """Every structure that one box can stand for, in the order of the folder names."""
    for meta_file in sorted(folder.glob("*/meta.json")):
        meta = json.loads(meta_file.read_text(encoding="utf-8"))
        if meta["dim"] != 3:
            continue
        image = meta_file.parent / "image.nii.gz"
        volume = read_volume(image)
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(meta_file.parent / "label.nii.gz")))
        for name, structure in meta["structures"].items():
            case = _case(image, name, meta["modality"], volume, labels == structure["label"], prompting or Prompting())
            if case is not None:
                yield case


def score(case: Case, backend: Backend) -> Score:
    session = Session(case.volume, backend)
    return scored(case, *(propagated(session, case, slice_range) for slice_range in (case.slices, None)))


def scored(case: Case, known: Mask, auto: Mask) -> Score:
    """The figures of two masks (K, J, I)."""
    axis = axis_kji(case.axis)
    prompted = (np.take(mask, case.box.slice, axis) for mask in (auto, case.truth_kji))
    found, true = (np.moveaxis(mask, axis, 0).any(axis=(1, 2)) for mask in (auto, case.truth_kji))
    first, last = case.slices
    past = int(found[:first].sum() + found[last + 1 :].sum())
    missed = int((true & ~found).sum())
    return Score(case, dice(*prompted), dice(known, case.truth_kji), dice(auto, case.truth_kji), past, missed)


def propagated(session: Session, case: Case, slice_range: tuple[int, int] | None) -> Mask:
    mask = np.zeros(case.volume.shape_kji, bool)
    for found in session.propagate([case.prompts], case.axis, slice_range):
        np.moveaxis(mask, axis_kji(case.axis), 0)[found.slice] = found.mask
    return mask


def dice(a: Mask, b: Mask) -> float:
    """2 |A and B| / (|A| + |B|); 1 for two empty masks."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def check_identity(case: Case, model: str, backend: Backend, ways: list[str]) -> None:
    """Stop with an error if two ways into the engine give different voxels."""
    masks = {way: WAYS[way](case, model, backend) for way in ways}
    first = masks[ways[0]]
    for way, mask in masks.items():
        if not np.array_equal(first, mask):
            raise SystemExit(
                f"{case.image} {case.name}: {way} differs from {ways[0]} in {(first != mask).sum()} voxels"
            )


def through_session(case: Case, model: str, backend: Backend) -> Mask:
    return propagated(Session(case.volume, backend), case, None)


def through_cli(case: Case, model: str, backend: Backend) -> Mask:
    numbers = ",".join(str(value) for value in (*case.box.min, *case.box.max))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "mask.nrrd"
        arguments = ["--box", numbers, "--slice", str(case.box.slice), "--axis", case.axis, "--model", model, "--quiet"]
        command = [sys.executable, "-m", "medsam2_engine", "segment", str(case.image), *arguments, "-o", str(output)]
        subprocess.run(command, check=True, cwd=ROOT / "MedSAM2Slicer")
        return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(output))) > 0)


def through_worker(case: Case, model: str, backend: Backend) -> Mask:
    """One worker process for one case, as Slicer would use it."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "voxels.raw"
        np.ascontiguousarray(case.volume.voxels_kji).tofile(raw)
        rows = tuple(tuple(float(value) for value in row) for row in case.volume.ijk_to_ras)
        dtype, shape = str(case.volume.voxels_kji.dtype), case.volume.shape_kji
        opened = OpenVolume("", "volume", str(raw), dtype, shape, rows)  # type: ignore[arg-type]
        mask = np.zeros(shape, bool)
        _ask([opened, Propagate("", "volume", (case.prompts,), case.axis, model=model)], mask)
        return mask


def through_module(case: Case, model: str, backend: Backend) -> Mask:
    """The Slicer module in the headless Slicer of the tests."""
    numbers = ",".join(str(value) for value in (*case.box.min, *case.box.max))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "mask.npy"
        script = str(Path(__file__).with_name("through_module.py"))
        command = [sys.executable, script, str(case.image), case.axis, str(case.box.slice), numbers, str(output)]
        subprocess.run(command, check=True)
        return np.asarray(np.load(output) > 0)


WAYS: dict[str, Callable[[Case, str, Backend], Mask]] = {
    "session": through_session,
    "cli": through_cli,
    "worker": through_worker,
    "module": through_module,
}


def _ask(requests: list[Request], mask: Mask) -> None:
    command = [sys.executable, "-m", "medsam2_engine", "worker"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=ROOT / "MedSAM2Slicer") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        client = EngineClient(_Pipe(process))
        ends: list[End] = []

        def on_event(event: Event) -> None:
            if isinstance(event, MaskChanged):
                np.moveaxis(mask, axis_kji(event.axis), 0)[event.slice] = False
                event.region.paste_into(mask)

        for request in requests:
            client.request(request, on_event, ends.append)
        while len(ends) < len(requests):
            client.receive(process.stdout.readline())
        process.stdin.close()
    if not all(isinstance(end, Done) for end in ends):
        raise SystemExit(f"The worker failed: {ends}")


class _Pipe:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        self._process.stdin.flush()


def _case(image: Path, name: str, modality: str, volume: Volume, truth_kji: Mask, prompting: Prompting) -> Case | None:
    axis = _slice_axis(volume)
    truth = _largest_piece(truth_kji)
    if truth is None:
        return None
    slices = np.moveaxis(truth, axis_kji(axis), 0)
    areas = slices.sum(axis=(1, 2))
    occupied = np.flatnonzero(areas)
    index = prompting.slice_of(areas)
    if len(occupied) < SMALLEST_SLICES or areas[index] < SMALLEST_AREA or _largest_piece(slices[index][None]) is None:
        return None
    ends = int(occupied[0]), int(occupied[-1])
    box = prompting.box(slices[index], axis, index, image.parent.name + name)
    return Case(image, name, modality, volume, truth, axis, ends, box)


def _slice_axis(volume: Volume) -> str:
    """The axis whose spacing differs from the other two; K if all are alike."""
    spacing = np.array(volume.spacing_mm)
    if spacing.max() / spacing.min() <= ANISOTROPIC:
        return "K"
    oddness = [sum(abs(np.log(spacing[n] / spacing[m])) for m in range(3)) for n in range(3)]
    return "IJK"[int(np.argmax(oddness))]


def _largest_piece(mask: Mask) -> Mask | None:
    """The largest connected piece, or None if it is less than four fifths of the whole."""
    if not mask.any():
        return None
    pieces = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8))))
    sizes = np.bincount(pieces.ravel())[1:]
    largest = int(sizes.argmax())
    return np.asarray(pieces == largest + 1) if sizes[largest] >= LARGEST_PIECE * mask.sum() else None


def grown_box(mask: Mask, axis: str, index: int, margin: float = MARGIN) -> BoxPrompt:
    return moved_box(mask, axis, index, np.full(4, margin))


def moved_box(mask: Mask, axis: str, index: int, outwards: npt.NDArray[np.float64]) -> BoxPrompt:
    """The bounding box with left, upper, right and lower side moved outwards by parts of the object's size."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    (x0, x1), (y0, y1) = ((float(found[0]), float(found[-1])) for found in (columns, rows))
    left, upper, right, lower = outwards * [x1 - x0 + 1, y1 - y0 + 1, x1 - x0 + 1, y1 - y0 + 1]
    return BoxPrompt(axis, index, (x0 - left, y0 - upper), (x1 + right, y1 + lower))


def header() -> list[str]:
    titles = "| volume | structure | prompted slice | 3D, known range | 3D, auto-stop | past | missed |"
    return [titles, "|---" * 7 + "|"]


def row(score: Score) -> str:
    case = score.case
    figures = f"{score.prompted:.3f} | {score.known:.3f} | {score.auto:.3f} | {score.past} | {score.missed}"
    return f"| {case.image.parent.name} | {case.name} | {figures} |"


def summary(scores: Sequence[Score]) -> list[str]:
    """Medians and means by group."""
    groups = {
        "all": list(scores),
        "tumours": [score for score in scores if score.case.is_tumour],
        "organs": [score for score in scores if not score.case.is_tumour],
    }
    for modality in ("CT", "MR", "PET"):
        groups[f"{modality} tumours"] = [score for score in groups["tumours"] if modality in score.case.modality]
        groups[f"{modality}, all"] = [score for score in scores if modality in score.case.modality]
    titles = "| median (mean) | n | prompted slice | 3D, known range | 3D, auto-stop | mean past | mean missed |"
    lines = [titles, "|---" * 7 + "|"]
    for name, members in groups.items():
        if members:
            columns = ([getattr(score, field) for score in members] for field in ("prompted", "known", "auto"))
            figures = [f"{median(values):.3f} ({mean(values):.3f})" for values in columns]
            figures += [f"{mean(getattr(score, field) for score in members):.2f}" for field in ("past", "missed")]
            lines.append(f"| {name} | {len(members)} | {' | '.join(figures)} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
