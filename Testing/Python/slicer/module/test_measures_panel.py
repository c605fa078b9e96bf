"""Measures in the panel, diameters in the views, and the table: always of the lesion as it is."""

import math

import numpy as np
import pytest

# 0.8 x 0.8 x 2.5 mm, oblique.
TURN = math.radians(20)
IJK_TO_RAS = np.array(
    [
        [-0.8 * math.cos(TURN), 0.8 * math.sin(TURN), 0, 10],
        [-0.8 * math.sin(TURN), -0.8 * math.cos(TURN), 0, -20],
        [0, 0, 2.5, 30],
        [0, 0, 0, 1],
    ]
)
RADIUS_MM = 12.0


def ball_mask(radius_mm=RADIUS_MM):
    k, j, i = np.mgrid[:20, :60, :64]
    squares = (0.8 * (i - 31.7)) ** 2 + (0.8 * (j - 29.6)) ** 2 + (2.5 * (k - 9.8)) ** 2
    return (squares <= radius_mm**2).astype(np.uint8)


@pytest.fixture
def shown(module, add_volume):
    module.volume = add_volume(np.zeros((20, 60, 64), np.int16), IJK_TO_RAS)
    module.show(module.volume)
    return module


@pytest.fixture
def measured(shown, wait_until):
    """Two lesions, the second chosen; both are balls, of 12 and of 8 mm."""
    shown.ids = [new_lesion(shown, "GTVp", RADIUS_MM), new_lesion(shown, "GTVn", 8.0)]
    wait_until(lambda: "mm" in ui(shown).measuresLabel.text)
    return shown


def new_lesion(module, name, radius_mm):
    module.controller.addSegment()
    parameters = module.parameters
    parameters.segmentation.GetSegmentation().GetSegment(parameters.segmentId).SetName(name)
    paint(module, radius_mm)
    module.widget.updatePanels()
    return parameters.segmentId


def paint(module, radius_mm):
    import slicer

    parameters = module.parameters
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        ball_mask(radius_mm), parameters.segmentation, parameters.segmentId, module.volume
    )


def ui(module):
    return module.widget.lesionPanel.measures.ui


def lines():
    import slicer

    return slicer.util.getNodesByClass("vtkMRMLMarkupsLineNode")


def length(node):
    ends = np.zeros((2, 3))
    for number in range(2):
        node.GetNthControlPointPositionWorld(number, ends[number])
    return float(np.linalg.norm(ends[1] - ends[0]))


def test_the_chosen_lesion_has_its_diameters_slice_and_extent_in_the_panel(measured):
    first, second = ui(measured).measuresLabel.text.split("\n")
    long, short = (float(number) for number in first.split(" mm")[0].split(" × "))
    assert long == pytest.approx(16, abs=0.8)
    assert short == pytest.approx(16, abs=0.8)
    assert first.endswith("(slice K10)")
    assert second.startswith("R-L 16, A-P 16, S-I")


def test_another_lesion_shows_its_own_measures(measured, wait_until, mouse):
    before = ui(measured).measuresLabel.text
    mouse.key("E")
    wait_until(lambda: ui(measured).measuresLabel.text != before)
    assert float(ui(measured).measuresLabel.text.split(" ")[0]) == pytest.approx(24, abs=0.8)


def test_an_empty_lesion_has_no_measures(shown):
    shown.controller.addSegment()
    shown.widget.lesionPanel.measures.measureNow()
    assert ui(shown).measuresLabel.text == ""
    assert not ui(shown).diametersButton.enabled


def test_show_diameters_draws_two_locked_lines_named_after_the_lesion(measured):
    ui(measured).diametersButton.click()
    assert sorted(node.GetName() for node in lines()) == ["GTVn long axis", "GTVn short axis"]
    for node in lines():
        assert node.GetLocked()
        assert length(node) == pytest.approx(16, abs=0.8)
    assert ui(measured).diametersButton.checked


def test_the_lines_lie_in_the_slice_that_is_named(measured):
    from MedSAM2SlicerLib.Geometry import VolumeFrame

    ui(measured).diametersButton.click()
    for node in lines():
        ends = np.zeros((2, 3))
        for number in range(2):
            node.GetNthControlPointPositionWorld(number, ends[number])
        ijk = VolumeFrame(measured.volume).ijkFromWorld(ends)
        np.testing.assert_allclose(ijk[:, 2], 10, atol=1e-6)
        assert 15 < ijk[:, 0].mean() < 45


def test_the_lines_follow_every_change_and_the_name(measured, wait_until):
    ui(measured).diametersButton.click()
    paint(measured, 10.0)
    wait_until(lambda: abs(max(length(node) for node in lines()) - 20) <= 0.8)
    segmentation = measured.parameters.segmentation.GetSegmentation()
    segmentation.GetSegment(measured.parameters.segmentId).SetName("Liver")
    wait_until(lambda: sorted(node.GetName() for node in lines()) == ["Liver long axis", "Liver short axis"])
    assert len(lines()) == 2


def test_the_lines_of_an_emptied_or_deleted_lesion_go(measured, wait_until, mouse):
    ui(measured).diametersButton.click()
    mouse.key("E")
    wait_until(lambda: not ui(measured).diametersButton.checked)
    ui(measured).diametersButton.click()
    assert len(lines()) == 4
    measured.parameters.segmentation.GetSegmentation().RemoveSegment(measured.ids[1])
    wait_until(lambda: len(lines()) == 2)
    paint(measured, 0.01)
    wait_until(lambda: lines() == [])


def test_a_second_click_removes_the_lines_and_nobody_elses(measured, scene):
    other = scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode", "mine")
    ui(measured).diametersButton.click()
    ui(measured).diametersButton.click()
    assert lines() == [other]


def test_a_line_deleted_by_hand_is_no_trouble(measured, scene):
    ui(measured).diametersButton.click()
    scene.RemoveNode(lines()[0])
    measured.widget.lesionPanel.measures.measureNow()
    assert len(lines()) == 2


def test_diameters_are_measured_in_world_under_a_parent_transform(measured, scene, wait_until):
    import vtk

    transform, matrix = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtk.vtkMatrix4x4()
    matrix.SetElement(0, 0, 2.0)
    transform.SetMatrixTransformToParent(matrix)
    measured.parameters.segmentation.SetAndObserveTransformNodeID(transform.GetID())
    measured.widget.lesionPanel.measures.measureNow()
    assert float(ui(measured).measuresLabel.text.split(" ")[0]) == pytest.approx(32, abs=1.7)


def test_the_lines_come_back_with_the_scene_and_go_on_following(measured, tmp_path, app, wait_until):
    import slicer

    ui(measured).diametersButton.click()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    app.processEvents()
    assert ui(measured).measuresLabel.text == ""
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    measured.widget.enter()
    wait_until(lambda: ui(measured).diametersButton.checked)
    measured.volume = slicer.util.getNode("CT")
    paint(measured, 10.0)
    wait_until(lambda: abs(max(length(node) for node in lines()) - 20) <= 0.8)
    assert len(lines()) == 2


def test_the_table_has_one_row_for_every_lesion_with_units_in_the_titles(measured):
    import slicer

    measured.controller.addSegment()
    ui(measured).tableButton.click()
    (node,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    titles = [node.GetColumnName(column) for column in range(node.GetNumberOfColumns())]
    assert titles[:5] == ["Lesion", "State", "Volume (ml)", "Long axis (mm)", "Short axis (mm)"]
    assert [node.GetCellText(row, 0) for row in range(node.GetNumberOfRows())][:2] == ["GTVp", "GTVn"]
    assert float(node.GetCellText(0, 2)) == pytest.approx(4 / 3 * math.pi * RADIUS_MM**3 / 1000, rel=0.01)
    assert float(node.GetCellText(0, 3)) == pytest.approx(2 * RADIUS_MM, abs=0.8)
    assert [node.GetCellText(2, column) for column in (1, 2, 9 - 1)] == ["empty", "0", ""]


def test_the_table_is_shown_and_written_anew_not_added_again(measured):
    import slicer

    ui(measured).tableButton.click()
    (node,) = slicer.util.getNodesByClass("vtkMRMLTableNode")
    before = node.GetCellText(1, 2)
    paint(measured, 5.0)
    ui(measured).tableButton.click()
    assert slicer.util.getNodesByClass("vtkMRMLTableNode") == [node]
    assert node.GetCellText(1, 2) != before
    selection = slicer.app.applicationLogic().GetSelectionNode()
    assert selection.GetActiveTableID() == node.GetID()


def test_nothing_is_measured_while_a_propagation_writes(shown, fake_engine, add_volume, ball, mouse, wait_until):
    shown.engine.environment = fake_engine("slow")
    shown.volume = add_volume(ball, name="ball")
    shown.show(shown.volume)
    shown.controller.setToolArmed("box", True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not shown.controller.isBusy)
    wait_until(lambda: "mm" in ui(shown).measuresLabel.text)
    before = ui(shown).measuresLabel.text
    seen = set()
    label = ui(shown).measuresLabel
    write = shown.widget.lesionPanel.measures._show

    def watch(measures):
        seen.add(shown.controller.isPropagating)
        write(measures)

    shown.widget.lesionPanel.measures._show = watch
    shown.controller.propagate()
    wait_until(lambda: not shown.controller.isBusy)
    wait_until(lambda: label.text != before)
    assert seen == {False}
