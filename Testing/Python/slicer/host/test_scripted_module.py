"""A whole module in the host: opened, used by mouse, reloaded, unloaded."""

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

SAMPLE = Path(__file__).parent / "sample_module" / "HostSample.py"


@pytest.fixture
def a_volume(scene):
    import slicer

    voxels_kji = np.zeros((20, 40, 50), np.int16)
    voxels_kji[5:15, 10:30, 12:28] = 300
    volume = slicer.util.addVolumeFromArray(voxels_kji, name="bright box")
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume


@pytest.fixture
def panel(app, a_volume):
    import slicer

    app.loadScriptedModule(SAMPLE)
    slicer.util.selectModule("HostSample")
    app.processEvents()
    yield slicer.modules.HostSampleWidget
    app.unloadScriptedModule("HostSample")


def test_the_panel_shows_the_volume_and_is_ready(panel, a_volume):
    assert panel.ui.inputSelector.currentNode() is a_volume
    assert panel.ui.applyButton.enabled


def test_parameters_and_widgets_follow_each_other(panel):
    panel.ui.threshold.value = 175
    assert panel.parameterNode.threshold == 175
    panel.parameterNode.threshold = 180
    assert panel.ui.threshold.value == 180


def test_a_parameter_out_of_range_is_refused(panel):
    with pytest.raises(ValueError, match="501"):
        panel.parameterNode.threshold = 501


def test_a_click_runs_the_process_and_writes_the_segment(panel, wait_until):
    QTest.mouseClick(panel.ui.applyButton, Qt.LeftButton)
    assert not panel.ui.applyButton.enabled
    wait_until(lambda: panel.ui.status.text == "Done")
    assert panel.ui.progress.value == 100
    assert panel.ui.segmentationSelector.currentNode() is panel.parameterNode.segmentation
    assert panel.ui.segments.segmentCount == 1


def test_two_clicks_in_a_view_place_a_box(app, panel, scene):
    import slicer

    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Box")
    roi.CreateDefaultDisplayNodes()
    panel.ui.placeWidget.setCurrentNode(roi)
    panel.ui.placeWidget.setPlaceModeEnabled(True)
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    for x, y in ((120, 150), (260, 270)):
        QTest.mouseMove(view, QPoint(x, y))
        QTest.mouseClick(view, Qt.LeftButton, Qt.NoModifier, QPoint(x, y))
        app.processEvents()
    assert roi.GetSize()[0] > 1
    assert not panel.ui.placeWidget.placeModeEnabled


def test_closing_the_scene_leaves_a_fresh_parameter_node(app, panel, scene):
    scene.Clear(0)
    app.processEvents()
    assert panel.parameterNode.inputVolume is None
    assert not panel.ui.applyButton.enabled


def test_a_reload_makes_a_new_widget(panel):
    import slicer

    slicer.util.reloadScriptedModule("HostSample")
    assert slicer.modules.HostSampleWidget is not panel
    assert panel.parameterNode is None


def test_leaving_the_module_calls_exit_and_coming_back_enter(panel):
    import slicer

    slicer.util.selectModule("")
    assert panel.parameterNode is None
    assert slicer.util.selectedModule() == ""
    slicer.util.selectModule("HostSample")
    assert panel.parameterNode is not None


def test_unloading_calls_cleanup(app, panel):
    import slicer

    slicer.util.selectModule("")
    slicer.app.moduleManager().moduleAboutToBeUnloaded.emit("HostSample")
    assert panel.process.state() == 0
    assert panel.Observations == []


def test_the_self_test_of_the_module_runs(panel):
    import slicer

    slicer.selfTests["HostSample"]()


def test_the_window_can_be_photographed(panel, tmp_path):
    import slicer

    assert slicer.util.mainWindow().grab().save(str(tmp_path / "window.png"))
