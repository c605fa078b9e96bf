"""The story in short, inside whatever runs the module: box, preview, propagate, correct, undo, redo, save, load, go on.

It needs an engine; where none is installed it is skipped, which is not passed. The scene is emptied.
"""

from __future__ import annotations

import logging
import os
import unittest
from collections.abc import Sequence
from typing import Callable

import numpy as np
import slicer

from medsam2_protocol.prompts import BoxPrompt, PointPrompt
from MedSAM2SlicerLib.PanelSelfTest import CENTRE, RADIUS, addBall, ball, openPanel, waitFor, whyNoEngine


def runSelfTest(test) -> None:
    """`test` is the module's unittest case.

    Raises:
        unittest.SkipTest: there is no engine; nothing was tested.
    """
    widget = openPanel()
    if whyNoEngine(widget):
        test.skipTest(f"segmenting, correcting, saving and loading were not tested: {whyNoEngine(widget)}")
    before = ball()
    addBall(widget, before)
    _segmentAndCorrect(test, widget)
    found = _mask(widget)
    _saveAndLoad(test, widget)
    assert np.array_equal(_mask(widget), found), "the segment came back otherwise than it was saved"
    _propagate(widget)
    volumeNode = widget.logic.getParameterNode().volume
    assert np.array_equal(slicer.util.arrayFromVolume(volumeNode), before), "the voxels of the volume were changed"
    test.delayDisplay(f"The box became a segment of {int(_mask(widget).sum())} voxels; it was saved and loaded")


def runParts(test, parts: Sequence[Callable[[], None]]) -> None:
    """Slicer's own way to start a test case knows no skipped tests, so what was not run is said here."""
    for part in parts:
        test.setUp()
        try:
            part()
        except unittest.SkipTest as reason:
            logging.warning("MedSAM2Slicer: not run: %s", reason)
            test.delayDisplay(f"Not run: {reason}")


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
    act()
    waitFor(lambda: not widget.controller.isBusy, "the engine did not answer in time")
