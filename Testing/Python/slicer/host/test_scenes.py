"""The scene: events, parameter nodes, and scenes saved and loaded again."""

import numpy as np
import pytest


@pytest.mark.parametrize("name", ["scene.mrb", "scene.mrml"])
def test_a_saved_scene_comes_back_whole(scene, a_volume, a_segmentation_node, mask_kji, tmp_path, name):
    import slicer

    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "a box")
    roi.SetSize(30, 20, 10)
    if name.endswith(".mrml"):  # a scene file holds no data: every node needs a file
        slicer.util.saveNode(a_volume, str(tmp_path / "v.nrrd"))
        slicer.util.saveNode(a_segmentation_node, str(tmp_path / "s.seg.nrrd"))
        slicer.util.saveNode(roi, str(tmp_path / "r.mrk.json"))
    assert slicer.util.saveScene(str(tmp_path / name))
    scene.Clear(0)
    slicer.util.loadScene(str(tmp_path / name))
    volume, segmentation = slicer.util.getNode("a volume"), slicer.util.getNode("a segmentation")
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, "tumor", volume), mask_kji)
    assert np.allclose(slicer.util.getNode("a box").GetSize(), [30, 20, 10])


def test_closing_the_scene_announces_start_and_end(scene):
    heard = []
    tags = [
        scene.AddObserver(event, lambda caller, name: heard.append(name))
        for event in (scene.StartCloseEvent, scene.EndCloseEvent)
    ]
    scene.Clear(0)
    for tag in tags:
        scene.RemoveObserver(tag)
    assert len(heard) == 2


def test_an_observer_of_added_nodes_gets_the_node(scene):
    import vtk

    heard = []

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def added(caller, event, node):
        heard.append(node.GetClassName())

    tag = scene.AddObserver(scene.NodeAddedEvent, added)
    scene.AddNewNodeByClass("vtkMRMLTextNode")
    scene.RemoveObserver(tag)
    assert heard == ["vtkMRMLTextNode"]


def test_observations_of_a_mixin_can_be_dropped(scene):
    import slicer

    class Observer(slicer.util.VTKObservationMixin):
        pass

    heard = []
    observer = Observer()
    observer.addObserver(scene, scene.NodeAddedEvent, lambda caller, event: heard.append(event))
    scene.AddNewNodeByClass("vtkMRMLTextNode")
    observer.removeObservers()
    scene.AddNewNodeByClass("vtkMRMLTextNode")
    assert len(heard) == 1


def test_a_parameter_node_stores_values_as_slicer_does(scene, a_volume):
    import slicer
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    @parameterNodeWrapper
    class Parameters:
        volume: slicer.vtkMRMLScalarVolumeNode
        threshold: float = 2.5
        enabled: bool = True
        names: list[str]

    node = scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    parameters = Parameters(node)
    parameters.volume = a_volume
    parameters.names = ["a", "b"]
    assert node.GetParameter("threshold") == "2.5"
    assert node.GetParameter("enabled") == "True"
    assert [node.GetParameter(f"names.{key}") for key in ("len", 0, 1)] == ["2", "a", "b"]
    assert node.GetNodeReference("volume") is a_volume
    again = Parameters(node)
    assert (again.volume, again.threshold, again.enabled, again.names) == (a_volume, 2.5, True, ["a", "b"])


def test_a_parameter_of_the_wrong_type_is_refused(scene):
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    @parameterNodeWrapper
    class Parameters:
        count: int = 1

    parameters = Parameters(scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
    with pytest.raises(TypeError):
        parameters.count = "2"


def test_a_temporary_directory_lies_in_the_applications_own(app):
    from pathlib import Path

    import slicer

    folder = Path(slicer.util.tempDirectory())
    assert folder.is_dir()
    assert folder.is_relative_to(slicer.app.temporaryPath)
