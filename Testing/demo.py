"""The main job on a real volume, from the command line: box on one slice, segment out, compared with a reference.

    python3 dev.py demo                                 the T1 template inside the nilearn package: brain and caudate
    python3 dev.py demo VOLUME --label LABEL            any volume and its label map; every label value is a segment

Prompts are all the program gets: for each structure the bounding box, grown by 5 %, of its largest slice. How far the
structure reaches along the slice axis is for the model to find.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from medsam2_engine.segmentation_file import read_segmentation

ROOT = Path(__file__).resolve().parent.parent
BOX_GROWTH = 0.05
LEFT_CAUDATE_LPS = (11.0, -16.0, 5.0)
DEEP_MM = 20.0

Mask = NDArray[np.bool_]


class DemoError(Exception):
    """The demo cannot go on; the text says why and what to do."""


@dataclass(frozen=True)
class Case:
    """A volume on disk and its reference masks, KJI, by segment name. Result files begin with `stem`."""

    title: str
    stem: str
    volume: Path
    references_kji: dict[str, Mask]


def main() -> int:
    options = parser().parse_args()
    try:
        case = case_of(options)
        options.output.mkdir(parents=True, exist_ok=True)
        files = segment(case, options)
        print_results(case, files)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    text = argparse.ArgumentParser(prog="dev.py demo", description="Segment a real volume and compare.")
    text.add_argument("volume", nargs="?", type=Path, help="a volume; without one the T1 template of nilearn")
    text.add_argument("--label", type=Path, help="its label map: where the boxes come from, and the reference")
    text.add_argument("-o", "--output", type=Path, default=ROOT / "demo-output", help="folder for the results")
    text.add_argument("--model", default="embedded")
    text.add_argument("--device", default="auto")
    return text


def case_of(options: argparse.Namespace) -> Case:
    if options.volume is None:
        return brain_template()
    if options.label is None:
        raise DemoError("a volume of your own needs its label map: --label LABEL. Without one, use `medsam2 segment`.")
    return labelled_volume(options.volume, options.label)


# Cases


def labelled_volume(volume: Path, label: Path) -> Case:
    for path in (volume, label):
        if not path.exists():
            raise DemoError(f"there is no {path}.")
    try:
        labels_kji = sitk.GetArrayFromImage(sitk.ReadImage(str(label)))
    except RuntimeError as error:
        raise DemoError(f"{label} cannot be read as a label map: {error}") from error
    values = [int(value) for value in np.unique(labels_kji) if value]
    if not values or labels_kji.ndim != 3 or labels_kji.dtype.kind == "f":
        raise DemoError(f"{label} is no 3D label map with a label in it.")
    return Case(
        volume.name,
        volume.name.partition(".")[0],
        volume.resolve(),
        {f"label {value}": labels_kji == value for value in values},
    )


def brain_template() -> Case:
    """The symmetric ICBM 2009a template at 1 mm that nilearn ships, with its grey matter map.

    The template is skull-stripped, so its non-zero voxels are the brain. The caudate nucleus is the one piece of deep
    grey matter around a known point.
    """
    found = importlib.util.find_spec("nilearn")
    if found is None or found.origin is None:
        raise DemoError("the nilearn package, which holds the volume, is not installed; start this with dev.py demo.")
    folder = Path(found.origin).parent / "datasets/data"
    volume = folder / "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
    t1 = sitk.ReadImage(str(volume))
    grey_matter = sitk.ReadImage(str(folder / "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz"))
    brain = sitk.BinaryFillhole(t1 > 0)
    references = {"brain": brain, "caudate nucleus": deep_grey_matter(brain, grey_matter, LEFT_CAUDATE_LPS)}
    masks = {name: sitk.GetArrayFromImage(image).astype(bool) for name, image in references.items()}
    return Case("T1 template of the brain (ICBM 2009a, in the nilearn package)", "brain", volume, masks)


def deep_grey_matter(brain: sitk.Image, grey_matter: sitk.Image, seed_lps: tuple[float, float, float]) -> sitk.Image:
    """The piece of grey matter around a point: what stays connected to it deep in the brain, two voxels thinned."""
    depth = sitk.SignedMaurerDistanceMap(brain, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    core = sitk.And(sitk.BinaryErode(grey_matter > 140, (2, 2, 2)), depth > DEEP_MM)
    piece = sitk.ConnectedThreshold(core, [core.TransformPhysicalPointToIndex(seed_lps)], 1, 1)
    return sitk.And(sitk.BinaryDilate(piece, (2, 2, 2)), grey_matter > 128)


# The program under demonstration


@dataclass(frozen=True)
class Files:
    """What one run reads and writes in the output folder."""

    prompts: Path
    segmentation: Path
    picture: Path
    report: Path


def segment(case: Case, options: argparse.Namespace) -> Files:
    stem = options.output / case.stem
    files = Files(*(Path(f"{stem}{suffix}") for suffix in (".prompts.json", ".seg.nrrd", ".png", ".report.json")))
    segments = [{"name": name, "prompts": [box_around(mask)]} for name, mask in case.references_kji.items()]
    prompts = {"version": 1, "coordinates": "IJK", "segments": segments}
    files.prompts.write_text(json.dumps(prompts, indent=2) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "medsam2_engine", "segment", case.volume, "--prompts", files.prompts]
    command += ["--model", options.model, "--device", options.device]
    command += ["-o", files.segmentation, "--picture", files.picture, "--report", files.report]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "MedSAM2Slicer")}
    if subprocess.call([str(part) for part in command], env=environment):
        raise DemoError("medsam2 could not segment the volume; its message is above.")
    return files


def box_around(mask_kji: Mask) -> dict[str, Any]:
    """A box prompt on the slice along K that shows most of the object, in voxel indices, last ones included."""
    k = int(mask_kji.sum(axis=(1, 2)).argmax())
    j, i = np.nonzero(mask_kji[k])
    i_first, i_last = grown(i, mask_kji.shape[2])
    j_first, j_last = grown(j, mask_kji.shape[1])
    return {"type": "box", "axis": "K", "slice": k, "min": [i_first, j_first], "max": [i_last, j_last]}


def grown(indices: NDArray[np.intp], size: int) -> tuple[int, int]:
    low, high = int(indices.min()), int(indices.max())
    margin = BOX_GROWTH * (high - low + 1) / 2
    return max(0, math.floor(low - margin)), min(size - 1, math.ceil(high + margin))


# Results


def print_results(case: Case, files: Files) -> None:
    report = json.loads(files.report.read_text(encoding="utf-8"))
    segments, ijk_to_ras = read_segmentation(files.segmentation)
    masks = {segment.name: segment.mask_kji for segment in segments}
    voxel_ml = abs(float(np.linalg.det(ijk_to_ras[:3, :3]))) / 1000
    print(f"\n{case.title}\nmodel {report['model']} on {report['device']}\n")
    print(f"{'segment':<20}{'millilitres':>12}{'reference':>12}{'Dice':>8}   slices")
    for entry in report["segments"]:
        reference = case.references_kji[entry["name"]]
        mask = masks.get(entry["name"])
        if mask is None or mask.shape != reference.shape:
            raise DemoError(f"{files.segmentation} has no segment {entry['name']!r} on the grid of the reference.")
        first, last = entry["slices"]
        reference_ml = reference.sum() * voxel_ml
        numbers = f"{entry['millilitres']:>12.1f}{reference_ml:>12.1f}{dice(mask, reference):>8.3f}"
        print(f"{entry['name']:<20}{numbers}   {first}-{last}")
    print(f"\n{report['seconds_per_slice']:.3f} seconds per slice, {report['seconds']:.1f} seconds in all")
    for path in (files.segmentation, files.picture):
        print(f"wrote {os.path.relpath(path)}")


def dice(a: Mask, b: Mask) -> float:
    both = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / both if both else 1.0


if __name__ == "__main__":
    sys.exit(main())
