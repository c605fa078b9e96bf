"""Markups in the host are MRML's own, and placed by mouse through Slicer's own widgets."""

import numpy as np
import pytest
import vtk
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest


@pytest.fixture
def red_view(app, a_volume):
    view = app.layoutManager().sliceWidget("Red").sliceView()
    app.processEvents()
    return view


@pytest.fixture
def place(app, scene, red_view):
    """``place(node, [(x, y), ...])``: click these pixels of the red view in place mode."""
    import slicer

    def click(node, pixels):
        node.CreateDefaultDisplayNodes()
        slicer.modules.markups.logic().SetActiveList(node)
        interaction = app.applicationLogic().GetInteractionNode()
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(interaction.Place)
        QTest.mouseMove(red_view, QPoint(1, 1))  # a click where the mouse already was places nothing: Qt sends no move
        for x, y in pixels:
            QTest.mouseMove(red_view, QPoint(x, y))
            QTest.mouseClick(red_view, Qt.LeftButton, Qt.NoModifier, QPoint(x, y))
            app.processEvents()
        return node

    return click


def ras_under(view, x, y):
    return view.convertXYZToRAS([x, view.height - 1 - y, 0])


def test_a_click_places_a_point_where_it_was(place, scene, red_view):
    point = place(scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode"), [(60, 80)])
    assert point.GetNumberOfDefinedControlPoints() == 1
    assert np.allclose(point.GetNthControlPointPositionWorld(0), ras_under(red_view, 60, 80), atol=1e-6)


def test_two_clicks_place_a_line_and_end_place_mode(app, place, scene, red_view):
    line = place(scene.AddNewNodeByClass("vtkMRMLMarkupsLineNode"), [(60, 80), (120, 100)])
    interaction = app.applicationLogic().GetInteractionNode()
    assert line.GetNumberOfDefinedControlPoints() == 2
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform


def test_two_clicks_place_a_box_between_them(place, scene, red_view):
    roi = place(scene.AddNewNodeByClass("vtkMRMLMarkupsROINode"), [(60, 80), (120, 140)])
    first, second = (np.array(ras_under(red_view, *pixel)) for pixel in ((60, 80), (120, 140)))
    assert np.allclose(roi.GetCenter(), (first + second) / 2, atol=1)
    assert np.allclose(np.array(roi.GetSize())[:2], np.abs(first - second)[:2], atol=1)


def test_a_point_by_code_tells_that_its_position_is_defined(scene):
    import slicer

    heard = []
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.AddObserver(slicer.vtkMRMLMarkupsNode.PointPositionDefinedEvent, lambda *_: heard.append(True))
    node.AddControlPointWorld(vtk.vtkVector3d(1, 2, 3), "p")
    assert heard == [True]
    assert slicer.util.arrayFromMarkupsControlPoints(node).tolist() == [[1, 2, 3]]


def test_hardening_a_transform_moves_the_points(scene):
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.AddControlPoint([4, 5, 6])
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    shift = np.eye(4)
    shift[2, 3] = 5
    slicer.util.updateTransformMatrixFromArray(transform, shift)
    node.SetAndObserveTransformNodeID(transform.GetID())
    node.HardenTransform()
    assert slicer.util.arrayFromMarkupsControlPoints(node).tolist() == [[4, 5, 11]]


def test_saved_points_come_back(scene, tmp_path):
    import slicer

    node = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    node.AddControlPoint([4, 5, 6])
    slicer.util.saveNode(node, str(tmp_path / "points.mrk.json"))
    loaded = slicer.util.loadMarkups(tmp_path / "points.mrk.json")
    assert slicer.util.arrayFromMarkupsControlPoints(loaded).tolist() == [[4, 5, 6]]


def test_mrml_undo_restores_a_box(scene):
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    roi.SetSize(30, 20, 10)
    scene.SetUndoOn()
    roi.SetUndoEnabled(True)
    scene.SaveStateForUndo()
    roi.SetSize(1, 1, 1)
    scene.Undo()
    scene.SetUndoOff()
    assert list(scene.GetNodeByID(roi.GetID()).GetSize()) == [30, 20, 10]


def test_the_place_widget_follows_the_application(app, scene, red_view):
    import slicer

    heard = []
    widget = slicer.qSlicerMarkupsPlaceWidget()
    widget.setMRMLScene(scene)
    widget.connect("activeMarkupsPlaceModeChanged(bool)", heard.append)
    widget.setCurrentNode(scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode"))
    widget.setPlaceModeEnabled(True)
    interaction = app.applicationLogic().GetInteractionNode()
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    assert heard == [True, False]
    widget.setMRMLScene(None)
