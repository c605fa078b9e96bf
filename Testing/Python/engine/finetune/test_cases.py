from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medsam2_engine.errors import BadRequest
from medsam2_engine.finetune.cases import read_cases
from medsam2_engine.segmentation_file import Segment, write_segmentation
from medsam2_engine.volume import read_volume
from training_phantoms import ellipsoid, in_space, write_pair


def test_volumes_side_by_side_with_their_label_maps_are_cases(case_folder: Path) -> None:
    cases = read_cases(case_folder)
    assert [case.id for case in cases] == ["case0", "case1", "case2", "case3"]
    assert [structure.name for structure in cases[0].structures] == ["label 1"]
    np.testing.assert_array_equal(cases[1].mask(cases[1].structures[0]), ellipsoid(1)[1] > 0)


def test_segments_keep_their_names_and_may_overlap(tmp_path: Path) -> None:
    image, labels = ellipsoid(0)
    sitk.WriteImage(in_space(image), str(tmp_path / "a.nrrd"))
    matrix = read_volume(tmp_path / "a.nrrd").ijk_to_ras
    inner = labels.astype(bool) & (np.arange(image.shape[2]) < 22)
    segments = [Segment("tumour", (1, 0, 0), labels > 0), Segment("half", (0, 1, 0), inner)]
    write_segmentation(tmp_path / "a.seg.nrrd", segments, matrix)
    (case,) = read_cases(tmp_path)
    assert [structure.name for structure in case.structures] == ["tumour", "half"]
    np.testing.assert_array_equal(case.mask(case.structures[1]), inner)


def test_a_segmentation_cut_to_its_extent_lands_on_the_right_voxels(tmp_path: Path) -> None:
    image, labels = ellipsoid(0)
    sitk.WriteImage(in_space(image), str(tmp_path / "a.nii.gz"))
    sitk.WriteImage(in_space(labels)[10:35, 5:33, 1:13], str(tmp_path / "a_seg.nii.gz"))
    (case,) = read_cases(tmp_path)
    np.testing.assert_array_equal(case.mask(case.structures[0]), labels > 0)


def test_a_folder_per_case_says_subject_licence_and_names(tmp_path: Path) -> None:
    image, labels = ellipsoid(0)
    folder = tmp_path / "x"
    folder.mkdir()
    sitk.WriteImage(in_space(image), str(folder / "image.nii.gz"))
    sitk.WriteImage(in_space(labels), str(folder / "label.nii.gz"))
    meta = {"id": "x1", "subject": "p7", "modality": "CT", "licence": "CC BY 4.0", "structures": {"GTV": {"label": 1}}}
    (folder / "meta.json").write_text(json.dumps(meta))
    (case,) = read_cases(tmp_path)
    assert (case.id, case.subject, case.volume.modality, case.licence) == ("x1", "p7", "CT", "CC BY 4.0")
    assert case.structures[0].name == "GTV"
    assert len(case.sha256) == 64


def test_a_folder_without_pairs_says_how_to_lay_them_out(tmp_path: Path) -> None:
    sitk.WriteImage(in_space(ellipsoid(0)[0]), str(tmp_path / "lonely.nii.gz"))
    with pytest.raises(BadRequest, match=r"side by side"):
        read_cases(tmp_path)


def test_an_empty_segmentation_is_refused_by_name(tmp_path: Path) -> None:
    write_pair(tmp_path, "good", 0)
    image, labels = ellipsoid(1)
    sitk.WriteImage(in_space(image), str(tmp_path / "bad.nii.gz"))
    sitk.WriteImage(in_space(labels * 0), str(tmp_path / "bad_seg.nii.gz"))
    with pytest.raises(BadRequest, match=r"bad_seg.*no structure"):
        read_cases(tmp_path)
