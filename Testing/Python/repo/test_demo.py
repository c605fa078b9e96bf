"""Testing/demo.py: where its boxes and references come from, and what it prints about a result."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medsam2_engine.segmentation_file import Segment, write_segmentation

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def demo(monkeypatch):
    spec = importlib.util.spec_from_file_location("demo", ROOT / "Testing/demo.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "demo", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def a_mask():
    """Two voxels on slice 1, a block of 10 x 4 (I x J) on slice 2."""
    mask_kji = np.zeros((4, 20, 30), bool)
    mask_kji[1, 3, 3:5] = True
    mask_kji[2, 5:9, 10:20] = True
    return mask_kji


def test_the_box_is_on_the_largest_slice_and_grown_outwards(demo, a_mask):
    assert demo.box_around(a_mask) == {"type": "box", "axis": "K", "slice": 2, "min": [9, 4], "max": [20, 9]}


def test_a_box_at_the_border_stays_inside(demo):
    assert demo.box_around(np.ones((1, 20, 30), bool)) == {
        "type": "box",
        "axis": "K",
        "slice": 0,
        "min": [0, 0],
        "max": [29, 19],
    }


def test_every_label_value_becomes_a_segment(demo, a_mask, tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(a_mask.astype(np.uint8) * 7), str(tmp_path / "label.nrrd"))
    case = demo.labelled_volume(tmp_path / "label.nrrd", tmp_path / "label.nrrd")
    assert list(case.references_kji) == ["label 7"]
    assert np.array_equal(case.references_kji["label 7"], a_mask)


def test_a_volume_without_a_label_map_is_refused_with_the_way_on(demo, tmp_path):
    with pytest.raises(demo.DemoError, match="--label LABEL"):
        demo.case_of(demo.parser().parse_args([str(tmp_path / "ct.nii.gz")]))


def test_the_template_has_a_whole_brain_and_a_caudate_nucleus_of_plausible_size(demo):
    references = demo.brain_template().references_kji
    assert 1.7e6 < references["brain"].sum() < 2.1e6
    assert 3e3 < references["caudate nucleus"].sum() < 5e3
    assert references["brain"][references["caudate nucleus"]].all()


def test_a_result_is_printed_with_volume_dice_and_seconds(demo, a_mask, tmp_path, capsys):
    names = ("prompts.json", "result.seg.nrrd", "picture.png", "report.json")
    files = demo.Files(*(tmp_path / name for name in names))
    found = a_mask.copy()
    found[2, 5:9, 15:20] = False
    write_segmentation(files.segmentation, [Segment("block", (1, 0, 0), found)], np.diag([10.0, 10.0, 10.0, 1.0]))
    entry = {"name": "block", "millilitres": 22.0, "slices": [1, 2]}
    report = {"segments": [entry], "seconds": 0.5, "seconds_per_slice": 0.25, "device": "cpu", "model": "embedded"}
    files.report.write_text(json.dumps(report))
    demo.print_results(demo.Case("a block", "block", tmp_path / "block.nii.gz", {"block": a_mask}), files)
    printed = capsys.readouterr().out
    assert "block                       22.0        42.0   0.688   1-2" in printed
    assert "0.250 seconds per slice" in printed
