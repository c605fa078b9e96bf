"""Segments as a file: Slicer's segmentation format (.seg.nrrd), or a label map for every other program.

Both have exactly the voxels and the position of the volume. In .seg.nrrd segments may overlap; in a label map the later
one wins.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nrrd
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from medsam2_engine.atomic_file import check_writable, replacing
from medsam2_engine.errors import UnreadableVolume, UnwritableResult
from medsam2_engine.slicer_nrrd import NamedLabel, read_seg_nrrd, write_seg_nrrd
from medsam2_engine.volume import LPS_TO_RAS, Matrix

SLICER_ENDING = ".seg.nrrd"
LABEL_MAP_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segment:
    """A finished segment: `mask_kji` is bool and has the volume's shape; `color` is red, green, blue from 0 to 1."""

    name: str
    color: tuple[float, float, float]
    mask_kji: npt.NDArray[np.bool_]


def check_result_path(path: Path) -> None:
    """Find out before a long computation whether a result can be written there.

    Raises:
        UnwritableResult: not an ending that can be written, or nothing can be written there.
    """
    if not path.name.lower().endswith((SLICER_ENDING, *LABEL_MAP_ENDINGS)):
        known = ", ".join((SLICER_ENDING, *LABEL_MAP_ENDINGS))
        raise UnwritableResult(f"{path.name} has no ending that can be written. Known endings: {known}.")
    check_writable(path)


def write_segmentation(path: Path, segments: Sequence[Segment], ijk_to_ras: Matrix) -> None:
    """Write all segments, at least one, into one file; an existing file is replaced only by a complete one.

    Raises:
        UnwritableResult: see `check_result_path`; or the disk is full.
    """
    check_result_path(path)
    with replacing(path) as temporary:
        if path.name.lower().endswith(SLICER_ENDING):
            _write_slicer(temporary, segments, ijk_to_ras)
        else:
            _write_label_map(temporary, segments, ijk_to_ras)


def read_segmentation(path: Path) -> tuple[tuple[Segment, ...], Matrix]:
    """The segments of a .seg.nrrd file that covers its whole volume, as ours do, and its IJK-to-RAS matrix.

    Raises:
        UnreadableVolume: no such file, or not in Slicer's format.
    """
    try:
        layers, labels, ijk_to_ras = read_seg_nrrd(path)
        segments = [Segment(label.name, label.color, layers[label.layer] == label.label) for label in labels]
    except (OSError, ValueError, KeyError, IndexError, nrrd.NRRDError) as error:
        raise UnreadableVolume(f"{path} is no segmentation that can be read ({error}).") from error
    return tuple(segments), ijk_to_ras


def _write_slicer(path: Path, segments: Sequence[Segment], ijk_to_ras: Matrix) -> None:
    layers: list[npt.NDArray[np.integer]] = []
    counts: list[int] = []
    labels = []
    for segment in segments:
        layer = next((n for n, voxels in enumerate(layers) if not voxels[segment.mask_kji].any()), len(layers))
        if layer == len(layers):
            layers.append(np.zeros(segment.mask_kji.shape, _label_type(len(segments))))
            counts.append(0)
        counts[layer] += 1
        layers[layer][segment.mask_kji] = counts[layer]
        labels.append(NamedLabel(segment.name, segment.color, layer, counts[layer], _extent_ijk(segment.mask_kji)))
    write_seg_nrrd(path, layers, labels, ijk_to_ras)


def _write_label_map(path: Path, segments: Sequence[Segment], ijk_to_ras: Matrix) -> None:
    labels = np.zeros(segments[0].mask_kji.shape, _label_type(len(segments)))
    for number, segment in enumerate(segments):
        if labels[segment.mask_kji].any():
            log.warning("%s overlaps another segment and is on top of it; .seg.nrrd keeps both.", segment.name)
        labels[segment.mask_kji] = number + 1
    image = _image(labels, ijk_to_ras)
    try:
        sitk.WriteImage(image, str(path), useCompression=path.suffix != ".nii")
    except RuntimeError as error:
        raise OSError(str(error).strip().splitlines()[-1]) from error


def _image(voxels_kji: npt.NDArray[np.integer], ijk_to_ras: Matrix) -> sitk.Image:
    """A SimpleITK image, whose own world is LPS."""
    ijk_to_lps = LPS_TO_RAS @ ijk_to_ras
    spacing = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(voxels_kji)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((ijk_to_lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(ijk_to_lps[:3, 3].tolist())
    return image


def _label_type(segments: int) -> type[np.integer]:
    return np.uint8 if segments <= np.iinfo(np.uint8).max else np.uint16


def _extent_ijk(mask_kji: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    """First and last voxel along I, J and K; VTK's empty extent (0, -1, ...) if there is none."""
    extent: list[int] = []
    for axis in (2, 1, 0):
        occupied = np.flatnonzero(mask_kji.any(axis=tuple(other for other in range(3) if other != axis)))
        extent += [int(occupied[0]), int(occupied[-1])] if occupied.size else [0, -1]
    return tuple(extent)
