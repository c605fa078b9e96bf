"""Segmentations in the host are MRML's own: labelmaps, surfaces, undo and files."""

import numpy as np
import pytest


def mask_of(node, segment_id, volume):
    import slicer

    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume)


def test_a_mask_comes_back_as_written(a_segmentation_node, a_volume, mask_kji):
    assert np.array_equal(mask_of(a_segmentation_node, "tumor", a_volume), mask_kji)


def test_a_second_segment_leaves_the_first_alone(a_segmentation_node, a_volume, mask_kji):
    import slicer

    liver = np.zeros_like(mask_kji)
    liver[0:4] = 1
    segment_id = a_segmentation_node.GetSegmentation().AddEmptySegment("", "Liver")
    slicer.util.updateSegmentBinaryLabelmapFromArray(liver, a_segmentation_node, segment_id, a_volume)
    assert np.array_equal(mask_of(a_segmentation_node, "tumor", a_volume), mask_kji)
    assert np.array_equal(mask_of(a_segmentation_node, segment_id, a_volume), liver)


def test_a_cropped_labelmap_is_merged_where_it_lies(a_segmentation_node, a_volume, mask_kji, ijk_to_ras):
    import slicer
    import vtk

    crop = slicer.vtkOrientedImageData()
    crop.SetGeometryFromImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    crop.SetExtent(2, 5, 3, 7, 1, 2)
    crop.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    crop.GetPointData().GetScalars().Fill(1)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(crop, a_segmentation_node, "tumor", logic.MODE_MERGE_MAX)
    mask_kji[1:3, 3:8, 2:6] = 1
    assert np.array_equal(mask_of(a_segmentation_node, "tumor", a_volume), mask_kji)


def test_a_closed_surface_can_be_made(a_segmentation_node):
    import vtk

    assert a_segmentation_node.CreateClosedSurfaceRepresentation()
    surface = vtk.vtkPolyData()
    a_segmentation_node.GetClosedSurfaceRepresentation("tumor", surface)
    assert surface.GetNumberOfPoints() > 100


def test_history_brings_back_a_mask(a_segmentation_node, a_volume, mask_kji):
    import slicer

    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(a_segmentation_node.GetSegmentation())
    history.SaveState()
    empty = np.zeros_like(mask_kji)
    slicer.util.updateSegmentBinaryLabelmapFromArray(empty, a_segmentation_node, "tumor", a_volume)
    assert mask_of(a_segmentation_node, "tumor", a_volume).sum() == 0
    history.RestorePreviousState()
    assert np.array_equal(mask_of(a_segmentation_node, "tumor", a_volume), mask_kji)


def test_a_saved_segmentation_comes_back(a_segmentation_node, a_volume, mask_kji, tmp_path):
    import slicer

    slicer.util.saveNode(a_segmentation_node, str(tmp_path / "a.seg.nrrd"))
    loaded = slicer.util.loadSegmentation(tmp_path / "a.seg.nrrd")
    segment_id = loaded.GetSegmentation().GetNthSegmentID(0)
    assert loaded.GetSegmentation().GetSegment(segment_id).GetName() == "Tumor"
    assert np.array_equal(mask_of(loaded, segment_id, a_volume), mask_kji)


def test_segments_export_to_a_labelmap_volume(a_segmentation_node, a_volume, mask_kji, scene):
    import slicer

    labelmap = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    logic = slicer.modules.segmentations.logic()
    assert logic.ExportVisibleSegmentsToLabelmapNode(a_segmentation_node, labelmap, a_volume)
    assert np.array_equal(slicer.util.arrayFromVolume(labelmap), mask_kji)


def test_a_new_segmentation_appears_in_the_subject_hierarchy(a_segmentation_node, scene):
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert hierarchy.GetItemByDataNode(a_segmentation_node) != 0


@pytest.fixture
def a_selector(scene, a_segmentation_node):
    import slicer

    selector = slicer.qMRMLSegmentSelectorWidget()
    selector.setMRMLScene(scene)
    yield selector
    selector.setMRMLScene(None)


def test_the_selector_takes_the_first_segment(a_selector, a_segmentation_node):
    assert a_selector.currentNode() is a_segmentation_node
    assert a_selector.currentSegmentID() == "tumor"


def test_the_selector_keeps_its_segment_when_others_come_and_go(a_selector, a_segmentation_node):
    heard = []
    a_selector.connect("currentSegmentChanged(QString)", heard.append)
    segmentation = a_segmentation_node.GetSegmentation()
    segmentation.AddEmptySegment("liver", "Liver")
    a_selector.setCurrentSegmentID("liver")
    segmentation.RemoveSegment("tumor")
    assert a_selector.currentSegmentID() == "liver"
    assert heard == ["liver"]


def test_the_selector_moves_on_when_its_segment_goes(a_selector, a_segmentation_node):
    segmentation = a_segmentation_node.GetSegmentation()
    segmentation.AddEmptySegment("liver", "Liver")
    segmentation.RemoveSegment("tumor")
    assert a_selector.currentSegmentID() == "liver"
