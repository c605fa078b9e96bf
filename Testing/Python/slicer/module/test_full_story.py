"""One sitting of one person, with the worker and the model that ship, compared voxel by voxel at every step."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "MedSAM2Slicer"
CHECKPOINT = MODULE_FOLDER / "Resources" / "Models" / "embedded" / "model.safetensors"
OWN_PACKAGES = ("MedSAM2SlicerLib", "medsam2_protocol")
PATIENCE_S = 300

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
    pytest.mark.skipif(not CHECKPOINT.is_file(), reason="the embedded checkpoint is not there"),
]


@pytest.fixture(autouse=True)
def packages_put_back():
    """A reload reads our packages again; tests that come later know those of before."""
    from MedSAM2SlicerLib import Geometry  # noqa: F401

    before = {name: found for name, found in sys.modules.items() if name.partition(".")[0] in OWN_PACKAGES}
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN_PACKAGES]:
        del sys.modules[name]
    sys.modules.update(before)


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
def lesions():
    """Voxels KJI in HU: two lesions in softer tissue with noise; and the mask of each."""
    k, j, i = np.mgrid[:24, :96, :96]
    large = 9 * (k - 12) ** 2 + (j - 36) ** 2 + (i - 34) ** 2 < 20**2
    small = 9 * (k - 13) ** 2 + (j - 70) ** 2 + (i - 68) ** 2 < 13**2
    noise = np.random.default_rng(3).normal(0, 12, large.shape)
    return (np.where(large | small, 130, 10) + noise).astype(np.int16), large, small


class Person:
    """What a person does and sees."""

    def __init__(self, module, mouse, wait_until):
        self.module, self.mouse, self._wait_until = module, mouse, wait_until

    def rest(self):
        self._wait_until(lambda: not self.module.controller.isBusy, PATIENCE_S)

    def show_slice(self, index):
        import slicer

        from MedSAM2SlicerLib.Geometry import VolumeFrame

        at = VolumeFrame(self.module.volume).worldFromIjk(np.array([[48.0, 48.0, float(index)]]))[0]
        slicer.modules.markups.logic().JumpSlicesToLocation(*[float(value) for value in at], False)
        slicer.app.processEvents()

    def draw_box(self, index, from_ij, to_ij):
        self.show_slice(index)
        self.mouse.key("B")
        self.mouse.drag("Red", self.module.volume, (*from_ij, index), (*to_ij, index))
        self.rest()
        assert self.module.controller.hasPreview, (self.module.controller.message, self.module.engine.log()[-20:])

    def click(self, index, ij):
        self.show_slice(index)
        self.mouse.key("P")
        self.mouse.click("Red", self.module.volume, (*ij, index))
        self.mouse.key("P")
        self.rest()

    def press(self, key):
        self.mouse.key(key)
        self.rest()

    def propagate(self):
        self.press("Space")
        assert "Done" in self.module.ui.messageLabel.text, self.module.ui.messageLabel.text

    def correct(self):
        """Only what the new prompts change."""
        self.press("Space")
        assert "Recomputed" in self.module.ui.messageLabel.text, self.module.ui.messageLabel.text

    def segment(self):
        """Without a preview in it."""
        self.module.controller.previewing.stop()
        return self.module.mask(self.module.volume)


@pytest.fixture
def person(real, mouse, wait_until):
    return Person(real, mouse, wait_until)


def dice(found, truth):
    return 2 * ((found > 0) & truth).sum() / ((found > 0).sum() + truth.sum())


def test_from_the_first_box_to_the_next_day(real, person, add_volume, lesions, tmp_path, app):
    import slicer

    voxels, large, small = lesions
    volume = real.volume = add_volume(voxels.copy())
    real.show(volume)
    stamp, display = volume.GetImageData().GetMTime(), volume.GetDisplayNode()
    window = (display.GetWindow(), display.GetLevel())

    # box → preview: that slice and no other
    person.draw_box(12, (11, 13), (57, 59))
    shown = real.mask(volume)
    assert np.flatnonzero(shown.any(axis=(1, 2))).tolist() == [12]

    # → propagate
    person.propagate()
    first = real.mask(volume)
    assert dice(first, large) > 0.7

    # → correct with a click: nothing changes up to the prompt before it
    person.click(14, (34, 36))
    person.correct()
    corrected = person.segment()
    assert dice(corrected, large) > 0.7
    np.testing.assert_array_equal(corrected[:13], first[:13])

    # → undo, to the voxel, and redo, to the voxel
    person.press("Ctrl+Z")
    np.testing.assert_array_equal(person.segment(), first)
    person.press("Ctrl+Y")
    np.testing.assert_array_equal(person.segment(), corrected)

    # another lesion, beside it
    real.ui.addSegmentButton.click()
    person.draw_box(13, (53, 55), (83, 85))
    person.propagate()
    second = real.mask(volume)
    assert dice(second, small) > 0.6
    ids = list(real.parameters.segmentation.GetSegmentation().GetSegmentIDs())
    assert len(ids) == 2

    # → save → close → load
    path = str(tmp_path / "sitting.mrb")
    assert slicer.util.saveScene(path)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), voxels)
    assert volume.GetImageData().GetMTime() == stamp
    assert (display.GetWindow(), display.GetLevel()) == window
    slicer.mrmlScene.Clear(0)
    app.processEvents()
    assert not real.controller.canUndo
    slicer.util.loadScene(path)
    app.processEvents()
    real.widget.enter()
    volume = real.volume = real.parameters.volume
    real.show(volume)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), voxels)
    np.testing.assert_array_equal(real.mask(volume), second)
    real.controller.chooseSegment(ids[0])
    np.testing.assert_array_equal(real.mask(volume), corrected)
    assert len(real.controller.promptNodes()) == 2

    # → continue: another prompt on the first lesion; the second one stays as it is
    person.click(10, (34, 36))
    person.correct()
    np.testing.assert_array_equal(person.segment()[12:], corrected[12:])
    assert dice(person.segment(), large) > 0.7
    assert len(real.controller.promptNodes()) == 3
    real.controller.chooseSegment(ids[1])
    np.testing.assert_array_equal(real.mask(volume), second)
    assert "torch" not in sys.modules


def test_the_module_reloaded_in_the_middle_goes_on(real, person, add_volume, lesions, monkeypatch):
    import slicer

    from MedSAM2SlicerLib.Environment import EngineEnvironment

    voxels, large, _small = lesions
    volume = real.volume = add_volume(voxels)
    real.show(volume)
    person.draw_box(12, (11, 13), (57, 59))
    real.widget.onReload()
    again = slicer.modules.MedSAM2SlicerWidget
    assert again is not real.widget
    again.engine.environment = EngineEnvironment(MODULE_FOLDER)
    real.widget, real.ui, real.controller, real.engine = again, again.ui, again.controller, again.engine
    assert not real.mask(volume).any()
    assert len(real.controller.promptNodes()) == 1
    person.propagate()
    assert dice(real.mask(volume), large) > 0.7
