"""Volumes and transforms in the host are MRML's own."""

import numpy as np
import pytest
import vtk


def ijk_to_ras_of(volume):
    import slicer

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
def test_a_saved_volume_comes_back_with_every_voxel_in_its_place(a_volume, voxels_kji, ijk_to_ras, tmp_path, suffix):
    """A left-handed volume is loaded with its slices in reverse order; in the patient nothing moves."""
    import slicer

    path = tmp_path / ("volume" + suffix)
    assert slicer.util.saveNode(a_volume, str(path))
    loaded = slicer.util.loadVolume(path)
    k, j, i = np.indices(voxels_kji.shape).reshape(3, -1)
    ijk_to_loaded_ijk = np.linalg.inv(ijk_to_ras_of(loaded)) @ ijk_to_ras
    loaded_ijk = (ijk_to_loaded_ijk @ [i, j, k, np.ones_like(i)])[:3]
    assert np.allclose(loaded_ijk, loaded_ijk.round(), atol=1e-3)
    loaded_kji = tuple(loaded_ijk.round().astype(int)[::-1])
    assert np.array_equal(slicer.util.arrayFromVolume(loaded)[loaded_kji], voxels_kji[k, j, i])


def test_exporting_leaves_the_storage_node_alone(a_volume, tmp_path):
    import slicer

    assert slicer.util.exportNode(a_volume, tmp_path / "exported.nrrd")
    assert (tmp_path / "exported.nrrd").stat().st_size > 1000
    assert a_volume.GetStorageNode() is None


def test_a_missing_file_is_an_error_that_names_it(scene, tmp_path):
    import slicer

    with pytest.raises(RuntimeError, match=r"absent\.nrrd"):
        slicer.util.loadVolume(tmp_path / "absent.nrrd")


def test_a_loaded_volume_is_shown_in_every_slice_view(a_volume, app, tmp_path):
    import slicer

    slicer.util.saveNode(a_volume, str(tmp_path / "volume.nrrd"))
    loaded = slicer.util.loadVolume(tmp_path / "volume.nrrd")
    views = [app.layoutManager().sliceWidget(name) for name in app.layoutManager().sliceViewNames()]
    assert {view.mrmlSliceCompositeNode().GetBackgroundVolumeID() for view in views} == {loaded.GetID()}


def test_int64_voxels_are_refused_as_in_slicer(scene):
    import slicer

    with pytest.raises(Exception, match=r"[Uu]nsupported|long long"):
        slicer.util.addVolumeFromArray(np.zeros((2, 3, 4), np.int64))


def test_a_parent_transform_moves_the_volume(a_volume, scene):
    import slicer

    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift = np.eye(4)
    shift[0, 3] = 11
    slicer.util.updateTransformMatrixFromArray(transform, shift)
    before, after = np.zeros(6), np.zeros(6)
    a_volume.GetRASBounds(before)
    a_volume.SetAndObserveTransformNodeID(transform.GetID())
    a_volume.GetRASBounds(after)
    assert np.allclose(after - before, [11, 11, 0, 0, 0, 0])


def test_volumes_over_time_are_shown_one_after_the_other(a_volume, scene):
    import slicer

    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    for time_point in range(3):
        sequence.SetDataNodeAtValue(a_volume, str(time_point))
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    slicer.modules.sequences.logic().UpdateAllProxyNodes()
    browser.SetSelectedItemNumber(2)
    assert browser.GetProxyNode(sequence).GetImageData().GetDimensions() == a_volume.GetImageData().GetDimensions()
