"""To the Segment Editor and back: what was changed by hand, to the voxel, on oblique and flipped volumes too."""

import time

import numpy as np
import pytest

SHAPE_KJI = (12, 20, 24)
OBLIQUE = [[-0.8, 0.3, 0.1, 5], [0.25, 0.9, -0.4, -7], [0.1, 0.35, 2.4, 11], [0, 0, 0, 1]]


@pytest.fixture(autouse=True)
def no_editor_node_yet(scene):
    """A singleton outlives the clearing of its scene, and other tests open the editor too."""
    node = scene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    if node is not None:
        scene.RemoveNode(node)


@pytest.fixture
def hand_off(app):
    from MedSAM2SlicerLib import SegmentEditorHandOff

    return SegmentEditorHandOff


@pytest.fixture
def volume(add_volume):
    return add_volume(np.zeros(SHAPE_KJI, np.int16), OBLIQUE)


@pytest.fixture
def segmentation(scene, volume):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


@pytest.fixture
def mask():
    mask = np.zeros(SHAPE_KJI, bool)
    mask[3:8, 6:12, 9:15] = True
    return mask


@pytest.fixture
def segment(segmentation, volume, mask):
    segmentation.GetSegmentation().AddEmptySegment("GTVp", "GTVp")
    paint(segmentation, volume, mask)
    return "GTVp"


@pytest.fixture
def snapshot(hand_off, volume, segmentation, segment):
    return hand_off.SegmentSnapshot(volume, segmentation, segment)


def paint(segmentation, volume, mask, segment="GTVp"):
    import slicer

    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, segment, volume)


@pytest.mark.parametrize("voxel", [(5, 8, 10), (5, 1, 1), (0, 0, 0), (11, 19, 23)])
@pytest.mark.parametrize(("axis", "along"), [("K", 0), ("J", 1), ("I", 2)])
def test_one_changed_voxel_is_one_changed_slice(snapshot, segmentation, volume, mask, voxel, axis, along):
    mask[voxel] ^= True
    paint(segmentation, volume, mask)
    assert snapshot.changedSlices(axis) == (voxel[along],)


def test_a_segment_that_was_only_looked_at_has_no_changed_slices(snapshot, segmentation, volume, mask):
    assert snapshot.changedSlices("K") == ()
    paint(segmentation, volume, mask)
    assert snapshot.changedSlices("K") == ()


def test_an_erased_segment_has_changed_everywhere_it_was(snapshot, segmentation, volume, mask):
    paint(segmentation, volume, np.zeros_like(mask))
    assert snapshot.changedSlices("K") == (3, 4, 5, 6, 7)


def test_a_segment_that_was_empty_has_changed_where_something_is(hand_off, segmentation, volume, mask):
    segmentation.GetSegmentation().AddEmptySegment("GTVn", "GTVn")
    snapshot = hand_off.SegmentSnapshot(volume, segmentation, "GTVn")
    assert snapshot.changedSlices("K") == ()
    paint(segmentation, volume, mask, "GTVn")
    assert snapshot.changedSlices("J") == (6, 7, 8, 9, 10, 11)


def test_a_change_of_a_neighbour_on_the_same_layer_is_none_of_ours(hand_off, segmentation, volume, segment, mask):
    segmentation.GetSegmentation().AddEmptySegment("other", "other")
    other = np.zeros_like(mask)
    other[9:11, 2:5, 2:5] = True
    paint(segmentation, volume, other, "other")
    segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    snapshot = hand_off.SegmentSnapshot(volume, segmentation, segment)
    other[9] = False
    paint(segmentation, volume, other, "other")
    assert snapshot.changedSlices("K") == ()


def test_a_parent_transform_changes_nothing(snapshot, segmentation, volume, mask, scene):
    import vtk

    transform, matrix = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 25.0)
    transform.SetMatrixTransformToParent(matrix)
    for node in (volume, segmentation):
        node.SetAndObserveTransformNodeID(transform.GetID())
    mask[4, 7, 10] = False
    paint(segmentation, volume, mask)
    assert snapshot.changedSlices("K") == (4,)


def test_a_deleted_segment_or_volume_is_no_error(snapshot, segmentation, volume, scene):
    segmentation.GetSegmentation().RemoveSegment("GTVp")
    assert snapshot.changedSlices("K") == ()
    scene.RemoveNode(volume)
    assert snapshot.changedSlices("K") == ()


def test_nothing_to_take_a_snapshot_of_is_none(hand_off, volume, segmentation):
    assert hand_off.snapshotOf(None, segmentation, "GTVp") is None
    assert hand_off.snapshotOf(volume, None, "GTVp") is None
    assert hand_off.snapshotOf(volume, segmentation, "no such") is None


def test_without_a_segment_editor_a_sentence_says_so_and_nothing_happens(
    hand_off, volume, segmentation, segment, scene
):
    with pytest.raises(hand_off.CannotHandOff, match="no Segment Editor module"):
        hand_off.openSegmentEditor(volume, segmentation, segment)
    assert scene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode") is None


@pytest.fixture
def segment_editor(app, monkeypatch):
    """A module of that name, as far as the host goes; names of modules that were selected."""
    import slicer

    selected = []
    monkeypatch.setattr(slicer.modules, "segmenteditor", object(), raising=False)
    monkeypatch.setattr(slicer.util, "selectModule", selected.append)
    return selected


def test_the_editor_opens_with_the_segment_over_its_volume(
    hand_off, volume, segmentation, segment, scene, segment_editor
):
    hand_off.openSegmentEditor(volume, segmentation, segment)
    node = scene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    assert (node.GetSegmentationNode(), node.GetSourceVolumeNode()) == (segmentation, volume)
    assert node.GetSelectedSegmentID() == segment
    assert node.GetOverwriteMode() == node.OverwriteNone
    assert segment_editor == ["SegmentEditor"]


def test_what_the_user_has_chosen_in_the_editor_stays(hand_off, volume, segmentation, segment, segment_editor):
    node = hand_off.prepareEditorNode(volume, segmentation, segment)
    node.SetOverwriteMode(node.OverwriteVisibleSegments)
    hand_off.openSegmentEditor(volume, segmentation, segment)
    assert node.GetOverwriteMode() == node.OverwriteVisibleSegments


def test_without_a_segment_the_editor_stays_closed(hand_off, volume, segmentation, segment_editor):
    with pytest.raises(hand_off.CannotHandOff, match="no segment to edit"):
        hand_off.openSegmentEditor(volume, segmentation, "no such")
    assert segment_editor == []


def test_a_snapshot_of_a_lesion_in_a_large_volume_costs_milliseconds(hand_off, add_volume, scene):
    volume = add_volume(np.zeros((120, 256, 256), np.int16))
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("GTVp", "GTVp")
    mask = np.zeros((120, 256, 256), bool)
    mask[40:80, 100:160, 100:160] = True
    paint(node, volume, mask)
    times_s = []
    for _time in range(3):
        start = time.perf_counter()
        hand_off.SegmentSnapshot(volume, node, "GTVp")
        times_s.append(time.perf_counter() - start)
    assert min(times_s) < 0.05
