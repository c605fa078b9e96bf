"""Results on disk, read back by Slicer's own classes and by SimpleITK."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from medsam2_engine import atomic_file
from medsam2_engine.atomic_file import check_writable, replacing
from medsam2_engine.errors import UnreadableVolume, UnwritableResult
from medsam2_engine.segmentation_file import Segment, check_result_path, read_segmentation, write_segmentation
from medsam2_engine.volume import read_volume

SHAPE_KJI = (7, 9, 12)


def oblique() -> np.ndarray:
    c, s = np.cos(0.4), np.sin(0.4)
    return affine(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]))


def affine(directions: np.ndarray) -> np.ndarray:
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = directions @ np.diag([0.3, 0.9, 5.0])
    ijk_to_ras[:3, 3] = (-31.5, 18.25, 402.0)
    return ijk_to_ras


GEOMETRIES = {
    "oblique": oblique(),
    "left-handed": oblique() @ np.diag([-1.0, 1.0, 1.0, 1.0]),
    "flipped": affine(np.diag([-1.0, -1.0, 1.0])),
    "sagittal": affine(np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]])),
}


@pytest.fixture(params=list(GEOMETRIES))
def ijk_to_ras(request: pytest.FixtureRequest) -> np.ndarray:
    return GEOMETRIES[request.param]


def mask_of(*boxes: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros(SHAPE_KJI, bool)
    for box in boxes:
        mask[box] = True
    return mask


TUMOUR = Segment("GTVp", (0.9, 0.25, 0.0), mask_of(np.s_[2:5, 3:6, 4:9], np.s_[4:6, 5:7, 8:10]))
NODE = Segment("Lymphknoten links ü/β \\ 2", (0.0, 0.5, 1.0), mask_of(np.s_[6:7, 8:9, 11:12]))
OVERLAPPING = Segment("Edema", (0.2, 0.8, 0.4), mask_of(np.s_[1:6, 2:8, 3:11]))
EMPTY = Segment("Nothing", (1.0, 1.0, 1.0), mask_of())


def sorted_points(points: np.ndarray) -> np.ndarray:
    rounded = np.round(points, 3) + 0.0
    return rounded[np.lexsort(rounded.T)]


class SlicerSegmentation:
    """A file as vtkMRMLSegmentationStorageNode of the real Slicer reads it."""

    def __init__(self, path: Path) -> None:
        self.slicer = pytest.importorskip("slicer")
        self.scene = self.slicer.vtkMRMLScene()
        self.node = self.slicer.vtkMRMLSegmentationNode()
        self.scene.AddNode(self.node)
        storage = self.slicer.vtkMRMLSegmentationStorageNode()
        self.scene.AddNode(storage)
        storage.SetFileName(str(path))
        assert storage.ReadData(self.node) == 1
        self.segmentation = self.node.GetSegmentation()

    def segments(self) -> list[Any]:
        return [self.segmentation.GetNthSegment(n) for n in range(self.segmentation.GetNumberOfSegments())]

    def voxels_in_ras(self, number: int) -> np.ndarray:
        """Centres of a segment's voxels in RAS mm, sorted."""
        from vtk.util.numpy_support import vtk_to_numpy

        image = self.slicer.vtkOrientedImageData()
        self.node.GetBinaryLabelmapRepresentation(self.segmentation.GetNthSegmentID(number), image)
        first_i, last_i, first_j, last_j, first_k, last_k = image.GetExtent()
        if last_i < first_i:
            return np.empty((0, 3))
        shape = (last_k - first_k + 1, last_j - first_j + 1, last_i - first_i + 1)
        voxels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(shape)
        kji = np.argwhere(voxels) + np.array([first_k, first_j, first_i])
        matrix = self.matrix(image)
        return sorted_points(kji[:, ::-1] @ matrix[:3, :3].T + matrix[:3, 3])

    def matrix(self, image: Any) -> np.ndarray:
        import vtk

        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def expected_in_ras(segment: Segment, ijk_to_ras: np.ndarray) -> np.ndarray:
    ijk = np.argwhere(segment.mask_kji)[:, ::-1]
    return sorted_points(ijk @ ijk_to_ras[:3, :3].T + ijk_to_ras[:3, 3])


def written(folder: Path, segments: Sequence[Segment], ijk_to_ras: np.ndarray, name: str = "out.seg.nrrd") -> Path:
    write_segmentation(folder / name, segments, ijk_to_ras)
    return folder / name


# ---- Slicer


def test_slicer_opens_the_segments_with_name_and_colour(tmp_path: Path, ijk_to_ras: np.ndarray) -> None:
    slicer_file = SlicerSegmentation(written(tmp_path, (TUMOUR, NODE), ijk_to_ras))
    assert [segment.GetName() for segment in slicer_file.segments()] == [TUMOUR.name, NODE.name]
    assert np.allclose([segment.GetColor() for segment in slicer_file.segments()], [TUMOUR.color, NODE.color])


@pytest.mark.parametrize("segments", [(TUMOUR,), (TUMOUR, NODE), (TUMOUR, OVERLAPPING, NODE), (EMPTY, TUMOUR)])
def test_slicer_sees_every_voxel_where_it_lies_in_the_patient(
    tmp_path: Path, ijk_to_ras: np.ndarray, segments: tuple[Segment, ...]
) -> None:
    slicer_file = SlicerSegmentation(written(tmp_path, segments, ijk_to_ras))
    for number, segment in enumerate(segments):
        expected = expected_in_ras(segment, ijk_to_ras)
        assert np.allclose(slicer_file.voxels_in_ras(number), expected, atol=2e-3)


def test_segments_that_do_not_overlap_share_a_layer_in_slicer(tmp_path: Path) -> None:
    together = SlicerSegmentation(written(tmp_path, (TUMOUR, NODE), oblique()))
    assert together.segmentation.GetNumberOfLayers() == 1
    apart = SlicerSegmentation(written(tmp_path, (TUMOUR, OVERLAPPING, NODE), oblique()))
    assert apart.segmentation.GetNumberOfLayers() == 2


def test_slicer_knows_the_geometry_of_the_volume(tmp_path: Path, ijk_to_ras: np.ndarray) -> None:
    slicer_file = SlicerSegmentation(written(tmp_path, (TUMOUR,), ijk_to_ras))
    converter = slicer_file.slicer.vtkSegmentationConverter
    text = slicer_file.segmentation.GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    image = slicer_file.slicer.vtkOrientedImageData()
    assert converter.DeserializeImageGeometry(text, image, False)
    assert np.allclose(slicer_file.matrix(image), ijk_to_ras)
    assert image.GetExtent() == (0, 11, 0, 8, 0, 6)


def test_slicer_saves_and_opens_what_it_read_without_a_change(tmp_path: Path) -> None:
    first = SlicerSegmentation(written(tmp_path, (TUMOUR, OVERLAPPING), oblique()))
    storage = first.slicer.vtkMRMLSegmentationStorageNode()
    first.scene.AddNode(storage)
    storage.SetFileName(str(tmp_path / "again.seg.nrrd"))
    assert storage.WriteData(first.node) == 1
    again = SlicerSegmentation(tmp_path / "again.seg.nrrd")
    assert np.allclose(again.voxels_in_ras(1), first.voxels_in_ras(1))


# ---- our own reader


def test_what_was_written_is_read_back(tmp_path: Path, ijk_to_ras: np.ndarray) -> None:
    originals = (TUMOUR, OVERLAPPING, NODE, EMPTY)
    segments, matrix = read_segmentation(written(tmp_path, originals, ijk_to_ras))
    assert [(s.name, s.color) for s in segments] == [(s.name, s.color) for s in originals]
    assert all(np.array_equal(a.mask_kji, b.mask_kji) for a, b in zip(segments, originals, strict=True))
    assert np.allclose(matrix, ijk_to_ras, atol=1e-9)


def test_a_file_in_ras_lies_where_one_in_lps_does(tmp_path: Path) -> None:
    """Slicer writes LPS; the format knows both, and a mask on the wrong side of a patient would look as good."""
    path, ijk_to_ras = tmp_path / "lps.seg.nrrd", np.diag([1.0, 1.0, 2.0, 1.0])
    write_segmentation(path, [TUMOUR], ijk_to_ras)
    header, _, data = path.read_bytes().partition(b"\n\n")
    turned = header.replace(b"left-posterior-superior", b"right-anterior-superior").replace(b"(-1.0,", b"(1.0,")
    (tmp_path / "ras.seg.nrrd").write_bytes(turned.replace(b",-1.0,", b",1.0,") + b"\n\n" + data)
    np.testing.assert_array_equal(read_segmentation(tmp_path / "ras.seg.nrrd")[1], ijk_to_ras)
    (tmp_path / "odd.seg.nrrd").write_bytes(header.replace(b"left-posterior", b"scanner") + b"\n\n" + data)
    with pytest.raises(UnreadableVolume, match="neither LPS nor RAS"):
        read_segmentation(tmp_path / "odd.seg.nrrd")


def test_three_hundred_segments_need_more_than_a_byte(tmp_path: Path) -> None:
    many = []
    for number, place in enumerate(list(np.ndindex(SHAPE_KJI))[:300]):
        mask = np.zeros(SHAPE_KJI, bool)
        mask[place] = True
        many.append(Segment(f"s{number}", (1.0, 0.0, 0.0), mask))
    segments, _ = read_segmentation(written(tmp_path, many, oblique()))
    assert np.array_equal(segments[299].mask_kji, many[299].mask_kji)


def test_a_file_that_is_no_segmentation_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x.seg.nrrd").write_text("nothing\n\n", encoding="utf-8")
    with pytest.raises(UnreadableVolume, match="no segmentation"):
        read_segmentation(tmp_path / "x.seg.nrrd")


# ---- label maps


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nii", "out.nrrd", "out.mha"])
def test_a_label_map_has_the_geometry_and_the_labels_of_the_volume(
    tmp_path: Path, ijk_to_ras: np.ndarray, name: str
) -> None:
    labels = read_volume(written(tmp_path, (TUMOUR, NODE), ijk_to_ras, name))
    assert np.allclose(labels.ijk_to_ras, ijk_to_ras, atol=1e-4)
    assert np.array_equal(labels.voxels_kji, TUMOUR.mask_kji + 2 * NODE.mask_kji.astype(np.uint8))


def test_an_ending_in_capitals_is_as_good(tmp_path: Path) -> None:
    path = written(tmp_path, (TUMOUR,), oblique(), "OUT.NII.GZ")
    assert read_volume(path.rename(tmp_path / "out.nii.gz")).voxels_kji.any()


def test_in_a_label_map_the_later_segment_is_on_top_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, (OVERLAPPING, TUMOUR), oblique(), "out.nii.gz")
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    assert np.all(labels[TUMOUR.mask_kji] == 2)
    assert "GTVp overlaps another segment" in caplog.text


# ---- places that cannot be written


@pytest.mark.parametrize("name", ["out.txt", "out", "out.seg", "out.dcm"])
def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnwritableResult, match=r"Known endings: \.seg\.nrrd"):
        check_result_path(tmp_path / name)


def test_a_missing_folder_is_named_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(UnwritableResult, match=r"no folder .*missing"):
        check_result_path(tmp_path / "missing" / "out.seg.nrrd")


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.seg.nrrd").mkdir()
    with pytest.raises(UnwritableResult, match="is a folder"):
        check_result_path(tmp_path / "out.seg.nrrd")


def test_a_folder_that_nobody_may_write_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand and not with `chmod`: root, as in most containers, may write everywhere."""

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(atomic_file.tempfile, "mkstemp", refuse)
    with pytest.raises(UnwritableResult, match=r"Permission denied.*Choose another"):
        check_writable(tmp_path / "out.seg.nrrd")


def test_checking_a_place_leaves_nothing_behind(tmp_path: Path) -> None:
    check_result_path(tmp_path / "out.seg.nrrd")
    assert list(tmp_path.iterdir()) == []


def write_half(path: Path) -> None:
    with replacing(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise OSError(28, "No space left on device")


def test_an_older_result_survives_a_failure_while_writing(tmp_path: Path) -> None:
    path = tmp_path / "out.seg.nrrd"
    path.write_text("older", encoding="utf-8")
    with pytest.raises(UnwritableResult, match="No space left"):
        write_half(path)
    assert path.read_text(encoding="utf-8") == "older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_result_is_as_readable_as_any_other_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    path = written(tmp_path, (TUMOUR,), oblique())
    assert os.stat(path).st_mode == os.stat(tmp_path / "other").st_mode
