"""The same story with the worker and the model that ship: slow to start, so only what needs them."""

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
    """The entered module with the real engine, run by this Python."""
    from MedSAM2SlicerLib.EngineProcess import EngineLimits
    from MedSAM2SlicerLib.Environment import VARIABLE, EngineEnvironment

    monkeypatch.setenv(VARIABLE, sys.executable)
    module.engine.environment = EngineEnvironment(MODULE_FOLDER)
    module.engine.limits = EngineLimits()
    return module


@pytest.fixture
def lesion():
    """Voxels KJI in HU: a lesion of radius 12 in softer tissue with noise; and its mask."""
    k, j, i = np.mgrid[:24, :96, :96]
    inside = 9 * (k - 12) ** 2 + (j - 50) ** 2 + (i - 44) ** 2 < 24**2
    noise = np.random.default_rng(3).normal(0, 12, inside.shape)
    return (np.where(inside, 130, 10) + noise).astype(np.int16), inside


def test_a_box_becomes_a_segment_with_the_embedded_model(real, add_volume, lesion, mouse, wait_until, screenshots):
    import slicer

    voxels, truth = lesion
    volume = real.volume = add_volume(voxels)
    real.show(volume)
    slicer.util.resetSliceViews()
    real.controller.setBoxArmed(True)
    mouse.drag("Red", volume, (18, 24, 12), (70, 76, 12))
    wait_until(lambda: not real.controller.isBusy, 120)
    assert real.controller.hasPreview, (real.controller.message, real.engine.log()[-20:])
    real.ui.propagateButton.click()
    wait_until(lambda: not real.controller.isBusy, 200)
    assert "Done" in real.ui.messageLabel.text
    real.ui.engineButton.collapsed = False
    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(str(screenshots / "real.png"))
    found = real.mask(volume) > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.7
    assert "torch" not in sys.modules
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), voxels)


def test_the_self_test_passes(real):
    import slicer

    slicer.modules.MedSAM2SlicerWidget.engine.environment = real.engine.environment
    slicer.selfTests["MedSAM2Slicer"]()
