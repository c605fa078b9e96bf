""" "Show 3D": a surface on request, never while a propagation writes."""

import numpy as np
import pytest

SURFACE = "Closed surface"


@pytest.fixture
def view(app):
    from MedSAM2SlicerLib.SurfaceView import SurfaceView

    return SurfaceView()


@pytest.fixture
def volume(add_volume):
    return add_volume(np.zeros((12, 24, 24), np.int16))


@pytest.fixture
def segmentation(scene, volume):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("GTVp", "GTVp")
    fill(node, volume, 4)
    return node


def fill(segmentation, volume, half):
    import slicer

    mask = np.zeros((12, 24, 24), np.uint8)
    mask[6 - half : 6 + half, 12 - half : 12 + half, 12 - half : 12 + half] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, "GTVp", volume)


def surface(segmentation):
    return segmentation.GetSegmentation().GetSegment("GTVp").GetRepresentation(SURFACE)


def test_show_and_hide(view, segmentation):
    assert not view.isShown(segmentation)
    view.setShown(segmentation, True)
    assert view.isShown(segmentation)
    assert surface(segmentation).GetNumberOfPoints() > 0
    assert segmentation.GetDisplayNode().GetVisibility3D()
    view.setShown(segmentation, False)
    assert not view.isShown(segmentation)
    assert surface(segmentation) is None


def test_a_surface_asked_for_during_a_propagation_comes_after_it(view, segmentation):
    view.beginWriting()
    view.setShown(segmentation, True)
    assert view.isShown(segmentation)
    assert surface(segmentation) is None
    view.endWriting(segmentation)
    assert surface(segmentation) is not None


def test_a_surface_that_is_no_longer_wanted_does_not_come(view, segmentation):
    view.beginWriting()
    view.setShown(segmentation, True)
    view.setShown(segmentation, False)
    view.endWriting(segmentation)
    assert surface(segmentation) is None
    assert not view.isShown(segmentation)


def test_nothing_is_computed_while_a_run_writes_and_once_at_its_end(view, segmentation, volume):
    from medsam2_protocol.masks import region_of_mask
    from MedSAM2SlicerLib.SegmentWriter import SegmentWriter

    view.setShown(segmentation, True)
    before, points = surface(segmentation), surface(segmentation).GetNumberOfPoints()
    view.beginWriting()
    writer = SegmentWriter(volume, segmentation, "GTVp")
    writer.begin()
    for index in range(1, 11):
        plane = np.zeros((12, 24, 24), bool)
        plane[index, 4:20, 4:20] = True
        writer.write("K", index, region_of_mask(plane))
        view.refresh(segmentation)
        assert surface(segmentation) is before
        assert surface(segmentation).GetNumberOfPoints() == points
    writer.end()
    view.endWriting(segmentation)
    assert surface(segmentation).GetNumberOfPoints() > points


def test_refresh_follows_an_edit_and_never_shows_what_is_hidden(view, segmentation, volume):
    view.refresh(segmentation)
    assert surface(segmentation) is None
    view.setShown(segmentation, True)
    size = surface(segmentation).GetBounds()
    fill(segmentation, volume, 2)
    view.refresh(segmentation)
    assert surface(segmentation).GetBounds()[1] < size[1]


def test_a_segment_next_to_a_new_empty_one_is_shown_without_an_error_in_the_log(view, segmentation, capfd):
    from MedSAM2SlicerLib.SegmentWriter import addSegment

    addSegment(segmentation)
    view.setShown(segmentation, True)
    assert surface(segmentation).GetNumberOfPoints() > 0
    assert "ERR" not in capfd.readouterr().err


def test_no_segmentation_and_an_empty_one_are_no_error(view, scene):
    empty = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    for node in (None, empty):
        view.setShown(node, True)
        assert not view.isShown(node)
        view.refresh(node)
    view.beginWriting()
    view.endWriting(None)
