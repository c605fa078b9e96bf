"""DICOM series, written here slice by slice and read back."""

from __future__ import annotations

import locale
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medsam2_engine.errors import UnreadableVolume
from medsam2_engine.volume import read_volume

SHAPE_KJI = (6, 8, 10)
SPACING = (0.5, 0.75, 3.0)
ORIGIN = np.array([-31.5, 18.25, 402.0])
OBLIQUE = np.array(sitk.Euler3DTransform((0, 0, 0), 0.4, -0.3, 0.7).GetMatrix()).reshape(3, 3)


def write_series(
    folder: Path,
    voxels: np.ndarray,
    directions: np.ndarray | None = None,
    modality: str = "CT",
    uid: str = "1.2.826.0.1.3680043.2.1125.1",
    positions: Sequence[np.ndarray] | None = None,
) -> list[Path]:
    """One file a slice; the names do not tell the order, the headers do."""
    folder.mkdir(parents=True, exist_ok=True)
    directions = np.eye(3) if directions is None else directions
    if positions is None:
        positions = [ORIGIN + k * SPACING[2] * directions[:, 2] for k in range(len(voxels))]
    files = []
    for k, (plane, position) in enumerate(zip(voxels, positions, strict=True)):
        image = sitk.GetImageFromArray(plane[None])
        image.SetSpacing(SPACING)
        tags = {
            "0008|0008": "DERIVED\\SECONDARY",
            "0008|0018": f"{uid}.{k + 1}",
            "0008|0060": modality,
            "0020|000d": "1.2.826.0.1.3680043.2.1125.9",
            "0020|000e": uid,
            "0020|0013": str(k + 1),
            "0020|0032": "\\".join(f"{value:.10g}" for value in position),
            "0020|0037": "\\".join(f"{value:.10g}" for value in directions[:, :2].T.ravel()),
        }
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        files.append(folder / f"{(k * 7) % 11:02d}_{uid[-1]}.dcm")
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(files[-1]))
        writer.Execute(image)
    return files


def refusal(path: Path) -> str:
    with pytest.raises(UnreadableVolume) as error:
        read_volume(path)
    return str(error.value)


@pytest.fixture(autouse=True)
def same_locale() -> Iterator[None]:
    """Writing DICOM leaves the process in the C locale, where other tests cannot read an umlaut."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


@pytest.fixture
def voxels() -> np.ndarray:
    return np.arange(np.prod(SHAPE_KJI), dtype=np.int16).reshape(SHAPE_KJI) - 1000


def test_a_folder_with_one_series_is_a_volume(tmp_path: Path, voxels: np.ndarray) -> None:
    write_series(tmp_path, voxels)
    assert np.array_equal(read_volume(tmp_path).voxels_kji, voxels)


def test_any_file_of_a_series_stands_for_all(tmp_path: Path, voxels: np.ndarray) -> None:
    files = write_series(tmp_path, voxels)
    assert np.array_equal(read_volume(files[3]).voxels_kji, voxels)


def test_the_modality_is_read_from_the_header(tmp_path: Path, voxels: np.ndarray) -> None:
    write_series(tmp_path, voxels, modality="MR")
    assert read_volume(tmp_path).modality == "MR"


def test_the_given_modality_overrides_the_header(tmp_path: Path, voxels: np.ndarray) -> None:
    write_series(tmp_path, voxels, modality="OT")
    assert read_volume(tmp_path, "PT").modality == "PT"


@pytest.mark.parametrize("directions", [np.eye(3), OBLIQUE], ids=["identity", "oblique"])
def test_every_slice_lies_where_its_header_says(tmp_path: Path, voxels: np.ndarray, directions: np.ndarray) -> None:
    write_series(tmp_path, voxels, directions)
    volume = read_volume(tmp_path)
    for k in range(SHAPE_KJI[0]):
        lps = ORIGIN + k * SPACING[2] * directions[:, 2]
        assert (volume.ijk_to_ras @ [0, 0, k, 1])[:3] == pytest.approx(lps * [-1, -1, 1], abs=1e-4)


def test_slices_numbered_from_head_to_foot_are_sorted_by_position(tmp_path: Path, voxels: np.ndarray) -> None:
    positions = [ORIGIN - k * SPACING[2] * np.array([0, 0, 1]) for k in range(SHAPE_KJI[0])]
    write_series(tmp_path, voxels, positions=positions)
    volume = read_volume(tmp_path)
    lowest = volume.ijk_to_ras @ [0, 0, 0, 1]
    assert (lowest[2], volume.voxels_kji[0, 0, 0]) == (pytest.approx(ORIGIN[2] - 15), voxels[5, 0, 0])


def test_one_file_of_one_slice_is_a_volume(tmp_path: Path, voxels: np.ndarray) -> None:
    write_series(tmp_path, voxels[:1])
    assert read_volume(tmp_path).shape_kji == (1, 8, 10)


def test_a_folder_with_two_series_lists_a_file_of_each(tmp_path: Path, voxels: np.ndarray) -> None:
    write_series(tmp_path, voxels)
    write_series(tmp_path, voxels[:4], uid="1.2.826.0.1.3680043.2.1125.2")
    text = refusal(tmp_path)
    assert "holds 2 series" in text
    assert "(6 files)" in text
    assert "(4 files)" in text


def test_a_file_chooses_among_two_series(tmp_path: Path, voxels: np.ndarray) -> None:
    write_series(tmp_path, voxels)
    files = write_series(tmp_path, voxels[:4] + 7, uid="1.2.826.0.1.3680043.2.1125.2")
    assert np.array_equal(read_volume(files[0]).voxels_kji, voxels[:4] + 7)


def test_a_missing_slice_is_noticed(tmp_path: Path, voxels: np.ndarray) -> None:
    files = write_series(tmp_path, voxels)
    files[3].unlink()
    assert "6.00 mm after slice 2, usually 3.00 mm" in refusal(tmp_path)


def test_a_slice_stored_twice_is_noticed(tmp_path: Path, voxels: np.ndarray) -> None:
    positions = [ORIGIN + max(0, k - 1) * np.array([0, 0, 3.0]) for k in range(SHAPE_KJI[0])]
    write_series(tmp_path, voxels, positions=positions)
    assert "not evenly spaced" in refusal(tmp_path)


def test_slices_that_all_lie_in_one_place_are_no_volume(tmp_path: Path, voxels: np.ndarray) -> None:
    write_series(tmp_path, voxels, positions=[ORIGIN] * SHAPE_KJI[0])
    assert "lie in the same place" in refusal(tmp_path)


def test_slices_of_two_contrasts_are_no_volume(tmp_path: Path, voxels: np.ndarray) -> None:
    positions = [ORIGIN + k // 2 * np.array([0, 0, 3.0]) for k in range(SHAPE_KJI[0])]
    write_series(tmp_path, voxels, positions=positions)
    assert "lie in the same place" in refusal(tmp_path)


def test_a_tilted_gantry_is_refused_rather_than_straightened(tmp_path: Path, voxels: np.ndarray) -> None:
    positions = [ORIGIN + k * np.array([0, 1.0, 3.0]) for k in range(SHAPE_KJI[0])]
    write_series(tmp_path, voxels, positions=positions)
    assert "tilted" in refusal(tmp_path)


def test_a_folder_of_other_files_holds_no_series(tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("Nothing to see")
    assert "holds no DICOM series" in refusal(tmp_path)
