"""What is learnt from: volumes with segmented structures, as they lie in a folder.

Two layouts. One folder per case, with `image.*` (or a DICOM series in a folder `image`) and `label.*` (or `*.seg.nrrd`,
or a DICOM segmentation or structure set `*.dcm`), and perhaps a `meta.json` that says `id`, `subject`, `modality`,
`licence`, `source`, `structures: {name: {label}}` and `reviewed` (see `pseudo_labels`). Or files side by side:
`NAME.nrrd` with `NAME.seg.nrrd`, `NAME_seg.nii.gz`, `NAME_label.nii.gz` or `NAME.dcm`. A segmentation on other voxels
than its volume is brought onto them. Cases of one subject are never split between training and validation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medsam2_engine.errors import BadRequest
from medsam2_engine.finetune.case_sizes import require_room_for
from medsam2_engine.finetune.dicom_segmentations import is_dicom, read_dicom_segmentation
from medsam2_engine.finetune.voxel_grids import on_voxels_of
from medsam2_engine.segmentation_file import LABEL_MAP_ENDINGS, SLICER_ENDING, read_segmentation
from medsam2_engine.volume import Volume, read_volume
from medsam2_protocol.prompts import AXES, axis_kji

VOLUME_ENDINGS = (*LABEL_MAP_ENDINGS, ".mhd")
LABEL_ENDINGS = ("_seg", "-seg", "_label", "-label", "_mask", "-mask", "_labels", ".seg")
DICOM_ENDING = ".dcm"
FEWEST_SLICES = 3

Mask = npt.NDArray[np.bool_]
Layer = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Structure:
    """The voxels of `layers[layer]` that have the value `label`."""

    name: str
    layer: int
    label: int


@dataclass(frozen=True)
class Reviewed:
    """The slices that a person has drawn or approved; on the others nothing is known."""

    axis: str
    slices: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """One volume and what is segmented in it.

    Attributes:
        subject: whose volume it is; several cases may share it.
        layers: label maps with the volume's shape, several where structures overlap.
        has_image: otherwise the volume is the label map itself, and images are painted on it.
        reviewed: None where everything was.
        confidence_kji: how far the masks are believed, 0 to 1, with the volume's shape; None: all were drawn by people.
    """

    id: str
    subject: str
    volume: Volume
    layers: tuple[Layer, ...]
    structures: tuple[Structure, ...]
    has_image: bool = True
    licence: str = ""
    source: str = ""
    sha256: str = ""
    reviewed: Reviewed | None = None
    confidence_kji: npt.NDArray[np.float32] | None = None
    _areas: dict[tuple[int, str], npt.NDArray[np.int64]] = field(default_factory=dict)

    def mask(self, structure: Structure) -> Mask:
        """(K, J, I) bool."""
        return np.asarray(self.layers[structure.layer] == structure.label)

    def areas(self, structure: Structure, axis: str) -> npt.NDArray[np.int64]:
        """Voxels of a structure on each slice of an axis."""
        key = (structure.layer, axis)
        if key not in self._areas:
            slices = np.moveaxis(self.layers[structure.layer], axis_kji(axis), 0)
            count = int(slices.max()) + 1
            self._areas[key] = np.stack([np.bincount(part.ravel(), minlength=count) for part in slices])
        return self._areas[key][:, structure.label]

    @cached_property
    def darkest(self) -> float:
        return float(self.volume.sample.min())


def read_cases(folder: Path, only: Sequence[str] | None = None) -> tuple[TrainingCase, ...]:
    """Every case in a folder, or those with these names, in the order of their names.

    Raises:
        BadRequest: there is none, one of the named ones is missing, or a case has no structure.
        TooLittleMemory: they are larger than the memory that is free.
        UnreadableVolume: a file cannot be read.
    """
    if not folder.is_dir():
        raise BadRequest(f"There is no folder {folder}. Name the folder with the volumes and their segmentations.")
    pairs = [files for files in _pairs(folder) if only is None or files[0] in only]
    missing = sorted(set(only or ()) - {name for name, *_ in pairs})
    if missing:
        raise BadRequest(f"{folder} has no case {missing[0]} (any more). Name others, or begin anew.")
    require_room_for((image, segmentation) for _, image, segmentation, _ in pairs)
    found = tuple(read_case(*files) for files in pairs)
    if not found:
        raise BadRequest(
            f"{folder} holds no volume with a segmentation. Put them side by side (NAME.nrrd with NAME.seg.nrrd, or "
            "NAME.nii.gz with NAME_seg.nii.gz), or one folder per case with image.* and label.*."
        )
    return found


def read_case(name: str, image: Path | None, segmentation: Path, meta: dict[str, Any]) -> TrainingCase:
    """One case; without an image it is shapes only.

    Raises:
        BadRequest: nothing is segmented.
        UnreadableVolume: a file cannot be read.
    """
    modality = str(meta.get("modality", ""))
    seen = None if image is None else read_volume(image, modality if modality in ("CT", "MR", "PT") else "")
    layers, structures, ijk_to_ras = _read_layers(segmentation, meta, seen)
    volume = Volume(layers[0], ijk_to_ras) if seen is None else seen
    placed = tuple(on_voxels_of(volume, layer, ijk_to_ras) for layer in layers)
    case = TrainingCase(
        id=str(meta.get("id", name)),
        subject=str(meta.get("subject", meta.get("id", name))),
        volume=volume,
        layers=placed,
        structures=structures,
        has_image=image is not None,
        licence=str(meta.get("licence", "")),
        source=str(meta.get("source", "")),
        reviewed=_reviewed(meta, segmentation),
        sha256=_sha256([path for path in (image, segmentation) if path is not None]),
    )
    kept = tuple(s for s in structures if max((case.areas(s, axis) > 0).sum() for axis in "IJK") >= FEWEST_SLICES)
    if not kept:
        raise BadRequest(f"{segmentation} holds no structure of at least {FEWEST_SLICES} slices. Leave the case out.")
    object.__setattr__(case, "structures", kept)
    return case


def _pairs(folder: Path) -> Iterator[tuple[str, Path | None, Path, dict[str, Any]]]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield from _case_in(path)
        elif _stem(path) and not _is_segmentation(path) and not path.name.lower().endswith(DICOM_ENDING):
            partner = _partner(path)
            if partner is not None:
                yield _stem(path), path, partner, {}


def _case_in(folder: Path) -> Iterator[tuple[str, Path | None, Path, dict[str, Any]]]:
    files = [path for path in sorted(folder.iterdir()) if _stem(path)]
    segmentations = [path for path in files if _is_segmentation(path) or _stem(path) in ("label", "labels", "seg")]
    segmentations = segmentations or [path for path in files if path.name.lower().endswith(DICOM_ENDING)]
    images = [path for path in files if _stem(path) == "image"] or [p for p in files if p not in segmentations]
    images = [folder / "image"] if (folder / "image").is_dir() else images
    if len(segmentations) != 1:
        return
    meta_file = folder / "meta.json"
    meta = json.loads(meta_file.read_text(encoding="utf-8")) if meta_file.is_file() else {}
    if meta.get("dim", 3) == 3 and (images or meta.get("label_only")):
        yield folder.name, images[0] if images else None, segmentations[0], meta


def _partner(image: Path) -> Path | None:
    for path in sorted(image.parent.iterdir()):
        is_other = _is_segmentation(path) or path.name.lower().endswith(DICOM_ENDING)
        if is_other and any(_stem(path) == _stem(image) + ending for ending in ("", *LABEL_ENDINGS)):
            return path
    return None


def _is_segmentation(path: Path) -> bool:
    return path.name.lower().endswith(SLICER_ENDING) or _stem(path).lower().endswith(LABEL_ENDINGS)


def _stem(path: Path) -> str:
    """The name without an ending that is known, or ""."""
    name = path.name
    for ending in (SLICER_ENDING, *VOLUME_ENDINGS, DICOM_ENDING):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return ""


def _read_layers(
    path: Path, meta: dict[str, Any], volume: Volume | None
) -> tuple[tuple[Layer, ...], tuple[Structure, ...], npt.NDArray[np.float64]]:
    if path.name.lower().endswith(SLICER_ENDING):
        segments, matrix = read_segmentation(path)
        layers = tuple(segment.mask_kji.astype(np.uint8) for segment in segments)
        return layers, tuple(Structure(segment.name, n, 1) for n, segment in enumerate(segments)), matrix
    if volume is not None and is_dicom(path):
        drawn, matrix = read_dicom_segmentation(path, volume)
        return (
            tuple(one.layer_kji for one in drawn),
            tuple(Structure(o.name, n, 1) for n, o in enumerate(drawn)),
            matrix,
        )
    labels = read_volume(path)
    voxels = np.asarray(labels.voxels_kji).astype(np.int32)
    names = {int(value["label"]): name for name, value in meta.get("structures", {}).items()}
    values = [int(value) for value in np.unique(voxels) if value > 0]
    structures = tuple(Structure(names.get(v, f"label {v}"), 0, v) for v in values if v in names or not names)
    return (voxels,), structures, labels.ijk_to_ras


def _reviewed(meta: dict[str, Any], path: Path) -> Reviewed | None:
    if "reviewed" not in meta:
        return None
    try:
        axis, slices = str(meta["reviewed"]["axis"]), tuple(sorted(int(n) for n in meta["reviewed"]["slices"]))
    except (TypeError, KeyError, ValueError) as error:
        raise BadRequest(f'{path.parent}: "reviewed" needs an "axis" and a list of "slices".') from error
    if axis not in AXES or not slices:
        raise BadRequest(f'{path.parent}: "reviewed" needs an axis of I, J, K and at least one slice.')
    return Reviewed(axis, slices)


def _sha256(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else (path,):
            digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()
