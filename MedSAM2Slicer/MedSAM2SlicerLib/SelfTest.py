"""The story in short, inside whatever runs the module: a box on one slice becomes a segment.

It needs an engine; where none is configured there is nothing to test, and it says so.
"""

from __future__ import annotations

import time

import numpy as np
import qt
import slicer

from medsam2_protocol.prompts import BoxPrompt
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
    volumeNode = slicer.util.addVolumeFromArray(before.copy())
    parameters = widget.logic.getParameterNode()
    parameters.volume = volumeNode
    _placeBoxAndPropagate(test, widget)
    assert not widget.controller.isError, widget.controller.message
    segmentation = parameters.segmentation
    found = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, parameters.segmentId, volumeNode)
    assert int(found[CENTRE].sum()) > 0
    assert np.array_equal(slicer.util.arrayFromVolume(volumeNode), before)
    test.delayDisplay(f"The box became a segment of {int(found.sum())} voxels")


def _placeBoxAndPropagate(test, widget) -> None:
    low, high = float(CENTRE - RADIUS - 1), float(CENTRE + RADIUS + 1)
    widget.controller.onBoxPlaced(BoxPrompt("K", CENTRE, (low, low), (high, high)))
    _wait(test, lambda: not widget.controller.isBusy)
    assert widget.controller.hasPreview, widget.controller.message
    widget.controller.propagate()
    _wait(test, lambda: not widget.controller.isBusy)


def _wait(test, isDone) -> None:
    """An event loop of its own: a test may wait, the module may not."""
    loop, timer, end_s = qt.QEventLoop(), qt.QTimer(), time.monotonic() + TIMEOUT_S
    timer.connect("timeout()", lambda: loop.quit() if isDone() or time.monotonic() > end_s else None)
    timer.start(20)
    if not isDone():
        loop.exec_()
    timer.stop()
    assert isDone(), "the engine did not answer in time"


def _ball() -> np.ndarray:
    """A bright ball on a dark, slightly uneven ground, KJI."""
    k, j, i = np.mgrid[:SIZE, :SIZE, :SIZE] - CENTRE
    inside = k * k + j * j + i * i <= RADIUS * RADIUS
    return (200 * inside + (3 * i + 5 * j + 7 * k) % 11).astype(np.int16)
