"""The self test of what needs no engine: the panel, its keys, a box drawn in a view, undo, and a volume left alone."""

from __future__ import annotations

import time
from typing import Callable

import numpy as np
import qt
import slicer
import vtk

from MedSAM2SlicerLib.Environment import EngineNotInstalled
from MedSAM2SlicerLib.PromptKinds import BOX
from MedSAM2SlicerLib.ShortcutKeys import keyOf

TIMEOUT_S = 300.0
REST_MS = 200
SIZE = 48
CENTRE = SIZE // 2
RADIUS = 9


def runPanelSelfTest(test) -> None:
    """`test` is the module's unittest case. With an engine the box is previewed before it is undone."""
    widget = openPanel()
    before = ball()
    volumeNode = addBall(widget, before)
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.util.setSliceViewerLayers(background=volumeNode, fit=True)
    _rest()
    display = _displayOf(volumeNode)
    _testKeys(widget)
    _testBox(widget, volumeNode)
    assert np.array_equal(slicer.util.arrayFromVolume(volumeNode), before), "the voxels of the volume were changed"
    assert _displayOf(volumeNode) == display, "the display of the volume was changed"
    test.delayDisplay("The panel opened, its keys are there, and a box was drawn, listed and undone")


def whyNoEngine(widget) -> str:
    """ "" if there is an engine to start."""
    try:
        widget.engine.environment.command()
    except EngineNotInstalled as error:
        return str(error)
    return ""


def openPanel():
    slicer.util.selectModule("MedSAM2Slicer")
    widget = slicer.modules.MedSAM2SlicerWidget
    assert widget.ui.boxButton.isVisibleTo(widget.uiWidget), "the panel has no button for a box"
    return widget


def addBall(widget, voxels: np.ndarray):
    volumeNode = slicer.util.addVolumeFromArray(voxels.copy(), name="Ball")
    widget.logic.getParameterNode().volume = volumeNode
    return volumeNode


def ball() -> np.ndarray:
    """A bright ball on a dark, slightly uneven ground, KJI."""
    k, j, i = np.mgrid[:SIZE, :SIZE, :SIZE] - CENTRE
    inside = k * k + j * j + i * i <= RADIUS * RADIUS
    return (200 * inside + (3 * i + 5 * j + 7 * k) % 11).astype(np.int16)


def waitFor(isDone: Callable[[], bool], sentence: str) -> None:
    """In an event loop of its own: a test may wait, the module may not."""
    loop, timer, end_s = qt.QEventLoop(), qt.QTimer(), time.monotonic() + TIMEOUT_S
    timer.connect("timeout()", lambda: loop.quit() if isDone() or time.monotonic() > end_s else None)
    timer.start(20)
    if not isDone():
        loop.exec_()
    timer.stop()
    assert isDone(), sentence


def _rest() -> None:
    """Until the views have their places."""
    loop = qt.QEventLoop()
    qt.QTimer.singleShot(REST_MS, loop.quit)
    loop.exec_()


def _displayOf(volumeNode) -> tuple:
    display = volumeNode.GetDisplayNode()
    return display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel(), display.GetInterpolate()


def _testKeys(widget) -> None:
    """Each action has a key, unless the user took it away or something else in Slicer has it; then that is said."""
    missing = [
        action.id
        for action in widget.shortcuts.actions
        if keyOf(action) and action.id not in widget.shortcuts.clashes and _shortcutOf(widget, action.id) is None
    ]
    assert not missing, f"these have no key: {missing}"


def _shortcutOf(widget, actionId: str):
    action = next(one for one in widget.shortcuts.actions if one.id == actionId)
    wanted = qt.QKeySequence(keyOf(action)).toString()
    found = [one for one in widget.shortcuts.installed if wanted and one.key.toString() == wanted]
    return found[0] if found else None


def _testBox(widget, volumeNode) -> None:
    """Drawn before the engine can have said that it is not there, which puts the tool away."""
    controller = widget.controller
    _press(widget, "box", widget.ui.boxButton)
    assert controller.armedTool == BOX, f"the key of the box armed no tool: {controller.message}"
    _drawBox(volumeNode)
    assert len(controller.promptNodes()) == 1, f"the box that was drawn is no prompt: {controller.message}"
    waitFor(lambda: not controller.isBusy, "the engine did not answer in time")
    controller.news.tell()
    assert widget.ui.promptList.count == 1, "the box is not listed"
    _checkSaid(widget)
    _press(widget, "undo", widget.ui.undoButton)
    waitFor(lambda: not controller.isBusy, "the engine did not answer in time")
    assert controller.promptNodes() == [], "the box was not undone"
    assert widget.ui.promptList.count == 0, "the box that was undone is listed still"


def _checkSaid(widget) -> None:
    controller, why = widget.controller, whyNoEngine(widget)
    if why:
        assert why in controller.message, f"it was not said what is missing: {controller.message}"
        assert controller.news.remedy is not None, "it was not offered to install the engine"
    else:
        assert controller.hasPreview, f"there is no preview: {controller.message}"


def _press(widget, actionId: str, button) -> None:
    """The key, or the button where the key is something else's."""
    shortcut = _shortcutOf(widget, actionId)
    if shortcut is not None:
        shortcut.activated()
    else:
        button.click()


def _drawBox(volumeNode) -> None:
    """With the mouse, around the ball in the red view."""
    slicer.modules.markups.logic().JumpSlicesToLocation(*_rasOf(volumeNode, CENTRE, CENTRE), False)
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    corners = [_rasOf(volumeNode, edge, edge) for edge in (CENTRE - RADIUS - 2, CENTRE + RADIUS + 2)]
    first, last = ([round(value) for value in view.convertRASToXYZ(ras)[:2]] for ras in corners)
    for (x, y), event in (
        (first, "MouseMoveEvent"),
        (first, "LeftButtonPressEvent"),
        (last, "MouseMoveEvent"),
        (last, "LeftButtonReleaseEvent"),
    ):
        view.interactor().SetEventInformation(x, y, 0, 0, "\0", 0, None)
        view.interactor().InvokeEvent(event)


def _rasOf(volumeNode, i: int, j: int) -> list[float]:
    """Of a voxel in the middle slice."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return list(matrix.MultiplyPoint((i, j, CENTRE, 1))[:3])
