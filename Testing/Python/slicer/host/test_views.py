"""Slice views: pictures, and what mouse and keys cause."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest


@pytest.fixture
def red(app, a_volume):
    widget = app.layoutManager().sliceWidget("Red")
    app.processEvents()
    return widget


def test_the_layout_has_three_slice_views_and_one_in_3d(app):
    assert sorted(app.layoutManager().sliceViewNames()) == ["Green", "Red", "Yellow"]
    assert app.layoutManager().threeDViewCount == 1


def test_the_slice_is_drawn(red):
    picture = red.sliceView().hostPixels()
    assert picture.shape == (red.sliceView().height, red.sliceView().width, 3)
    assert np.ptp(picture.astype(int)) > 100


def test_a_segment_is_drawn_over_the_slice(red, a_segmentation_node, app):
    app.processEvents()
    red_over_green = red.sliceView().hostPixels().astype(int)[:, :, :2] @ [1, -1]
    assert red_over_green.max() > 50


def test_positions_convert_there_and_back(red):
    view = red.sliceView()
    ras = view.convertXYZToRAS([40, 50, 0])
    assert np.allclose(view.convertRASToXYZ(ras), [40, 50, 0], atol=1e-6)


def test_the_crosshair_follows_the_mouse(red, scene):
    view = red.sliceView()
    QTest.mouseMove(view, QPoint(70, 90))
    crosshair = scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    cursor_ras = [0.0, 0.0, 0.0]
    assert crosshair.GetCursorPositionRAS(cursor_ras)
    assert np.allclose(cursor_ras, view.convertXYZToRAS([70, view.height - 1 - 90, 0]))


def test_an_observer_sees_the_drag_with_its_pixels(red):
    view = red.sliceView()
    interactor = view.interactor()
    heard = []
    tags = [
        interactor.AddObserver(event, lambda caller, name: heard.append((name, caller.GetEventPosition())), 1.0)
        for event in ("LeftButtonPressEvent", "MouseMoveEvent", "LeftButtonReleaseEvent")
    ]
    QTest.mouseMove(view, QPoint(50, 60))
    QTest.mousePress(view, Qt.LeftButton, Qt.NoModifier, QPoint(50, 60))
    QTest.mouseMove(view, QPoint(80, 90))
    QTest.mouseRelease(view, Qt.LeftButton, Qt.NoModifier, QPoint(80, 90))
    for tag in tags:
        interactor.RemoveObserver(tag)
    top = view.height - 1
    assert heard == [
        ("MouseMoveEvent", (50, top - 60)),
        ("LeftButtonPressEvent", (50, top - 60)),
        ("MouseMoveEvent", (80, top - 90)),
        ("LeftButtonReleaseEvent", (80, top - 90)),
    ]


def test_an_observer_can_keep_a_click_from_the_view(red, scene, app):
    import slicer

    interactor = red.sliceView().interactor()
    tags = {}

    def take(caller, event):
        caller.GetCommand(tags[event]).SetAbortFlag(1)

    for event in ("LeftButtonPressEvent", "LeftButtonReleaseEvent"):
        tags[event] = interactor.AddObserver(event, take, 100.0)
    point = scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    point.CreateDefaultDisplayNodes()
    slicer.modules.markups.logic().SetActiveList(point)
    interaction = app.applicationLogic().GetInteractionNode()
    interaction.SetCurrentInteractionMode(interaction.Place)
    QTest.mouseClick(red.sliceView(), Qt.LeftButton, Qt.NoModifier, QPoint(60, 80))
    interaction.SetCurrentInteractionMode(interaction.ViewTransform)
    for tag in tags.values():
        interactor.RemoveObserver(tag)
    assert point.GetNumberOfDefinedControlPoints() == 0


def test_the_wheel_goes_through_the_slices(red, app):
    view = red.sliceView()
    before_mm = red.sliceLogic().GetSliceOffset()
    QTest.mouseMove(view, QPoint(70, 90))
    position = QPointF(70, 90)
    notch = QWheelEvent(
        position, position, QPoint(), QPoint(0, 120), Qt.NoButton, Qt.NoModifier, Qt.NoScrollPhase, False
    )
    app.sendEvent(view, notch)
    assert red.sliceLogic().GetSliceOffset() != before_mm


def test_a_key_reaches_the_interactor(red):
    view = red.sliceView()
    heard = []
    tag = view.interactor().AddObserver("KeyPressEvent", lambda caller, name: heard.append(caller.GetKeySym()))
    QTest.keyClick(view, Qt.Key_Escape)
    view.interactor().RemoveObserver(tag)
    assert heard == ["Escape"]


def test_a_shortcut_of_the_main_window_works_over_a_view(red, app):
    import qt
    import slicer

    pressed = []
    shortcut = qt.QShortcut(qt.QKeySequence("b"), slicer.util.mainWindow())
    shortcut.connect("activated()", lambda: pressed.append("b"))
    QTest.keyClick(red.sliceView(), Qt.Key_B)
    shortcut.setEnabled(False)
    QTest.keyClick(red.sliceView(), Qt.Key_B)
    shortcut.delete()
    assert pressed == ["b"]


def test_text_in_the_corner_is_drawn(red, app):
    view = red.sliceView()
    view.forceRender()
    before = view.hostPixels()
    view.cornerAnnotation().SetText(0, "working")
    view.forceRender()
    after = view.hostPixels()
    view.cornerAnnotation().ClearAllTexts()
    assert not np.array_equal(before, after)


def test_a_paused_view_renders_once_when_resumed(red, app):
    view = red.sliceView()
    renders = []
    tag = view.renderWindow().AddObserver("EndEvent", lambda *_: renders.append(True))
    app.pauseRender()
    for offset_mm in (1, 2, 3):
        red.sliceLogic().SetSliceOffset(offset_mm)
        app.processEvents()
    assert renders == []
    app.resumeRender()
    app.processEvents()
    view.renderWindow().RemoveObserver(tag)
    assert len(renders) == 1


def test_another_layout_shows_other_views(app):
    import slicer

    manager = app.layoutManager()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    shown = [name for name in manager.sliceViewNames() if not manager.sliceWidget(name).isHidden()]
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    assert shown == ["Red"]
