"""Files become volumes with every voxel in its place, or are refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from medsam2_engine.errors import UnreadableVolume
from medsam2_engine.volume import Volume, ijk_to_ras_of_image, map_volume, read_volume

SHAPE_KJI = (5, 7, 9)
SPACING = (0.3, 0.9, 5.0)
ORIGIN = (-31.5, 18.25, 402.0)
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def rotation(x: float, y: float, z: float) -> np.ndarray:
    return np.array(sitk.Euler3DTransform((0, 0, 0), x, y, z).GetMatrix()).reshape(3, 3)


DIRECTIONS = {
    "identity": np.eye(3),
    "oblique": rotation(0.4, -0.3, 0.7),
    "left-handed": np.diag([1.0, 1.0, -1.0]),
    "oblique left-handed": rotation(0.4, -0.3, 0.7) @ np.diag([-1.0, 1.0, 1.0]),
    "permuted": np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
}


def image_of(voxels: np.ndarray, directions: np.ndarray | None = None) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    image.SetDirection((np.eye(3) if directions is None else directions).ravel().tolist())
    return image


def written(image: sitk.Image, path: Path) -> Path:
    sitk.WriteImage(image, str(path))
    return path


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(UnreadableVolume) as error:
        call()
    return str(error.value)


@pytest.fixture
def voxels() -> np.ndarray:
    """Every voxel has its own value."""
    return np.arange(np.prod(SHAPE_KJI), dtype=np.int16).reshape(SHAPE_KJI) - 100


# ---- files of volumes


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_every_format_gives_the_voxels_in_kji_order(tmp_path: Path, voxels: np.ndarray, suffix: str) -> None:
    volume = read_volume(written(image_of(voxels), tmp_path / f"volume{suffix}"))
    assert np.array_equal(volume.voxels_kji, voxels)


@pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=list(DIRECTIONS))
@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_every_voxel_lies_where_itk_says(
    tmp_path: Path, voxels: np.ndarray, suffix: str, directions: np.ndarray
) -> None:
    image = image_of(voxels, directions)
    volume = read_volume(written(image, tmp_path / f"volume{suffix}"))
    for ijk in [(0, 0, 0), (8, 0, 0), (0, 6, 0), (0, 0, 4), (3, 5, 2)]:
        ras = (volume.ijk_to_ras @ [*ijk, 1])[:3]
        assert ras == pytest.approx(LPS_TO_RAS * image.TransformIndexToPhysicalPoint(ijk), abs=1e-4)


@given(
    st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    st.tuples(*[st.floats(0.1, 9.0)] * 3),
    st.tuples(*[st.floats(-500, 500)] * 3),
    st.sampled_from(list(DIRECTIONS.values())),
)
def test_any_position_of_an_image_is_its_matrix(
    angles: tuple[float, ...], spacing: tuple[float, ...], origin: tuple[float, ...], base: np.ndarray
) -> None:
    image = sitk.Image([9, 7, 5], sitk.sitkInt16)
    image.SetDirection((rotation(*angles) @ base).ravel().tolist())
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    corner = image.TransformContinuousIndexToPhysicalPoint((7.5, 3.25, -0.5))
    assert (ijk_to_ras_of_image(image) @ [7.5, 3.25, -0.5, 1])[:3] == pytest.approx(LPS_TO_RAS * corner, abs=1e-9)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
def test_every_type_of_voxel_is_kept(tmp_path: Path, dtype: str) -> None:
    limits = np.finfo(dtype) if dtype.startswith("f") else np.iinfo(dtype)
    voxels = np.full(SHAPE_KJI, limits.max, dtype)
    voxels[0, 0, 0] = limits.min
    volume = read_volume(written(image_of(voxels), tmp_path / "volume.nrrd"))
    assert volume.voxels_kji.dtype == voxels.dtype
    assert np.array_equal(volume.voxels_kji, voxels)


def test_the_spacing_is_in_ijk_order(tmp_path: Path, voxels: np.ndarray) -> None:
    image = image_of(voxels, DIRECTIONS["oblique left-handed"])
    assert read_volume(written(image, tmp_path / "volume.nrrd")).spacing_mm == pytest.approx(SPACING)


def test_a_voxel_has_its_millilitres() -> None:
    volume = Volume(np.zeros(SHAPE_KJI), np.diag([-2.0, 0.5, 10.0, 1.0]))
    assert volume.voxel_ml == pytest.approx(0.01)


def test_the_modality_of_a_file_is_unknown(tmp_path: Path, voxels: np.ndarray) -> None:
    assert read_volume(written(image_of(voxels), tmp_path / "volume.nrrd")).modality == ""


def test_a_modality_may_be_given(tmp_path: Path, voxels: np.ndarray) -> None:
    assert read_volume(written(image_of(voxels), tmp_path / "volume.nrrd"), "PT").modality == "PT"


def test_a_folder_name_with_a_space_and_an_umlaut_is_read(tmp_path: Path, voxels: np.ndarray) -> None:
    folder = tmp_path / "Müller, Zoë"
    folder.mkdir()
    assert read_volume(written(image_of(voxels), folder / "größe 1.nii.gz")).shape_kji == SHAPE_KJI


# ---- pictures and other dimensions


def test_a_grey_picture_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    picture = np.arange(63, dtype=np.uint8).reshape(7, 9)
    volume = read_volume(written(sitk.GetImageFromArray(picture), tmp_path / "picture.png"))
    assert np.array_equal(volume.voxels_kji, picture[None])


def test_a_colour_picture_becomes_its_luminance(tmp_path: Path) -> None:
    colours = np.zeros((7, 9, 3), np.uint8)
    colours[0, :3] = np.diag([255, 255, 255])
    image = sitk.GetImageFromArray(colours, isVector=True)
    volume = read_volume(written(image, tmp_path / "picture.png"))
    assert volume.voxels_kji[0, 0, :3] == pytest.approx([76.245, 149.685, 29.07])


def test_transparency_does_not_count(tmp_path: Path) -> None:
    colours = np.full((7, 9, 4), 100, np.uint8)
    colours[..., 3] = 7
    image = sitk.GetImageFromArray(colours, isVector=True)
    assert read_volume(written(image, tmp_path / "picture.png")).voxels_kji == pytest.approx(100)


def test_a_picture_lies_at_its_position(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.zeros((7, 9), np.uint8))
    image.SetSpacing((0.5, 2.0))
    image.SetOrigin((10.0, 20.0))
    volume = read_volume(written(image, tmp_path / "picture.mha"))
    assert (volume.ijk_to_ras @ [2, 3, 0, 1]).tolist() == [-11.0, -26.0, 0.0, 1.0]


def test_a_fourth_dimension_of_one_is_left_out(tmp_path: Path, voxels: np.ndarray) -> None:
    image = sitk.JoinSeries([image_of(voxels)])
    assert np.array_equal(read_volume(written(image, tmp_path / "volume.nii.gz")).voxels_kji, voxels)


def test_several_time_points_are_refused(tmp_path: Path, voxels: np.ndarray) -> None:
    path = written(sitk.JoinSeries([image_of(voxels)] * 3), tmp_path / "volume.nii.gz")
    assert "4 dimensions (9, 7, 5, 3)" in refusal(lambda: read_volume(path))


@pytest.mark.parametrize("components", [2, 6])
def test_vectors_that_are_no_colours_are_refused(tmp_path: Path, components: int) -> None:
    vectors = sitk.GetImageFromArray(np.zeros((*SHAPE_KJI, components), np.float32), isVector=True)
    path = written(vectors, tmp_path / "field.nrrd")
    assert f"{components} values a voxel" in refusal(lambda: read_volume(path))


def test_complex_voxels_are_refused(tmp_path: Path) -> None:
    path = written(sitk.GetImageFromArray(np.zeros(SHAPE_KJI, np.complex64)), tmp_path / "kspace.mha")
    assert "2 values a voxel" in refusal(lambda: read_volume(path))


# ---- what is no volume


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "There is no file or folder" in refusal(lambda: read_volume(tmp_path / "nothing.nii.gz"))


@pytest.mark.parametrize("name", ["letter.txt", "volume.nii.gz", "volume.nrrd", "volume.mha", "volume.dcm"])
def test_a_file_that_is_no_image_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Dear colleague, thank you for referring this patient.")
    assert "is no image that can be read" in refusal(lambda: read_volume(tmp_path / name))


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "volume.nii").touch()
    assert "is no image that can be read" in refusal(lambda: read_volume(tmp_path / "volume.nii"))


def test_a_file_cut_short_is_refused(tmp_path: Path, voxels: np.ndarray) -> None:
    path = written(image_of(voxels), tmp_path / "volume.nrrd")
    path.write_bytes(path.read_bytes()[:-40])
    assert "is no image that can be read" in refusal(lambda: read_volume(path))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "holds no DICOM series" in refusal(lambda: read_volume(tmp_path))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 9, 2), (0, 7, 9), (5, 7, 0)])
def test_a_volume_has_three_axes_with_voxels(shape: tuple[int, ...]) -> None:
    assert "three axes" in refusal(lambda: Volume(np.zeros(shape), np.eye(4)))


@pytest.mark.parametrize("dtype", ["complex64", "U3", "O", "M8[s]"])
def test_voxels_are_real_numbers(dtype: str) -> None:
    assert "are not intensities" in refusal(lambda: Volume(np.zeros(SHAPE_KJI, dtype), np.eye(4)))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("matrix", [np.zeros((4, 4)), np.diag([1.0, 1, 0, 1]), np.full((4, 4), np.nan), np.eye(3)])
def test_a_matrix_that_cannot_be_inverted_is_refused(matrix: np.ndarray) -> None:
    assert "cannot be inverted" in refusal(lambda: Volume(np.zeros(SHAPE_KJI), matrix))


# ---- the caller's voxels


def test_the_voxels_cannot_be_written(voxels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="read-only"):
        Volume(voxels, np.eye(4)).voxels_kji[0, 0, 0] = 1


def test_the_callers_array_stays_writeable(voxels: np.ndarray) -> None:
    Volume(voxels, np.eye(4))
    assert voxels.flags.writeable


def test_the_voxels_are_not_copied(voxels: np.ndarray) -> None:
    assert np.shares_memory(Volume(voxels, np.eye(4)).voxels_kji, voxels)


# ---- statistics


@pytest.fixture
def one_to_thousand() -> np.ndarray:
    return np.arange(1, 1001, dtype=np.int16).reshape(4, 10, 25)


def test_a_small_volume_is_sampled_whole(one_to_thousand: np.ndarray) -> None:
    assert Volume(one_to_thousand, np.eye(4)).sample.tolist() == list(range(1, 1001))


def test_a_large_volume_is_sampled_evenly(one_to_thousand: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medsam2_engine.volume.SAMPLES", 100)
    assert Volume(one_to_thousand, np.eye(4)).sample.tolist() == list(range(1, 1001, 10))


def test_what_is_no_number_is_not_sampled() -> None:
    voxels = np.array([[[1.0, np.nan, np.inf, -np.inf, 2.0]]])
    assert Volume(voxels, np.eye(4)).sample.tolist() == [1, 2]


def test_a_volume_without_a_number_is_sampled_as_zero() -> None:
    assert Volume(np.full(SHAPE_KJI, np.nan), np.eye(4)).sample.tolist() == [0]


def test_the_voxels_around_a_stripped_brain_are_padding(one_to_thousand: np.ndarray) -> None:
    one_to_thousand[0] = 0
    assert Volume(one_to_thousand, np.eye(4)).padding == 0


def test_the_corners_of_a_round_field_of_view_are_padding(one_to_thousand: np.ndarray) -> None:
    one_to_thousand[:, 0] = -3024
    assert Volume(one_to_thousand, np.eye(4)).padding == -3024


def test_a_few_voxels_of_the_lowest_value_are_no_padding(one_to_thousand: np.ndarray) -> None:
    one_to_thousand[0, 0] = 0
    assert Volume(one_to_thousand, np.eye(4)).padding is None


# ---- memory-mapped volumes


@pytest.fixture
def a_raw_file(tmp_path: Path, voxels: np.ndarray) -> Path:
    path = tmp_path / "voxels.raw"
    voxels.tofile(path)
    return path


def test_a_mapped_volume_has_the_voxels_of_its_file(a_raw_file: Path, voxels: np.ndarray) -> None:
    assert np.array_equal(map_volume(a_raw_file, "int16", SHAPE_KJI, np.eye(4)).voxels_kji, voxels)


def test_a_mapped_volume_is_no_copy(a_raw_file: Path, voxels: np.ndarray) -> None:
    volume = map_volume(a_raw_file, "int16", SHAPE_KJI, np.eye(4))
    (voxels + 1).tofile(a_raw_file)
    assert np.array_equal(volume.voxels_kji, voxels + 1)


def test_a_mapped_volume_cannot_be_written(a_raw_file: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        map_volume(a_raw_file, "int16", SHAPE_KJI, np.eye(4)).voxels_kji[0] = 1


def test_a_mapped_volume_has_its_matrix_and_modality(a_raw_file: Path) -> None:
    rows = ((0.0, -2.0, 0.0, 5.0), (1.0, 0.0, 0.0, 6.0), (0.0, 0.0, 3.0, 7.0), (0.0, 0.0, 0.0, 1.0))
    volume = map_volume(a_raw_file, "int16", SHAPE_KJI, rows, "CT")
    assert (volume.ijk_to_ras.tolist(), volume.modality) == ([list(row) for row in rows], "CT")


def test_big_endian_voxels_are_read_as_such(tmp_path: Path, voxels: np.ndarray) -> None:
    voxels.astype(">i2").tofile(tmp_path / "voxels.raw")
    assert np.array_equal(map_volume(tmp_path / "voxels.raw", ">i2", SHAPE_KJI, np.eye(4)).voxels_kji, voxels)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "shape", [(5, 7, 10), (5, 7, 8), (0, 7, 9), (-5, 7, 9), (-5, -7, 9), (2**62, 7, 9), (2**70, 1, 1)]
)
def test_another_shape_than_the_files_is_refused(a_raw_file: Path, shape: tuple[int, int, int]) -> None:
    assert str(a_raw_file) in refusal(lambda: map_volume(a_raw_file, "int16", shape, np.eye(4)))


def test_another_type_than_the_files_is_refused(a_raw_file: Path) -> None:
    assert "cannot be opened" in refusal(lambda: map_volume(a_raw_file, "float32", SHAPE_KJI, np.eye(4)))


@pytest.mark.parametrize("dtype", ["", "voxels", "O", "V2", "S2", "datetime64"])
def test_a_type_that_is_no_number_is_refused(a_raw_file: Path, dtype: str) -> None:
    refusal(lambda: map_volume(a_raw_file, dtype, SHAPE_KJI, np.eye(4)))


@pytest.mark.parametrize("name", ["nothing.raw", ".", "nul\0byte"])
def test_a_raw_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    assert "Load the volume again" in refusal(lambda: map_volume(tmp_path / name, "int16", SHAPE_KJI, np.eye(4)))
