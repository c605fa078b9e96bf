"""The rows of the lesion list: names, colours, visibility, millilitres, states."""

import numpy as np
import pytest

# 0.5 x 0.8 x 2 mm, oblique: 0.8 cubic millimetres a voxel.
SHAPE_KJI = (10, 20, 24)
IJK_TO_RAS = np.array([[-0.3, 0.64, 0, 3], [0.4, 0.48, 0, 1], [0, 0, 2, 0], [0, 0, 0, 1]])


@pytest.fixture
def lesions(app):
    from MedSAM2SlicerLib import LesionTable

    return LesionTable


@pytest.fixture
def table(lesions):
    return lesions.LesionTable()


@pytest.fixture
def volume(add_volume):
    return add_volume(np.zeros(SHAPE_KJI, np.int16), IJK_TO_RAS)


@pytest.fixture
def segmentation(scene, volume):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name in ("GTVp", "GTVn", "GTVn2"):
        node.GetSegmentation().AddEmptySegment(name, name)
    return node


def fill(segmentation, volume, segment, count):
    import slicer

    mask = np.zeros(SHAPE_KJI, np.uint8)
    mask.reshape(-1)[:count] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment, volume)


def test_a_row_for_every_segment_in_order(table, segmentation):
    assert [row.name for row in table.rows(segmentation)] == ["GTVp", "GTVn", "GTVn2"]
    assert table.rows(None) == ()


def test_the_volume_is_voxels_times_their_size(table, segmentation, volume):
    fill(segmentation, volume, "GTVp", 1000)
    assert table.rows(segmentation)[0].volume_ml == pytest.approx(0.8, rel=1e-6)
    fill(segmentation, volume, "GTVp", 500)
    assert table.rows(segmentation)[0].volume_ml == pytest.approx(0.4, rel=1e-6)


def test_segments_on_one_layer_are_counted_apart(table, segmentation, volume):
    import slicer

    for segment, first in (("GTVp", 0), ("GTVn", 2000)):
        mask = np.zeros(SHAPE_KJI, np.uint8)
        mask.reshape(-1)[first : first + 500 + first // 4] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment, volume)
    segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    assert [row.volume_ml for row in table.rows(segmentation)[:2]] == pytest.approx([0.4, 0.8], rel=1e-6)


def test_a_scaling_transform_scales_the_volume(table, segmentation, volume, scene):
    import vtk

    fill(segmentation, volume, "GTVp", 1000)
    transform, matrix = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtk.vtkMatrix4x4()
    matrix.SetElement(2, 2, -2.0)
    transform.SetMatrixTransformToParent(matrix)
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    assert table.rows(segmentation)[0].volume_ml == pytest.approx(1.6, rel=1e-6)


def test_slices_that_a_run_writes_are_in_the_volume_at_once(table, segmentation, volume):
    from medsam2_protocol.masks import region_of_mask
    from MedSAM2SlicerLib.SegmentWriter import SegmentWriter

    writer = SegmentWriter(volume, segmentation, "GTVp")
    writer.begin()
    for index in (4, 5):
        mask = np.zeros(SHAPE_KJI, bool)
        mask[index, 2:12, 2:12] = True
        writer.write("K", index, region_of_mask(mask))
        assert table.rows(segmentation)[0].volume_ml == pytest.approx(0.08 * (index - 3), rel=1e-6)


def test_hidden_segments_are_listed_as_hidden(table, segmentation):
    segmentation.GetDisplayNode().SetSegmentVisibility("GTVn", False)
    assert [row.isVisible for row in table.rows(segmentation)] == [True, False, True]


def test_an_empty_segment_is_empty_whatever_was_said_of_it(table, lesions, segmentation, volume):
    lesions.setState(segmentation, "GTVp", lesions.APPROVED)
    assert table.rows(segmentation)[0].state == lesions.EMPTY
    fill(segmentation, volume, "GTVp", 10)
    assert table.rows(segmentation)[0].state == lesions.APPROVED


def test_the_state_is_saved_with_the_scene(table, lesions, segmentation, volume, scene, tmp_path):
    import slicer

    fill(segmentation, volume, "GTVn", 100)
    lesions.setState(segmentation, "GTVn", lesions.EDITED)
    segmentation.SetName("saved")
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    scene.Clear(0)
    slicer.util.loadScene(path)
    assert table.rows(slicer.util.getNode("saved"))[1].state == lesions.EDITED


def test_a_tag_that_nobody_wrote_is_no_state(lesions, segmentation):
    segment = segmentation.GetSegmentation().GetSegment("GTVp")
    segment.SetTag(lesions.STATE_TAG, "nonsense")
    assert lesions.stateOf(segment) == lesions.PROMPTED


def test_a_state_that_is_none_is_not_kept(lesions, segmentation):
    lesions.setState(segmentation, "GTVp", lesions.APPROVED)
    lesions.setState(segmentation, "GTVp", "nonsense")
    lesions.setState(segmentation, "no such", lesions.APPROVED)
    assert lesions.stateOf(segmentation.GetSegmentation().GetSegment("GTVp")) == lesions.APPROVED


@pytest.mark.parametrize(
    ("segment", "step", "found"),
    [("GTVp", 1, "GTVn"), ("GTVn2", 1, "GTVp"), ("GTVp", -1, "GTVn2"), ("", 1, "GTVp"), ("gone", -1, "GTVn2")],
)
def test_next_and_previous_go_around_the_ends(lesions, segmentation, segment, step, found):
    assert lesions.neighbour(segmentation, segment, step) == found
    assert lesions.neighbour(None, segment, step) == ""


@pytest.mark.parametrize(
    ("ml", "text"),
    [(None, "–"), (0.0, "–"), (0.0421, "0.042 ml"), (4.206, "4.21 ml"), (42.06, "42.1 ml"), (420.6, "421 ml")],
)
def test_a_volume_has_three_digits(lesions, ml, text):
    assert lesions.volumeText(ml) == text


def test_other_names_and_colours_leave_out_the_segment_itself(lesions, segmentation):
    assert lesions.otherNames(segmentation, "GTVn") == ["GTVp", "GTVn2"]
    assert len(lesions.otherColors(segmentation, "GTVn")) == 2
    assert len(lesions.otherColors(segmentation)) == 3


def test_every_state_has_a_title(lesions):
    assert all(lesions.stateTitle(state) for state in (lesions.EMPTY, *lesions.STATES))
