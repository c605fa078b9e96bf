"""Nothing hangs, nothing is written to the wrong place, and the panel says what happened."""

import os
import signal

import numpy as np
import pytest


@pytest.fixture
def propagating(shown, fake_engine, mouse, wait_until):
    """``propagating(first, later, until=2)``: a run with that many slices done."""

    def start(first="slow", later="normal", until=2):
        shown.engine.environment = fake_engine(first, later)
        shown.controller.setBoxArmed(True)
        mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
        wait_until(lambda: not shown.controller.isBusy)
        assert shown.controller.hasPreview, shown.controller.message
        shown.controller.propagate()
        wait_until(lambda: shown.controller.progress.done >= until or not shown.controller.isBusy)
        return shown

    return start


def ends(module, wait_until):
    wait_until(lambda: not module.controller.isBusy)
    return module.ui.messageLabel.text


def expected_mask(ball):
    expected = ball > 0
    expected[:7] = expected[14:] = False
    return expected


def test_a_worker_killed_in_the_middle_is_restarted_and_the_same_request_succeeds(propagating, wait_until, ball, mouse):
    module, said = propagating("slow", "normal"), []
    changed = module.controller.news.onChanged
    module.controller.news.onChanged = lambda: (changed(), said.append(module.ui.messageLabel.text))
    os.kill(module.engine.pid, signal.SIGKILL)
    assert "Done" in ends(module, wait_until)
    assert any("stopped unexpectedly" in text and "started again" in text for text in said)
    assert "stopped unexpectedly" in module.ui.engineStatusLabel.text
    assert len(module.engine.environment.pids()) == 2
    np.testing.assert_array_equal(module.mask(module.volume), expected_mask(ball))


def test_a_worker_that_hangs_is_restarted_and_the_same_request_succeeds(propagating, wait_until, ball):
    module = propagating("hang", "normal")
    assert "Done" in ends(module, wait_until)
    np.testing.assert_array_equal(module.mask(module.volume), expected_mask(ball))


def test_a_worker_that_dies_each_time_is_given_up_after_the_second(propagating, wait_until):
    module = propagating("crash", "crash")
    assert "stopped unexpectedly" in ends(module, wait_until)
    assert module.controller.isError
    assert len(module.engine.environment.pids()) == 2
    assert module.controller.hasPreview


def test_a_worker_that_talks_nonsense_is_replaced(propagating, wait_until, ball):
    module = propagating("garbage", "normal")
    assert "Done" in ends(module, wait_until)
    np.testing.assert_array_equal(module.mask(module.volume), expected_mask(ball))


def test_cancel_is_obeyed_even_if_the_worker_does_not(propagating, wait_until):
    module = propagating("deaf", "normal")
    module.controller.cancel()
    assert "Cancelled" in ends(module, wait_until)
    assert module.mask(module.volume).any(axis=(1, 2)).sum() == 1


def test_a_failed_run_leaves_the_segment_as_it_was_and_gives_the_reason(propagating, wait_until):
    module = propagating("failed")
    assert "not enough memory" in ends(module, wait_until)
    assert module.mask(module.volume).any(axis=(1, 2)).sum() == 1
    assert module.controller.hasPreview


@pytest.mark.parametrize(("mode", "words"), [("protocol", "speaks protocol"), ("broken", "no torch")])
def test_an_engine_that_cannot_be_used_is_a_sentence_in_the_panel(shown, fake_engine, mouse, wait_until, mode, words):
    shown.engine.environment = fake_engine(mode, mode)
    shown.controller.setBoxArmed(True)
    wait_until(lambda: shown.controller.isError)
    assert words in shown.ui.messageLabel.text
    assert words in shown.ui.engineStatusLabel.text


def test_an_engine_that_is_not_installed_says_what_to_do(shown, monkeypatch, screenshots):
    import slicer

    from MedSAM2SlicerLib.Environment import EngineNotInstalled

    def command():
        raise EngineNotInstalled("The engine is not installed. Choose a Python.")

    monkeypatch.setattr(shown.engine.environment, "command", command)
    shown.controller.setBoxArmed(True)
    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(str(screenshots / "not-installed.png"))
    assert "not installed" in shown.ui.messageLabel.text
    assert "not installed" in shown.ui.engineStatusLabel.text


def test_masks_of_another_volume_are_ignored(propagating, wait_until, ball):
    module = propagating("late")
    assert "Done" in ends(module, wait_until)
    np.testing.assert_array_equal(module.mask(module.volume), expected_mask(ball))


def test_closing_the_scene_while_busy_ends_everything(propagating, wait_until, app, add_volume, ball, mouse):
    import slicer

    module = propagating("slow")
    slicer.mrmlScene.Clear(0)
    assert not module.controller.isBusy
    wait_until(lambda: not module.engine.isBusy)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    module.volume = add_volume(ball, name="second scene")
    module.show(module.volume)
    module.controller.setBoxArmed(True)
    mouse.drag("Red", module.volume, (10, 8, 10), (34, 32, 10))
    assert "Preview" in ends(module, wait_until)


def test_deleting_the_volume_while_busy_ends_the_run_and_keeps_what_was(propagating, wait_until):
    import slicer

    module = propagating("slow")
    segmentation = module.parameters.segmentation
    slicer.mrmlScene.RemoveNode(module.volume)
    assert "deleted" in module.ui.messageLabel.text
    assert not module.controller.isBusy
    wait_until(lambda: not module.engine.isBusy)
    segment = segmentation.GetSegmentation().GetNthSegment(0)
    assert segment.GetRepresentation("Binary labelmap").GetNumberOfPoints() == 0


def test_deleting_the_segmentation_while_busy_ends_the_run(propagating, wait_until):
    import slicer

    module = propagating("slow")
    slicer.mrmlScene.RemoveNode(module.parameters.segmentation)
    assert "deleted" in module.ui.messageLabel.text
    wait_until(lambda: not module.engine.isBusy)
    assert module.parameters.segmentation is None


def test_deleting_the_segment_while_busy_ends_the_run(propagating, wait_until):
    module = propagating("slow")
    module.parameters.segmentation.GetSegmentation().RemoveSegment(module.parameters.segmentId)
    assert "deleted" in ends(module, wait_until)


def test_deleting_the_box_of_a_preview_takes_the_preview_away(shown, mouse, wait_until):
    import slicer

    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not shown.controller.isBusy)
    slicer.mrmlScene.RemoveNode(slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")[0])
    assert not shown.mask(shown.volume).any()
    assert not shown.controller.hasPreview


def test_a_run_goes_on_while_the_user_is_in_another_module(propagating, wait_until, ball):
    module = propagating("slow")
    module.leave()
    ends(module, wait_until)
    np.testing.assert_array_equal(module.mask(module.volume), expected_mask(ball))
    module.enter()


def test_reloading_the_module_while_busy_leaves_no_process(propagating, wait_until):
    import slicer

    from MedSAM2SlicerLib.WorkerRun import WorkerRun

    module = propagating("slow")
    slicer.util.reloadScriptedModule("MedSAM2Slicer")
    wait_until(lambda: WorkerRun.alive == [])
    assert slicer.modules.MedSAM2SlicerWidget is not module.widget
    assert slicer.modules.MedSAM2SlicerWidget.engine.state == "stopped"


def test_choosing_another_volume_takes_the_preview_away(shown, add_volume, ball, mouse, wait_until):
    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not shown.controller.isBusy)
    shown.ui.volumeSelector.setCurrentNode(add_volume(ball, name="other"))
    assert not shown.mask(shown.volume).any()


def test_changed_voxels_are_sent_again(shown, mouse, wait_until, ball):
    import slicer

    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not shown.controller.isBusy)
    voxels = slicer.util.arrayFromVolume(shown.volume)
    voxels[10, :, :25] = 0
    slicer.util.arrayFromVolumeModified(shown.volume)
    shown.controller.propagate()
    assert "Done" in ends(shown, wait_until)
    found = shown.mask(shown.volume)
    assert not found[10, :, :25].any()
    assert found[10].any()


def test_the_worker_opens_the_volume_once_for_several_boxes(shown, mouse, wait_until):
    shown.listen()
    for _ in range(3):
        shown.controller.setBoxArmed(True)
        mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
        wait_until(lambda: not shown.controller.isBusy)
    assert [type(message).__name__ for message in shown.asked] == ["OpenVolume", "Predict", "Predict", "Predict"]


def test_a_hand_edit_after_the_preview_is_never_reverted(shown, mouse, wait_until, ball):
    import slicer

    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not shown.controller.isBusy)
    painted = np.zeros_like(ball, np.uint8)
    painted[3, 3:6, 3:6] = 1
    parameters = shown.parameters
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        painted, parameters.segmentation, parameters.segmentId, shown.volume
    )
    shown.leave()
    np.testing.assert_array_equal(shown.mask(shown.volume), painted)


OBLIQUE = np.array([[0.28, -0.56, 1.9, 20], [0.26, 0.59, 1.5, -7], [-0.6, 0.0, 1.75, 11], [0, 0, 0, 1]], float)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("view", ["Red", "Green", "Yellow"])
@pytest.mark.parametrize("flip", [1, -1], ids=["right-handed", "left-handed"])
def test_a_box_drawn_in_any_view_of_an_oblique_moved_volume_hits_its_voxels(
    module, add_volume, scene, mouse, wait_until, axis, view, flip
):
    """The view shows slices of the axis (of IJK), turned within its plane."""
    from MedSAM2SlicerLib.Geometry import VolumeFrame, vtkMatrix
    from MedSAM2SlicerLib.PromptMarkups import readPrompt

    directions, _ = np.linalg.qr(OBLIQUE[:3, :3])
    affine = np.eye(4)
    affine[:3, :3] = directions * (0.8, 0.8 * flip, 2.0)
    affine[:3, 3] = (20, -7, 11)
    volume = add_volume(np.full((20, 40, 44), 100, np.int16), affine)
    parent = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    parent.SetMatrixTransformToParent(
        vtkMatrix(np.array([[0.8, 0.6, 0, 5], [-0.6, 0.8, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]]))
    )
    volume.SetAndObserveTransformNodeID(parent.GetID())
    module.volume = volume
    module.show(volume)
    from_ijk, to_ijk = np.array([12.0, 11, 6]), np.array([31.0, 27, 13])
    from_ijk[axis] = to_ijk[axis] = 9
    turn_view_to(view, VolumeFrame(volume), axis)
    module.controller.setBoxArmed(True)
    mouse.drag(view, volume, from_ijk, to_ijk)
    wait_until(lambda: not module.controller.isBusy)
    assert module.controller.hasPreview, module.controller.message
    box = readPrompt(module.controller.previewing.promptNode)
    assert (box.axis, box.slice) == ("IJK"[axis], 9)
    drawn = [np.delete(from_ijk, axis), np.delete(to_ijk, axis)]
    assert np.abs(np.array([box.min, box.max]) - drawn).max() <= 0.5
    reset_view(view)


def turn_view_to(name, frame, axis):
    import slicer

    from MedSAM2SlicerLib.Geometry import vtkMatrix

    node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
    centre = frame.worldFromIjk(np.where(np.arange(3) == axis, 9, [21.5, 19.5, 9.5])[np.newaxis])[0]
    steps = frame.worldFromIjk(np.eye(3)) - frame.worldFromIjk(np.zeros((1, 3)))
    columns = [steps[(axis + 1) % 3], steps[(axis + 2) % 3]]
    x = columns[0] / np.linalg.norm(columns[0])
    y = columns[1] / np.linalg.norm(columns[1])
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([x, y, np.cross(x, y)], axis=1)
    matrix[:3, 3] = centre
    node.SetFieldOfView(60, 60 * node.GetDimensions()[1] / node.GetDimensions()[0], 1)
    node.GetSliceToRAS().DeepCopy(vtkMatrix(matrix))
    node.UpdateMatrices()
    slicer.app.processEvents()


def reset_view(name):
    import slicer

    node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
    node.SetOrientation({"Red": "Axial", "Green": "Coronal", "Yellow": "Sagittal"}[name])


@pytest.mark.parametrize("end", ["done", "cancelled"])
def test_slices_edited_by_hand_during_a_propagation_are_kept(shown, fake_engine, ball, mouse, wait_until, end):
    import slicer

    shown.engine.environment = fake_engine("slow" if end == "done" else "patient")
    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not shown.controller.isBusy)
    shown.controller.propagate()
    wait_until(lambda: shown.controller.progress.done >= 2)
    edited = shown.mask(shown.volume)
    edited[[7, 13], 2:6, 2:6] = 1
    parameters = shown.parameters
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        edited, parameters.segmentation, parameters.segmentId, shown.volume
    )
    if end == "cancelled":
        shown.controller.cancel()
    wait_until(lambda: not shown.controller.isBusy)
    found = shown.mask(shown.volume)
    np.testing.assert_array_equal(found[[7, 13]], edited[[7, 13]])
    if end == "done":
        np.testing.assert_array_equal(found[8:13], ball[8:13] > 100)
        assert {7, 13} <= shown.controller.choice.place().now().edited
