"""To the Segment Editor and back: what was changed by hand, to the voxel, on oblique and flipped volumes too."""

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


class Left:
    """The segment as it is when the module is left, and which slices are different on return."""

    def __init__(self, volume, segmentation, segment):
        self.of = volume, segmentation, segment
        self.marks = {axis: self.now(axis) for axis in "IJK"}

    def now(self, axis):
        from MedSAM2SlicerLib.SegmentSlices import SegmentSlices

        return SegmentSlices(*self.of).marks(axis)

    def changed(self, axis):
        from MedSAM2SlicerLib.SliceStates import SliceStates

        return tuple(sorted(SliceStates(marks=self.marks[axis]).changedSince(self.now(axis))))


@pytest.fixture
def left(volume, segmentation, segment):
    return Left(volume, segmentation, segment)


def paint(segmentation, volume, mask, segment="GTVp"):
    import slicer

    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, segment, volume)


@pytest.mark.parametrize("voxel", [(5, 8, 10), (5, 1, 1), (0, 0, 0), (11, 19, 23)])
@pytest.mark.parametrize(("axis", "along"), [("K", 0), ("J", 1), ("I", 2)])
def test_one_changed_voxel_is_one_changed_slice(left, segmentation, volume, mask, voxel, axis, along):
    mask[voxel] ^= True
    paint(segmentation, volume, mask)
    assert left.changed(axis) == (voxel[along],)


def test_a_segment_that_was_only_looked_at_has_no_changed_slices(left, segmentation, volume, mask):
    assert left.changed("K") == ()
    paint(segmentation, volume, mask)
    assert left.changed("K") == ()


def test_an_erased_segment_has_changed_everywhere_it_was(left, segmentation, volume, mask):
    paint(segmentation, volume, np.zeros_like(mask))
    assert left.changed("K") == (3, 4, 5, 6, 7)


def test_a_segment_that_was_empty_has_changed_where_something_is(segmentation, volume, mask):
    segmentation.GetSegmentation().AddEmptySegment("GTVn", "GTVn")
    left = Left(volume, segmentation, "GTVn")
    assert left.changed("K") == ()
    paint(segmentation, volume, mask, "GTVn")
    assert left.changed("J") == (6, 7, 8, 9, 10, 11)


def test_a_change_of_a_neighbour_on_the_same_layer_is_none_of_ours(segmentation, volume, segment, mask):
    segmentation.GetSegmentation().AddEmptySegment("other", "other")
    other = np.zeros_like(mask)
    other[9:11, 2:5, 2:5] = True
    paint(segmentation, volume, other, "other")
    segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
    left = Left(volume, segmentation, segment)
    other[9] = False
    paint(segmentation, volume, other, "other")
    assert left.changed("K") == ()


def test_a_parent_transform_changes_nothing(left, segmentation, volume, mask, scene):
    import vtk

    transform, matrix = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 25.0)
    transform.SetMatrixTransformToParent(matrix)
    for node in (volume, segmentation):
        node.SetAndObserveTransformNodeID(transform.GetID())
    mask[4, 7, 10] = False
    paint(segmentation, volume, mask)
    assert left.changed("K") == (4,)


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
