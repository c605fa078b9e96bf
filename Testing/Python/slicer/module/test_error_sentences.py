"""Everything that can go wrong for a person, line by line: a sentence in the panel that says what to do next, with a
button beside it where the panel can do it, no dialog, and every prompt kept.
"""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "MedSAM2Slicer"
HAS_TORCH = importlib.util.find_spec("torch") is not None


@pytest.fixture
def shown(module, add_volume, ball):
    """The entered module with a volume in all views; afterwards the lists of the fake engine are forgotten."""
    import slicer

    from MedSAM2SlicerLib.EngineLists import SETTING

    module.volume = add_volume(ball)
    module.show(module.volume)
    yield module
    slicer.app.settings().remove(SETTING)


@pytest.fixture
def at(shown, fake_engine, mouse, wait_until, monkeypatch, tmp_path):
    return Desk(shown, fake_engine, mouse, wait_until, monkeypatch, tmp_path)


class Desk:
    """What a person does, and what they then read."""

    def __init__(self, module, fake_engine, mouse, wait_until, monkeypatch, folder):
        self.module, self.ui, self.controller = module, module.ui, module.controller
        self.fake_engine, self.mouse, self.monkeypatch, self.folder = fake_engine, mouse, monkeypatch, folder
        self._wait_until = wait_until

    def engine(self, first, later=None):
        self.module.engine.environment = self.fake_engine(first, later or first)

    def python(self, path):
        """The engine as it ships, run by this Python."""
        from MedSAM2SlicerLib.Environment import EngineEnvironment

        self.monkeypatch.setenv("MEDSAM2_ENGINE_PYTHON", str(path))
        self.module.engine.environment = EngineEnvironment(MODULE_FOLDER)

    def arm(self):
        self.ui.boxButton.click()
        self.wait(lambda: self.controller.isError or self.module.engine.state == "ready")

    def draw(self, from_ijk=(10, 8, 10), to_ijk=(34, 32, 10)):
        self.ui.boxButton.click()
        self.mouse.drag("Red", self.module.volume, from_ijk, to_ijk)
        self.rest()

    def propagate(self):
        self.ui.propagateButton.click()
        self.rest()

    def rest(self):
        self.wait(lambda: not self.controller.isBusy)

    def wait(self, condition, timeout_s=90):
        self._wait_until(condition, timeout_s)

    def remedy(self):
        self.ui.remedyButton.click()
        self.rest()

    @property
    def prompts(self):
        return len(self.controller.promptNodes())


def not_installed(at):
    from MedSAM2SlicerLib.Environment import EngineEnvironment

    at.python("")
    at.monkeypatch.setattr(EngineEnvironment, "named", lambda self: None)
    at.arm()


def python_is_gone(at):
    at.python("/nowhere/python")
    at.arm()


def environment_is_broken(at):
    broken = at.folder / "python"
    broken.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'torch'\" >&2\nexit 1\n")
    broken.chmod(0o755)
    at.python(broken)
    at.arm()


def no_program(at):
    text = at.folder / "python"
    text.write_text("this is no program")
    text.chmod(0o755)
    at.python(text)
    at.arm()


def another_version(at):
    at.engine("protocol")
    at.arm()


def worker_dies(at):
    at.engine("crash")
    at.draw()
    at.propagate()


def worker_hangs(at):
    at.module.engine.limits = replace(at.module.engine.limits, pong_s=1.0)
    at.engine("hang")
    at.draw()
    at.propagate()


def worker_talks_nonsense(at):
    at.engine("garbage")
    at.draw()
    at.propagate()


def no_memory_for_the_model(at):
    at.engine("memory")
    at.module.parameters.model = "large"
    at.draw()


def no_memory_on_the_gpu_either(at):
    at.engine("memory")
    at.module.parameters.model, at.module.parameters.device = "large", "cuda"
    at.draw()


def no_memory_for_the_smallest_model(at):
    at.engine("full")
    at.module.parameters.device = "cpu"
    at.draw()


def no_memory_at_all(at):
    at.engine("failed")
    at.module.parameters.device = "cpu"
    at.draw()
    at.propagate()


def no_object_on_the_slice(at):
    at.engine("empty")
    at.draw()


def no_object_anywhere(at):
    at.engine("empty")
    at.draw()
    at.propagate()


def box_outside(at):
    import slicer

    view = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    width, height, depth = view.GetFieldOfView()
    view.SetFieldOfView(2 * width, 2 * height, depth)
    at.draw((46, 8, 10), (52, 32, 10))


def prompt_moved_outside(at):
    at.draw()
    at.controller.promptNodes()[0].SetCenter(500, 500, 500)
    at.wait(lambda: at.controller.isError)


def too_small_a_box(at):
    at.draw((20, 20, 10), (20, 20, 10))


def no_volume(at):
    at.ui.volumeSelector.setCurrentNode(None)
    at.ui.boxButton.click()


def no_voxels(at):
    import slicer

    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    at.ui.volumeSelector.setCurrentNode(empty)
    at.ui.boxButton.click()


def several_values_per_voxel(at):
    """A scalar volume node can hold them; nodes for vectors are not offered at all."""
    import slicer
    from vtk.util.numpy_support import numpy_to_vtk

    colours = at.module.volume.GetImageData().NewInstance()
    colours.DeepCopy(at.module.volume.GetImageData())
    count = colours.GetNumberOfPoints()
    colours.GetPointData().SetScalars(numpy_to_vtk(np.zeros((count, 3), np.uint8), deep=True))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Photograph")
    node.SetAndObserveImageData(colours)
    at.ui.volumeSelector.setCurrentNode(node)
    at.ui.boxButton.click()
    at.wait(lambda: at.controller.isError)


def bent_differently(at):
    """The segmentation stays where it is, and the volume is bent."""
    import slicer
    import vtk

    at.draw()
    spline = vtk.vtkThinPlateSplineTransform()
    points, moved = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        points.InsertNextPoint(*[20.0 * value for value in corner])
        moved.InsertNextPoint(*[20.0 * value + 3.0 * corner[0] * corner[1] for value in corner])
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(moved)
    spline.SetBasisToR()
    bend = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Bend")
    bend.SetAndObserveTransformToParent(spline)
    at.module.volume.SetAndObserveTransformNodeID(bend.GetID())
    at.propagate()


def nothing_to_start_from(at):
    at.mouse.key("Space")


LINES = [
    # what happens, what the person reads, the button beside it
    (not_installed, "The engine is not installed. Install it in the section Engine", "Install the engine…"),
    (python_is_gone, "There is no Python at /nowhere/python", "Install the engine…"),
    (environment_is_broken, "No module named 'torch'). Check the Engine Python", "Check the engine"),
    (no_program, "). Install the engine, or choose another Python, in the section", "Check the engine"),
    (another_version, "speaks protocol", "Repair the engine…"),
    (worker_dies, "The engine stopped unexpectedly. Your prompts are kept: try again.", "Try again"),
    (worker_hangs, "The engine hung and was stopped. Your prompts are kept: try again.", "Try again"),
    (worker_talks_nonsense, "Your prompts are kept: try again.", "Try again"),
    (no_memory_for_the_model, "There is not enough memory. Choose a smaller model, or close", "Use Medium model"),
    (no_memory_on_the_gpu_either, "neither on the GPU nor on the CPU, which was tried after it", "Use Medium model"),
    (no_memory_for_the_smallest_model, "This is the smallest model: close other programs, or work on a", "Try again"),
    (no_memory_at_all, "There is not enough memory. This is the smallest model: close other", "Try again"),
    (no_object_on_the_slice, "Nothing was found with these prompts. Move or delete one, or add another.", ""),
    (no_object_anywhere, "Nothing was found on any slice, and the segment is as it was before. Move the prompts", ""),
    (box_outside, "The box lies outside CT. Draw it over the image.", ""),
    (prompt_moved_outside, "The prompt lies outside the volume. Move it back or make another one.", ""),
    (too_small_a_box, "Press at one corner of the box, drag to the opposite corner and release.", ""),
    (no_volume, "Choose a volume first.", ""),
    (no_voxels, "Nothing has no voxels. Choose another volume.", ""),
    (
        several_values_per_voxel,
        "Photograph has several values per voxel, as colour and vector volumes have. Make a",
        "",
    ),
    (bent_differently, "are under different non-linear transforms. Put both under the same.", ""),
    (nothing_to_start_from, "Draw a box around the object first (B), or click into it (P).", ""),
]


@pytest.mark.parametrize(("happens", "words", "remedy"), LINES, ids=[line[0].__name__ for line in LINES])
def test_what_goes_wrong_is_a_sentence_in_the_panel_with_what_to_do_next(at, happens, words, remedy):
    import qt

    happens(at)
    assert words in at.ui.messageLabel.text
    assert "color" in at.ui.messageLabel.styleSheet
    assert at.ui.remedyButton.text == remedy
    assert at.ui.remedyButton.isHidden() == (not remedy)
    assert qt.QApplication.activeModalWidget() is None
    assert at.module.engine.state in ("stopped", "ready", "starting")


# ---- what the buttons do


def test_install_opens_the_section_at_its_question_and_installs_nothing(at):
    not_installed(at)
    at.ui.remedyButton.click()
    panel = at.module.widget.engineSection.enginePanel
    assert not at.ui.engineButton.collapsed
    assert panel.ui.confirmationFrame.visible
    assert at.module.widget.engineSection.installer.state != "working"


def test_check_says_in_the_section_what_is_wrong_with_the_environment(at):
    environment_is_broken(at)
    at.ui.remedyButton.click()
    section = at.module.widget.engineSection
    at.wait(lambda: section.installer.state != "working")
    assert not at.ui.engineButton.collapsed
    assert "No module named 'torch'" in section.enginePanel.ui.statusLabel.text


def test_try_again_asks_the_same_with_the_prompts_that_are_there(at):
    worker_dies(at)
    at.engine("normal")
    at.remedy()
    assert "Done" in at.ui.messageLabel.text
    assert at.prompts == 1
    assert at.ui.remedyButton.isHidden()


def test_without_memory_the_model_gets_smaller_step_by_step_among_those_that_are_installed(at):
    no_memory_for_the_model(at)
    at.remedy()
    assert at.module.parameters.model == "medium"
    assert at.ui.remedyButton.text == "Use the embedded model"
    at.remedy()
    assert at.module.parameters.model == "embedded"
    assert "Preview of slice" in at.ui.messageLabel.text
    assert at.module.parameters.device == "auto"
    assert at.prompts == 1


def test_without_memory_for_the_smallest_model_it_can_be_tried_again_once_there_is_some(at):
    no_memory_for_the_smallest_model(at)
    assert "CPU" not in at.ui.messageLabel.text
    at.remedy()
    assert at.ui.remedyButton.text == "Try again"
    at.module.engine.stop()
    at.engine("normal")
    at.remedy()
    assert "Preview of slice" in at.ui.messageLabel.text
    assert (at.module.parameters.device, at.prompts) == ("cpu", 1)


def test_a_propagation_without_memory_goes_on_as_a_propagation(at):
    at.engine("memory")
    at.module.parameters.device = "cpu"
    at.draw()
    at.module.parameters.model = "large"
    at.propagate()
    at.remedy()
    at.remedy()
    assert at.module.parameters.model == "embedded"
    assert "Done" in at.ui.messageLabel.text


def test_the_button_goes_with_its_sentence(at):
    worker_dies(at)
    at.ui.boxButton.click()
    assert at.ui.remedyButton.isHidden()


def test_a_prompt_deleted_meanwhile_is_not_asked_for_again(at):
    no_memory_for_the_model(at)
    at.controller.removePrompt(at.controller.promptNodes()[0])
    at.remedy()
    assert not at.controller.isError


def test_nothing_found_anywhere_leaves_the_segment_and_nothing_to_undo(at):
    at.draw()
    at.propagate()
    before = at.module.mask(at.module.volume)
    at.module.engine.stop()
    at.engine("empty")
    at.propagate()
    np.testing.assert_array_equal(at.module.mask(at.module.volume), before)


# ---- the engine that ships


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
@pytest.mark.parametrize(
    ("field", "value", "words", "remedy"),
    [
        ("model", "sam2.1-tiny", "is not installed. Download it, or add it from a disk.", "Use the embedded model"),
        ("device", "mps", "cannot be used here", "Let the engine choose the device"),
    ],
)
def test_a_choice_that_this_computer_does_not_have_is_one_click_from_one_that_works(at, field, value, words, remedy):
    from MedSAM2SlicerLib.EngineProcess import EngineLimits

    at.python(sys.executable)
    at.monkeypatch.setenv("MEDSAM2_MODELS", str(at.folder / "models"))
    at.module.engine.limits = EngineLimits()
    setattr(at.module.parameters, field, value)
    at.draw()
    assert words in at.ui.messageLabel.text
    assert "`" not in at.ui.messageLabel.text
    assert at.ui.remedyButton.text == remedy
    at.remedy()
    assert at.controller.hasPreview, at.ui.messageLabel.text
    assert at.prompts == 1


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_one_slice_of_wide_integers_is_a_volume_like_any_other(at, add_volume, ball):
    from MedSAM2SlicerLib.EngineProcess import EngineLimits

    at.python(sys.executable)
    at.module.engine.limits = EngineLimits()
    at.module.volume = add_volume(np.ascontiguousarray(ball[10:11].astype(np.int32)), name="X-ray")
    at.module.show(at.module.volume)
    at.draw((10, 8, 0), (34, 32, 0))
    at.propagate()
    assert "the lesion is on K0. " in at.ui.messageLabel.text
