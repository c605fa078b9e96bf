"""A correction with the worker and the model that ship: what it costs, and what it leaves alone."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "MedSAM2Slicer"
CHECKPOINT = MODULE_FOLDER / "Resources" / "Models" / "embedded" / "model.safetensors"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
    pytest.mark.skipif(not CHECKPOINT.is_file(), reason="the embedded checkpoint is not there"),
]


@pytest.fixture
def real(module, monkeypatch):
    """The entered module with the real engine, run by this Python; `ends` has the end of every request."""
    from MedSAM2SlicerLib.EngineProcess import EngineLimits
    from MedSAM2SlicerLib.Environment import VARIABLE, EngineEnvironment

    monkeypatch.setenv(VARIABLE, sys.executable)
    module.engine.environment = EngineEnvironment(MODULE_FOLDER)
    module.engine.limits = EngineLimits()
    module.ends = []
    request = module.engine.request

    def asking(message, on_event, on_end):
        return request(message, on_event, lambda end: (module.ends.append((message, end)), on_end(end)))

    module.engine.request = asking
    return module


@pytest.fixture
def lesion():
    """Voxels KJI in HU: a lesion of radius 12 in softer tissue with noise; and its mask."""
    k, j, i = np.mgrid[:24, :96, :96]
    inside = 9 * (k - 12) ** 2 + (j - 50) ** 2 + (i - 44) ** 2 < 24**2
    noise = np.random.default_rng(3).normal(0, 12, inside.shape)
    return (np.where(inside, 130, 10) + noise).astype(np.int16), inside


def test_one_click_corrects_a_slice_without_encoding_and_leaves_the_rest(
    real, add_volume, lesion, mouse, wait_until, screenshots
):
    import slicer

    from medsam2_protocol.prompts import BoxPrompt, PointPrompt

    def rest():
        wait_until(lambda: not real.controller.isBusy, 250)

    voxels, _truth = lesion
    volume = real.volume = add_volume(voxels)
    real.show(volume)
    slicer.util.resetSliceViews()
    real.controller.onBoxPlaced(BoxPrompt("K", 12, (18.0, 24.0), (70.0, 76.0)))
    rest()
    mouse.key("Space")
    rest()
    before = real.mask(volume)
    states = real.controller.choice.place().now()
    assert {10, 11, 12, 13, 14} <= states.propagated
    assert all(states.evidence[index][0] > 0 for index in (11, 12, 13))
    column = int(np.flatnonzero(before[14, 50])[-1]) - 1
    real.controller.onPromptPlaced(PointPrompt((float(column), 50.0, 14.0), False), "K")
    rest()
    assert real.controller.hasPreview, (real.controller.message, real.engine.log()[-20:])
    mouse.key("Space")
    rest()
    after = real.mask(volume)
    message, end = real.ends[-1]
    assert message.corrected == 14
    assert end.encoded == 0
    np.testing.assert_array_equal(after[:13], before[:13])
    assert (after[14] != before[14]).any()
    assert "Nothing else changed" in real.ui.messageLabel.text
    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(str(screenshots / "real-correction.png"))
    mouse.key("Ctrl+Z")
    rest()
    real.controller.previewing.remove()
    np.testing.assert_array_equal(real.mask(volume), before)
