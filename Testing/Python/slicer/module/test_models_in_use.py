"""Models that come and go while somebody works, with the engine that ships: no prompt is lost."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from weights_on_disk import adapter_in

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "MedSAM2Slicer"
EMBEDDED = MODULE_FOLDER / "Resources" / "Models" / "embedded" / "model.safetensors"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
    pytest.mark.skipif(not EMBEDDED.is_file(), reason="the embedded checkpoint is not there"),
]


@pytest.fixture
def working(module, add_volume, mouse, wait_until, monkeypatch, tmp_path):
    """A preview of the embedded model is shown, and the list of models is open."""
    import slicer

    from MedSAM2SlicerLib.EngineLists import SETTING
    from MedSAM2SlicerLib.EngineProcess import EngineLimits
    from MedSAM2SlicerLib.Environment import EngineEnvironment

    monkeypatch.setenv("MEDSAM2_ENGINE_PYTHON", sys.executable)
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))
    module.engine.environment = EngineEnvironment(MODULE_FOLDER)
    module.engine.limits = EngineLimits()
    k, j, i = np.mgrid[:12, :64, :64]
    inside = 9 * (k - 6) ** 2 + (j - 32) ** 2 + (i - 32) ** 2 < 16**2
    noise = np.random.default_rng(3).normal(0, 12, inside.shape)
    module.volume = add_volume((np.where(inside, 130, 10) + noise).astype(np.int16))
    module.show(module.volume)
    module.ui.boxButton.click()
    mouse.drag("Red", module.volume, (14, 14, 6), (50, 50, 6))
    wait_until(lambda: not module.controller.isBusy, 120)
    assert module.controller.hasPreview, module.ui.messageLabel.text
    module.models = module.widget.engineSection.modelPanel
    module.ui.engineButton.collapsed = False
    module.models.ui.modelsGroup.collapsed = False
    module.rest = lambda: wait_until(lambda: idle(module), 120)
    module.rest()
    yield module
    slicer.app.settings().remove(SETTING)


def idle(module):
    return not module.controller.isBusy and not module.widget.engineSection.commands.action


def add_adapter(working, folder):
    """One that is added, chosen and used without leaving the panel."""
    ui = working.models.ui
    ui.addButton.click()
    ui.addPath.setCurrentPath(str(adapter_in(folder) / "adapter_config.json"))
    working.models._form.onPathChosen()
    working.rest()
    ui.nameEdit.text = "Our adapter"
    ui.addNowButton.click()
    working.rest()


def test_an_adapter_is_added_chosen_used_and_removed_and_no_prompt_is_lost(working, tmp_path):
    ui = working.models.ui
    pid = working.engine.pid
    add_adapter(working, tmp_path / "lora")
    assert working.ui.modelSelector.findText("Our adapter") >= 0
    working.models.showModel("our-adapter")
    ui.useButton.click()
    working.rest()
    assert working.parameters.model == "our-adapter"
    assert "Preview of slice" in working.ui.messageLabel.text
    assert working.engine.pid == pid  # it did not have to start anew
    ui.deleteButton.click()
    ui.agreeButton.click()
    working.rest()
    assert ui.statusLabel.text == "Our adapter was deleted."
    assert "does not know our-adapter" in working.ui.modelLineLabel.text
    assert len(working.controller.promptNodes()) == 1
    working.ui.propagateButton.click()
    working.rest()
    assert working.ui.remedyButton.text == "Use the embedded model"
    working.ui.remedyButton.click()
    working.rest()
    assert "Done" in working.ui.messageLabel.text, working.ui.messageLabel.text
    assert len(working.controller.promptNodes()) == 1


def test_a_model_is_not_deleted_under_a_propagation(working, tmp_path):
    ui = working.models.ui
    add_adapter(working, tmp_path / "lora")
    working.models.showModel("our-adapter")
    working.ui.propagateButton.click()
    ui.deleteButton.click()
    ui.agreeButton.click()
    assert ui.statusLabel.text.startswith("Wait for the propagation")
    working.rest()
    assert "Done" in working.ui.messageLabel.text
    assert (tmp_path / "models" / "our-adapter").is_dir()
