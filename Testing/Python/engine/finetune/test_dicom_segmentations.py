"""DICOM segmentations and structure sets, written here by other libraries and read as cases."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom")
highdicom = pytest.importorskip("highdicom")

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset  # noqa: E402
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid  # noqa: E402

from medsam2_engine.errors import MissingPackages, UnreadableVolume  # noqa: E402
from medsam2_engine.finetune import dicom_segmentations  # noqa: E402
from medsam2_engine.finetune.cases import read_cases  # noqa: E402
from medsam2_engine.volume import LPS_TO_RAS, read_volume  # noqa: E402

SHAPE_KJI = (8, 20, 24)
SPACING_KJI = (3.0, 0.9, 0.7)
ORIGIN_LPS = np.array([-31.5, 18.25, 402.0])
TILT = 0.3  # about the patient's left-right axis: oblique slices
ROW, COLUMN = np.array([1.0, 0, 0]), np.array([0, np.cos(TILT), np.sin(TILT)])
NORMAL = np.cross(ROW, COLUMN)


def position(k: int) -> np.ndarray:
    return ORIGIN_LPS + k * SPACING_KJI[0] * NORMAL


def base_of(kind: str, modality: str, study: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kind, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = kind, meta.MediaStorageSOPInstanceUID
    data.PatientName, data.PatientID, data.PatientBirthDate, data.PatientSex = "No^Body", "1", "", ""
    data.StudyInstanceUID, data.StudyID, data.StudyDate, data.StudyTime = study, "1", "", ""
    data.AccessionNumber, data.ReferringPhysicianName = "", ""
    data.Modality, data.Manufacturer = modality, ""
    return data


@pytest.fixture
def series(tmp_path: Path) -> list[FileDataset]:
    """An oblique CT, written slice by slice into `cases/case1/image`, with its voxels numbered."""
    folder = tmp_path / "cases" / "case1" / "image"
    folder.mkdir(parents=True)
    study, uid, frame = generate_uid(), generate_uid(), generate_uid()
    voxels = np.arange(np.prod(SHAPE_KJI), dtype=np.int16).reshape(SHAPE_KJI)
    written = []
    for k in range(SHAPE_KJI[0]):
        data = base_of(CTImageStorage, "CT", study)
        data.SeriesInstanceUID, data.FrameOfReferenceUID, data.SeriesNumber, data.InstanceNumber = uid, frame, 1, k + 1
        data.ImagePositionPatient = [f"{value:.10g}" for value in position(k)]
        data.ImageOrientationPatient = [f"{value:.10g}" for value in (*ROW, *COLUMN)]
        data.PixelSpacing, data.SliceThickness = list(SPACING_KJI[1:]), SPACING_KJI[0]
        data.Rows, data.Columns, data.SamplesPerPixel = SHAPE_KJI[1], SHAPE_KJI[2], 1
        data.PhotometricInterpretation, data.PixelRepresentation = "MONOCHROME2", 1
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.RescaleIntercept, data.RescaleSlope = 0, 1
        data.ImageType, data.PositionReferenceIndicator = ["ORIGINAL", "PRIMARY", "AXIAL"], ""
        data.PixelData = voxels[k].tobytes()
        data.save_as(folder / f"{(k * 3) % 8}.dcm", enforce_file_format=True)
        written.append(data)
    return written


@pytest.fixture
def masks() -> np.ndarray:
    """Two structures that overlap, in slices 2 to 5 only: (2, K, J, I)."""
    found = np.zeros((2, *SHAPE_KJI), bool)
    found[0, 2:6, 5:12, 6:15] = True
    found[1, 3:6, 9:16, 10:20] = True
    return found


def write_segmentation(series: list[FileDataset], masks: np.ndarray, path: Path) -> None:
    from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
    from highdicom.sr.coding import CodedConcept

    tissue = CodedConcept("85756007", "SCT", "Tissue")
    descriptions = [
        SegmentDescription(number, name, tissue, tissue, SegmentAlgorithmTypeValues.MANUAL)
        for number, name in enumerate(("GTVp", "Läsion"), 1)
    ]
    Segmentation(
        series,
        np.moveaxis(masks, 0, -1).astype(np.uint8),
        SegmentationTypeValues.BINARY,
        descriptions,
        generate_uid(),
        2,
        generate_uid(),
        1,
        "Test",
        "Test",
        "1",
        "1",
    ).save_as(path)


def write_structure_set(path: Path, structures: dict[str, list[list[tuple[float, float, float]]]]) -> None:
    """Contours in voxels (I, J, K) of the series."""
    data = base_of(RTStructureSetStorage, "RTSTRUCT", generate_uid())
    data.SeriesInstanceUID, data.StructureSetLabel = generate_uid(), "Test"
    data.StructureSetROISequence, data.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(structures.items(), 1):
        roi, item = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, item.ReferencedROINumber = number, name, number
        item.ContourSequence = [contour_of(points) for points in contours]
        data.StructureSetROISequence.append(roi)
        data.ROIContourSequence.append(item)
    data.save_as(path, enforce_file_format=True)


def contour_of(points: list[tuple[float, float, float]]) -> Any:
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
    world = [position(0) + i * SPACING_KJI[2] * ROW + j * SPACING_KJI[1] * COLUMN for i, j, _ in points]
    shifted = [point + k * SPACING_KJI[0] * NORMAL for point, (_, _, k) in zip(world, points, strict=True)]
    item.ContourData = [f"{value:.10g}" for point in shifted for value in point]
    return item


def square(first: float, last: float, k: float) -> list[tuple[float, float, float]]:
    return [(first, first, k), (last, first, k), (last, last, k), (first, last, k)]


def test_the_segments_of_a_dicom_object_lie_on_the_voxels_of_its_series(
    series: list[FileDataset], masks: np.ndarray, tmp_path: Path
) -> None:
    """Oblique, overlapping, and stored for the slices alone in which something is drawn."""
    write_segmentation(series, masks, tmp_path / "cases" / "case1" / "label.dcm")
    (case,) = read_cases(tmp_path / "cases")
    assert case.volume.modality == "CT"
    assert [structure.name for structure in case.structures] == ["GTVp", "Läsion"]
    for structure, mask in zip(case.structures, masks, strict=True):
        np.testing.assert_array_equal(case.mask(structure), mask)


def test_a_dicom_object_beside_a_volume_of_the_same_name_is_found(
    series: list[FileDataset], masks: np.ndarray, tmp_path: Path
) -> None:
    import SimpleITK as sitk

    from medsam2_engine.segmentation_file import _image

    volume = read_volume(tmp_path / "cases" / "case1" / "image")
    folder = tmp_path / "beside"
    folder.mkdir()
    sitk.WriteImage(_image(np.ascontiguousarray(volume.voxels_kji), volume.ijk_to_ras), str(folder / "one.nii.gz"))
    write_segmentation(series, masks, folder / "one_seg.dcm")
    (case,) = read_cases(folder)
    np.testing.assert_array_equal(case.mask(case.structures[0]), masks[0])


def test_contours_are_filled_with_their_holes_in_the_slices_they_lie_in(
    series: list[FileDataset], tmp_path: Path
) -> None:
    ring = [square(4.5, 14.5, k) for k in (2, 3, 4)] + [square(7.5, 9.5, k) for k in (2, 3, 4)]
    write_structure_set(tmp_path / "cases" / "case1" / "label.dcm", {"GTVp": ring, "Node": [square(2.5, 5.5, 3)] * 1})
    (case,) = read_cases(tmp_path / "cases")
    expected = np.zeros(SHAPE_KJI, bool)
    expected[2:5, 5:15, 5:15] = True
    expected[2:5, 8:10, 8:10] = False
    np.testing.assert_array_equal(case.mask(case.structures[0]), expected)
    assert case.structures[0].name == "GTVp"


def test_contours_across_the_slices_are_refused_and_named(series: list[FileDataset], tmp_path: Path) -> None:
    tilted = [(4.0, 4.0, 1.0), (12.0, 4.0, 1.0), (12.0, 12.0, 6.0), (4.0, 11.0, 5.0)]
    path = tmp_path / "cases" / "case1" / "label.dcm"
    write_structure_set(path, {"GTVp": [tilted]})
    with pytest.raises(UnreadableVolume, match=r"GTVp: its contours lie in no slice of the volume"):
        read_cases(tmp_path / "cases")


def test_another_kind_of_dicom_is_no_segmentation(series: list[FileDataset], tmp_path: Path) -> None:
    series[0].save_as(tmp_path / "cases" / "case1" / "label.dcm")
    with pytest.raises(UnreadableVolume, match="neither a segmentation nor a structure set"):
        read_cases(tmp_path / "cases")


def test_without_the_package_its_name_is_said(
    series: list[FileDataset], masks: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_segmentation(series, masks, tmp_path / "cases" / "case1" / "label.dcm")

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(dicom_segmentations, "importlib", importlib)
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingPackages, match="need the package pydicom"):
        read_cases(tmp_path / "cases")


def test_the_matrix_of_the_series_is_the_one_that_was_written(series: list[FileDataset], tmp_path: Path) -> None:
    """What the other tests rest on."""
    columns = [ROW * SPACING_KJI[2], COLUMN * SPACING_KJI[1], NORMAL * SPACING_KJI[0], ORIGIN_LPS]
    ijk_to_lps = np.vstack([np.stack(columns, axis=1), [0, 0, 0, 1]])
    found = read_volume(tmp_path / "cases" / "case1" / "image")
    np.testing.assert_allclose(found.ijk_to_ras, LPS_TO_RAS @ ijk_to_lps, atol=1e-4)
