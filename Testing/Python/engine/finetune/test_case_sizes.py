"""Folders that are larger than the memory are refused before they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medsam2_engine.errors import TooLittleMemory, UnreadableVolume
from medsam2_engine.finetune import case_sizes, cases
from medsam2_engine.finetune.case_sizes import bytes_of_case
from medsam2_engine.finetune.cases import TrainingCase, read_cases
from medsam2_engine.segmentation_file import Segment, write_segmentation
from medsam2_engine.volume import read_volume
from training_phantoms import ellipsoid, in_space


def taken(case: TrainingCase) -> int:
    return (case.volume.voxels_kji.nbytes if case.has_image else 0) + sum(layer.nbytes for layer in case.layers)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_headers_say_what_a_volume_and_its_label_map_take(tmp_path: Path, dtype: type) -> None:
    image, labels = ellipsoid(0)
    files = tmp_path / "a.nii.gz", tmp_path / "a_seg.nii.gz"
    for path, array in zip(files, (image.astype(dtype), labels), strict=True):
        sitk.WriteImage(in_space(array), str(path))
    (case,) = read_cases(tmp_path)
    assert bytes_of_case(*files) == taken(case)


def test_every_segment_of_slicers_format_counts(tmp_path: Path) -> None:
    image, labels = ellipsoid(0)
    files = tmp_path / "a.nrrd", tmp_path / "a.seg.nrrd"
    sitk.WriteImage(in_space(image), str(files[0]))
    segments = [Segment(name, (1, 0, 0), labels > 0) for name in ("GTVp", "GTVn", "Läsion")]
    write_segmentation(files[1], segments, read_volume(files[0]).ijk_to_ras)
    (case,) = read_cases(tmp_path)
    assert bytes_of_case(*files) == taken(case) == image.nbytes + 3 * image.size


def test_every_file_of_a_dicom_series_counts(tmp_path: Path) -> None:
    series, writer = tmp_path / "image", sitk.ImageFileWriter()
    series.mkdir()
    slices = np.arange(6 * 20 * 24, dtype=np.int16).reshape(6, 20, 24)
    for number, voxels in enumerate(slices):
        writer.SetFileName(str(series / f"{number}.dcm"))
        writer.Execute(sitk.GetImageFromArray(voxels))
    assert bytes_of_case(series, tmp_path / "label.nii.gz") == slices.size * (2 + case_sizes.BYTES_OF_A_LABEL)


def test_a_folder_larger_than_the_memory_is_refused_unread(case_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need = sum(taken(case) for case in read_cases(case_folder))
    monkeypatch.setattr(case_sizes, "free_memory", lambda: need)
    assert len(read_cases(case_folder)) == 4
    monkeypatch.setattr(case_sizes, "free_memory", lambda: need - 1)
    monkeypatch.setattr(cases, "read_case", lambda *files: pytest.fail("read all the same"))
    with pytest.raises(TooLittleMemory, match=r"4 cases need .* GB of memory.* Use fewer of them"):
        read_cases(case_folder)


def test_only_the_cases_that_are_asked_for_must_fit(case_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (one, *_) = (taken(case) for case in read_cases(case_folder))
    monkeypatch.setattr(case_sizes, "free_memory", lambda: one)
    assert len(read_cases(case_folder, ["case0"])) == 1


def test_where_nobody_says_how_much_is_free_cases_are_read(case_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case_sizes, "free_memory", lambda: None)
    assert len(read_cases(case_folder)) == 4


def test_a_damaged_file_is_still_what_is_complained_about(case_folder: Path) -> None:
    (case_folder / "case2.nii.gz").write_bytes(b"no image")
    assert bytes_of_case(case_folder / "case2.nii.gz", case_folder / "case2_seg.nii.gz") == 0
    with pytest.raises(UnreadableVolume, match="case2"):
        read_cases(case_folder)
