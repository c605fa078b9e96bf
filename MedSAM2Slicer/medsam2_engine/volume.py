"""A volume: its voxels and where they lie in the patient.

Voxels are a KJI array (the last axis runs fastest, as SimpleITK and Slicer hand them out). `ijk_to_ras` maps the centre
of voxel (i, j, k) to RAS millimetres and may be any invertible matrix: oblique, flipped, left-handed, anisotropic.
Nothing in the engine ever writes to the voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from medsam2_engine.errors import UnreadableVolume

Voxels: TypeAlias = npt.NDArray[np.generic]
Matrix: TypeAlias = npt.NDArray[np.float64]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
SLICE_GAP_TOLERANCE = 0.05  # of the spacing; more means that a slice is missing
SAMPLES = 2_000_000
PADDING_SHARE = 0.05


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels (K, J, I), any real dtype, read-only; `ijk_to_ras` (4, 4) in mm; `modality` as in DICOM, "" if unknown."""

    voxels_kji: Voxels
    ijk_to_ras: Matrix
    modality: str = ""

    def __post_init__(self) -> None:
        if self.voxels_kji.ndim != 3 or 0 in self.voxels_kji.shape:
            raise UnreadableVolume(f"A volume has three axes, not the shape {self.voxels_kji.shape}.")
        if self.voxels_kji.dtype.kind not in "iufb":
            raise UnreadableVolume(f"Voxels of type {self.voxels_kji.dtype} are not intensities.")
        if self.ijk_to_ras.shape != (4, 4) or not abs(np.linalg.det(self.ijk_to_ras)) > 0:
            raise UnreadableVolume("The volume's position matrix cannot be inverted; its header is damaged.")
        view = self.voxels_kji.view()
        view.setflags(write=False)
        object.__setattr__(self, "voxels_kji", view)

    @property
    def shape_kji(self) -> tuple[int, int, int]:
        k, j, i = self.voxels_kji.shape
        return k, j, i

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along I, J and K."""
        i, j, k = np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def voxel_ml(self) -> float:
        return float(abs(np.linalg.det(self.ijk_to_ras[:3, :3])) / 1000)

    @cached_property
    def sample(self) -> npt.NDArray[np.float32]:
        """Finite intensities of up to two million voxels, evenly spread over the volume."""
        flat = self.voxels_kji.reshape(-1)
        values = np.asarray(flat[:: max(1, flat.size // SAMPLES)], dtype=np.float32)
        finite = values[np.isfinite(values)]
        return finite if finite.size else np.zeros(1, np.float32)

    @cached_property
    def padding(self) -> float | None:
        """The value of the voxels around a cut-out patient (skull-stripped brain, round CT field), if there are any.

        It is the volume's exact minimum, shared by at least 5 % of the voxels. It says nothing about tissue, so
        statistics leave it out.
        """
        lowest = self.sample.min()
        return float(lowest) if np.mean(self.sample == lowest) >= PADDING_SHARE else None


def read_volume(path: Path, modality: str = "") -> Volume:
    """Read a NIfTI, NRRD, MetaImage or 2D picture file, or a DICOM series (its folder, or any file of it).

    Colours become luminance. `modality` overrides what the file says.

    Raises:
        UnreadableVolume: no such file, not an image, several series in the folder, more than three dimensions,
            missing slices.
    """
    if not path.exists():
        raise UnreadableVolume(f"There is no file or folder {path}. Check the path.")
    try:
        image, found = _read_dicom(path) if path.is_dir() or _is_dicom(path) else (sitk.ReadImage(str(path)), "")
    except RuntimeError as error:
        raise UnreadableVolume(
            f"{path} is no image that can be read (NIfTI, NRRD, MHA/MHD or DICOM). {_reason(error)}"
        ) from error
    return _volume_of_image(image, modality or found, path)


def map_volume(
    path: Path, dtype: str, shape_kji: Sequence[int], ijk_to_ras: Sequence[Sequence[float]], modality: str = ""
) -> Volume:
    """Map a raw file of voxels (C order) into memory, read-only and without a copy.

    Raises:
        UnreadableVolume: no such file, or its size does not fit dtype and shape.
    """
    try:
        kind = np.dtype(dtype)
        voxels = np.memmap(path, dtype=kind, mode="r", shape=tuple(shape_kji))
    except (OSError, ValueError, TypeError, OverflowError) as error:
        raise UnreadableVolume(f"The voxels in {path} cannot be opened ({error}). Load the volume again.") from error
    if path.stat().st_size != voxels.nbytes:
        raise UnreadableVolume(f"{path} has another size than {tuple(shape_kji)} voxels of {kind}.")
    return Volume(voxels, np.asarray(ijk_to_ras, dtype=np.float64), modality)


def _volume_of_image(image: sitk.Image, modality: str, path: Path) -> Volume:
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() not in (2, 3):
        raise UnreadableVolume(
            f"{path} has {image.GetDimension()} dimensions {image.GetSize()}. Save one volume of it as its own file."
        )
    voxels = _grey(sitk.GetArrayFromImage(image), image.GetNumberOfComponentsPerPixel(), path)
    if image.GetDimension() == 2:
        voxels = voxels[None]
    return Volume(voxels, ijk_to_ras_of_image(image), modality)


def ijk_to_ras_of_image(image: sitk.Image) -> Matrix:
    """The position matrix of a 2D or 3D SimpleITK image, whose own world is LPS."""
    size = image.GetDimension()
    ijk_to_lps = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(size, size)
    ijk_to_lps[:size, :size] = direction * np.array(image.GetSpacing())
    ijk_to_lps[:size, 3] = image.GetOrigin()
    return np.asarray(LPS_TO_RAS @ ijk_to_lps, dtype=np.float64)


def _grey(voxels: Voxels, components: int, path: Path) -> Voxels:
    if components == 1:
        return voxels
    if components not in (3, 4):
        raise UnreadableVolume(f"{path} has {components} values a voxel. Save one of them as a file of its own.")
    return np.asarray(voxels[..., :3] @ LUMINANCE, dtype=np.float32)


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _read_dicom(path: Path) -> tuple[sitk.Image, str]:
    files = _files_of_series(path)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(files)
    reader.MetaDataDictionaryArrayUpdateOn()
    image = reader.Execute()
    if image.GetDimension() == 3 and len(files) > 1:
        _check_positions(image, reader, len(files), path)
    return image, _tag(reader, 0, "0008|0060")


def _files_of_series(path: Path) -> Sequence[str]:
    folder = path if path.is_dir() else path.parent
    series = {uid: sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid) for uid in _series_in(folder)}
    if path.is_file():
        same = [files for files in series.values() if any(Path(file).samefile(path) for file in files)]
        return same[0] if same else [str(path)]
    if not series:
        raise UnreadableVolume(f"The folder {path} holds no DICOM series. Name a volume file, or another folder.")
    if len(series) > 1:
        choices = "\n".join(f"  {files[0]}  ({len(files)} files)" for files in series.values())
        raise UnreadableVolume(
            f"The folder {path} holds {len(series)} series. Name a file of the one you mean, for example:\n{choices}"
        )
    return next(iter(series.values()))


def _series_in(folder: Path) -> Sequence[str]:
    return sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)) or ()


def _check_positions(image: sitk.Image, reader: sitk.ImageSeriesReader, count: int, path: Path) -> None:
    """ITK stacks slices straight and at equal distances whatever the headers say; voxels would lie wrong.

    Slices are missing, lie in the same place (several times, or several contrasts), or a CT's gantry was tilted.
    """
    positions = [_tag(reader, index, "0020|0032") for index in range(count)]
    if not all(positions):
        return
    points = np.array([[float(value) for value in position.split("\\")] for position in positions])
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    usual = float(np.median(gaps))
    if usual == 0:
        raise UnreadableVolume(
            f"Slices of {path} lie in the same place: the series holds several images of it. Choose another series."
        )
    wrong = np.flatnonzero(np.abs(gaps - usual) > SLICE_GAP_TOLERANCE * usual)
    if wrong.size:
        raise UnreadableVolume(
            f"The slices of {path} are not evenly spaced: {gaps[wrong[0]]:.2f} mm after slice {wrong[0]}, usually "
            f"{usual:.2f} mm. A slice may be missing; import the series again, or resample it."
        )
    normal = np.array(image.GetDirection()).reshape(3, 3)[:, 2]
    sideways = np.linalg.norm(np.cross(points - points[0], normal), axis=1)
    if sideways.max() > min(image.GetSpacing()[:2]) / 2:
        raise UnreadableVolume(
            f"The slices of {path} are shifted sideways by up to {sideways.max():.2f} mm: the gantry was tilted. Load "
            "the series in 3D Slicer, harden its transform, and save it as NRRD."
        )


def _tag(reader: sitk.ImageSeriesReader, index: int, key: str) -> str:
    return reader.GetMetaData(index, key).strip() if reader.HasMetaDataKey(index, key) else ""


def _reason(error: Exception) -> str:
    """The last line of ITK's long message says what was wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else ""
