"""Segmentations as DICOM has them: Segmentation objects (PS3.3 A.51), read by highdicom, and RT Structure Sets
(PS3.3 A.19.3), whose contours are filled on the voxels of the volume.

A voxel belongs to a contour if its centre does. Contours of one structure in one slice are holes where they lie in each
other (an odd number of contours around a voxel), and keyhole contours are as good.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medsam2_engine.errors import MissingPackages, UnreadableVolume
from medsam2_engine.volume import LPS_TO_RAS, Matrix, Volume
from medsam2_protocol.prompts import AXES, axis_kji
from medsam2_protocol.strokes import lasso_interior

SEGMENTATION, STRUCTURE_SET = "SEG", "RTSTRUCT"
CLOSED = "CLOSED_PLANAR"
FLAT = 0.5  # of a voxel: how far a contour may leave its slice
HALF = 0.5  # of a fractional segment

Layer = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Drawn:
    """A structure's name and its voxels: 0 or 1, KJI, uint8."""

    name: str
    layer_kji: Layer


def is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def modality_of(path: Path) -> str:
    """As DICOM calls it.

    Raises:
        MissingPackages: there is no pydicom.
        UnreadableVolume: the file cannot be read.
    """
    return str(_header(path).get("Modality", ""))


def read_dicom_segmentation(path: Path, volume: Volume) -> tuple[tuple[Drawn, ...], Matrix]:
    """What is drawn, and the position matrix of its voxels: the volume's for contours.

    Raises:
        MissingPackages: there is no reader.
        UnreadableVolume: neither kind of object, damaged, or contours that lie in no slice of the volume.
    """
    modality = modality_of(path)
    if modality == SEGMENTATION:
        return _segments(path)
    if modality == STRUCTURE_SET:
        return tuple(_structures(path, volume)), volume.ijk_to_ras
    raise UnreadableVolume(f"{path} is DICOM, but neither a segmentation nor a structure set. Leave it out.")


def _segments(path: Path) -> tuple[tuple[Drawn, ...], Matrix]:
    highdicom = _imported("highdicom")
    try:
        read = highdicom.seg.segread(path)
        voxels = read.get_volume(combine_segments=False, skip_overlap_checks=True)
        names = [str(read.get_segment_description(n).segment_label) for n in read.segment_numbers]
    except Exception as error:  # of many kinds, for as many ways to be no regular volume
        raise UnreadableVolume(f"{path} is no segmentation that can be read ({error}).") from error
    array = np.asarray(voxels.array, dtype=np.float32)
    drawn = [Drawn(name, np.ascontiguousarray(array[..., n] >= HALF).astype(np.uint8)) for n, name in enumerate(names)]
    # highdicom counts slice, row, column, as we do, and its matrix takes them in that order.
    ijk_to_lps = np.asarray(voxels.affine, float)[:, [2, 1, 0, 3]]
    return tuple(drawn), np.asarray(LPS_TO_RAS @ ijk_to_lps, dtype=np.float64)


def _structures(path: Path, volume: Volume) -> Iterator[Drawn]:
    header = _header(path)
    names = {int(item.ROINumber): str(item.ROIName) for item in header.get("StructureSetROISequence", ())}
    to_ijk = np.asarray(np.linalg.inv(volume.ijk_to_ras) @ LPS_TO_RAS, dtype=np.float64)
    for item in header.get("ROIContourSequence", ()):
        contours = [
            _points(contour, to_ijk)
            for contour in item.get("ContourSequence", ())
            if str(contour.get("ContourGeometricType", "")) == CLOSED
        ]
        if contours:
            name = names.get(int(item.ReferencedROINumber), f"structure {item.ReferencedROINumber}")
            yield Drawn(name, _filled(contours, volume.shape_kji, f"{path}, {name}"))


def _points(contour: Any, to_ijk: Matrix) -> npt.NDArray[np.float64]:
    """(N, 3) in voxels, IJK."""
    points = np.asarray(contour.ContourData, float).reshape(-1, 3)
    return np.asarray(points @ to_ijk[:3, :3].T + to_ijk[:3, 3])


def _filled(contours: Sequence[npt.NDArray[np.float64]], shape_kji: tuple[int, int, int], what: str) -> Layer:
    layer = np.zeros(shape_kji, bool)
    axis = _axis_of(contours, what)
    slices = np.moveaxis(layer, axis_kji(axis), 0)
    along = AXES.index(axis)
    for points in contours:
        index = int(np.rint(points[:, along].mean()))
        if 0 <= index < len(slices):
            across = np.delete(points, along, axis=1)
            slices[index] ^= lasso_interior(tuple((float(x), float(y)) for x, y in across), slices[index].shape)
    return layer.astype(np.uint8)


def _axis_of(contours: Iterable[npt.NDArray[np.float64]], what: str) -> str:
    """The axis in whose slices all contours lie."""
    thickness = np.max([np.ptp(points, axis=0) for points in contours], axis=0)
    axis = int(thickness.argmin())
    if thickness[axis] > FLAT:
        raise UnreadableVolume(f"{what}: its contours lie in no slice of the volume. Export the structures on it.")
    return AXES[axis]


def _header(path: Path) -> Any:
    pydicom = _imported("pydicom")
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except Exception as error:  # pydicom's own errors and those of damaged values
        raise UnreadableVolume(f"{path} is no DICOM file that can be read ({error}).") from error


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingPackages(
            f'DICOM segmentations need the package {name} (`pip install "medsam2slicer-engine[finetune]"`).'
        ) from error
