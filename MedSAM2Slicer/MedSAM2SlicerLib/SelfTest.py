"""The story in short, inside whatever runs the module: box, preview, propagate, correct, undo, redo, save, load, go on.

It needs an engine; where none is installed there is nothing to test, and it says so. The scene is emptied.
"""

from __future__ import annotations

import os
import time
from typing import Callable

import numpy as np
import qt
import slicer

from medsam2_protocol.prompts import BoxPrompt, PointPrompt
from MedSAM2SlicerLib.Environment import EngineNotInstalled

TIMEOUT_S = 300.0
SIZE = 48
CENTRE = SIZE // 2
RADIUS = 9


def runSelfTest(test) -> None:
    """`test` is the module's unittest case."""
    slicer.util.selectModule("MedSAM2Slicer")
    widget = slicer.modules.MedSAM2SlicerWidget
    try:
        widget.engine.environment.command()
    except EngineNotInstalled as error:
        test.delayDisplay(f"Nothing to test: {error}")
        return
    before = _ball()
    parameters = widget.logic.getParameterNode()
    parameters.volume = slicer.util.addVolumeFromArray(before.copy(), name="Ball")
    _segmentAndCorrect(test, widget)
    found = _mask(widget)
    _saveAndLoad(test, widget)
    assert np.array_equal(_mask(widget), found), "the segment came back otherwise than it was saved"
    _propagate(widget)
    volumeNode = widget.logic.getParameterNode().volume
    assert np.array_equal(slicer.util.arrayFromVolume(volumeNode), before), "the voxels of the volume were changed"
    test.delayDisplay(f"The box became a segment of {int(_mask(widget).sum())} voxels; it was saved and loaded")


def _segmentAndCorrect(test, widget) -> None:
    low, high = float(CENTRE - RADIUS - 1), float(CENTRE + RADIUS + 1)
    _do(widget, lambda: widget.controller.onBoxPlaced(BoxPrompt("K", CENTRE, (low, low), (high, high))))
    assert widget.controller.hasPreview, widget.controller.message
    _propagate(widget)
    first = _mask(widget)
    assert int(first[CENTRE].sum()) > 0, "nothing was found on the slice of the box"
    test.delayDisplay(f"The box became a segment of {int(first.sum())} voxels")
    point = PointPrompt((float(CENTRE), float(CENTRE), float(CENTRE + 2)), True)
    _do(widget, lambda: widget.controller.onPromptPlaced(point, "K"))
    _propagate(widget)
    corrected = _mask(widget)
    _do(widget, widget.controller.undo)
    assert np.array_equal(_mask(widget), first), "undo did not bring the segment back"
    _do(widget, widget.controller.redo)
    assert np.array_equal(_mask(widget), corrected), "redo did not bring the correction back"


def _saveAndLoad(test, widget) -> None:
    path = os.path.join(slicer.app.temporaryPath, f"MedSAM2SlicerSelfTest-{os.getpid()}.mrb")
    try:
        assert slicer.util.saveScene(path), "the scene could not be saved"
        slicer.mrmlScene.Clear(0)
        slicer.util.loadScene(path)
    finally:
        if os.path.exists(path):
            os.remove(path)
    widget.enter()
    test.delayDisplay("The scene was saved, closed and loaded")


def _propagate(widget) -> None:
    _do(widget, widget.controller.propagate)
    assert not widget.controller.isError, widget.controller.message


def _mask(widget) -> np.ndarray:
    """The chosen segment without a preview, KJI."""
    widget.controller.previewing.stop()
    parameters = widget.logic.getParameterNode()
    return slicer.util.arrayFromSegmentBinaryLabelmap(
        parameters.segmentation, parameters.segmentId, parameters.volume
    ).copy()


def _do(widget, act: Callable[[], None]) -> None:
    """And wait, in an event loop of its own: a test may wait, the module may not."""
    act()
    loop, timer, end_s = qt.QEventLoop(), qt.QTimer(), time.monotonic() + TIMEOUT_S
    timer.connect("timeout()", lambda: loop.quit() if _isIdle(widget) or time.monotonic() > end_s else None)
    timer.start(20)
    if not _isIdle(widget):
        loop.exec_()
    timer.stop()
    assert _isIdle(widget), "the engine did not answer in time"


def _isIdle(widget) -> bool:
    return not widget.controller.isBusy


def _ball() -> np.ndarray:
    """A bright ball on a dark, slightly uneven ground, KJI."""
    k, j, i = np.mgrid[:SIZE, :SIZE, :SIZE] - CENTRE
    inside = k * k + j * j + i * i <= RADIUS * RADIUS
    return (200 * inside + (3 * i + 5 * j + 7 * k) % 11).astype(np.int16)
