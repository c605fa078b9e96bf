"""A person at the panel: mouse and keys in, voxels out. The engine is the fake one."""

import sys

import numpy as np
import pytest


@pytest.fixture
def shown(module, add_volume, ball):
    """The entered module with the ball chosen and in the views."""
    module.volume = add_volume(ball)
    module.show(module.volume)
    return module


def idle(module):
    return lambda: not module.controller.isBusy


def preview(module, mouse, wait_until, view="Red", from_ijk=(10, 8, 10), to_ijk=(34, 32, 10)):
    module.controller.setBoxArmed(True)
    mouse.drag(view, module.volume, from_ijk, to_ijk)
    wait_until(idle(module))
    assert module.controller.hasPreview, module.controller.message


def propagated(module, mouse, wait_until, **box):
    preview(module, mouse, wait_until, **box)
    module.controller.propagate()
    wait_until(idle(module))


def test_a_box_in_the_red_view_previews_its_slice_and_propagates(shown, mouse, wait_until, ball, screenshots):
    import slicer

    mouse.key("B")
    assert shown.ui.boxButton.checked
    mouse.press("Red", shown.volume, (10, 8, 10))
    mouse.move("Red", shown.volume, (34, 32, 10))
    slicer.util.mainWindow().grab().save(str(screenshots / "drawing.png"))
    mouse.release("Red", shown.volume, (34, 32, 10))
    wait_until(idle(shown))
    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(str(screenshots / "preview.png"))
    assert not shown.ui.boxButton.checked
    assert np.flatnonzero(shown.mask(shown.volume).any(axis=(1, 2))).tolist() == [10]
    mouse.key("Space")
    wait_until(idle(shown))
    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(str(screenshots / "done.png"))
    expected = ball > 0
    expected[:7] = expected[14:] = False
    np.testing.assert_array_equal(shown.mask(shown.volume), expected)
    assert "the lesion is on K7 to K13." in shown.ui.messageLabel.text


def test_the_ends_that_are_to_be_checked_are_those_of_the_lesion(shown, mouse, wait_until, ball):
    """The engine looked further than it found anything."""
    import slicer

    last = int(np.flatnonzero((ball > 0).any(axis=(1, 2)))[-1])
    assert last + 2 < len(ball)
    slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().SetSliceOffset(last - 1)  # mm apart, from 0
    propagated(shown, mouse, wait_until, from_ijk=(10, 8, last - 1), to_ijk=(34, 32, last - 1))
    assert f"the lesion is on K{last - 4} to K{last}. " in shown.ui.messageLabel.text


@pytest.mark.parametrize(
    ("view", "from_ijk", "to_ijk", "axis"),
    [("Green", (10, 20, 3), (34, 20, 17), 1), ("Yellow", (22, 8, 3), (22, 32, 17), 2)],
)
def test_a_box_in_another_view_propagates_along_its_own_axis(
    shown, mouse, wait_until, ball, view, from_ijk, to_ijk, axis
):
    import slicer

    world = [from_ijk[0], from_ijk[1], 10]
    slicer.modules.markups.logic().JumpSlicesToLocation(*[float(value) for value in world], False)
    propagated(shown, mouse, wait_until, view=view, from_ijk=from_ijk, to_ijk=to_ijk)
    centre = from_ijk[2 - axis]
    slices = np.flatnonzero(shown.mask(shown.volume).any(axis=tuple({0, 1, 2} - {axis})))
    assert slices.tolist() == list(range(centre - 3, centre + 4))


def test_slices_arrive_while_the_progress_bar_moves(shown, fake_engine, mouse, wait_until, screenshots):
    import slicer

    shown.engine.environment = fake_engine("slow")
    preview(shown, mouse, wait_until)
    shown.controller.propagate()
    wait_until(lambda: shown.controller.progress.done >= 3)
    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(str(screenshots / "propagating.png"))
    assert shown.ui.progressBar.visible
    assert 3 <= shown.ui.progressBar.value < 7
    assert shown.mask(shown.volume).any(axis=(1, 2)).sum() >= 3
    assert "computing" in shown.ui.engineStatusLabel.text
    wait_until(idle(shown))


def test_cancel_puts_the_preview_back(shown, fake_engine, mouse, wait_until):
    shown.engine.environment = fake_engine("slow")
    preview(shown, mouse, wait_until)
    before = shown.mask(shown.volume)
    shown.controller.propagate()
    wait_until(lambda: shown.controller.progress.done >= 2)
    mouse.key("Esc")
    wait_until(idle(shown))
    assert "Cancelled" in shown.ui.messageLabel.text
    np.testing.assert_array_equal(shown.mask(shown.volume), before)
    assert shown.controller.hasPreview


def test_discarding_a_preview_empties_the_segment_and_removes_its_box(shown, mouse, wait_until):
    import slicer

    preview(shown, mouse, wait_until)
    mouse.key("Esc")
    assert not shown.mask(shown.volume).any()
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsROINode") == []
    assert not shown.ui.cancelButton.enabled


def test_a_preview_looks_fainter_than_a_result(shown, mouse, wait_until):
    preview(shown, mouse, wait_until)
    display, segment = shown.parameters.segmentation.GetDisplayNode(), shown.parameters.segmentId
    faint = display.GetSegmentOpacity2DFill(segment)
    shown.controller.propagate()
    wait_until(idle(shown))
    assert faint < display.GetSegmentOpacity2DFill(segment) == 1.0


def test_a_second_box_on_the_same_slice_replaces_the_first(shown, mouse, wait_until):
    import slicer

    preview(shown, mouse, wait_until)
    preview(shown, mouse, wait_until, from_ijk=(16, 14, 10), to_ijk=(28, 26, 10))
    assert len(slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")) == 1
    assert shown.mask(shown.volume)[10, 20, 10:34].sum() <= 13


def test_moving_an_edge_of_the_box_gives_a_new_preview(shown, mouse, wait_until):
    import slicer

    preview(shown, mouse, wait_until)
    before = shown.mask(shown.volume).sum()
    roi = slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")[0]
    roi.SetSize(8, 8, 1)
    wait_until(lambda: shown.controller.isBusy)
    wait_until(idle(shown))
    assert 0 < shown.mask(shown.volume).sum() < before


def test_moving_a_box_of_an_earlier_slice_previews_that_slice(shown, mouse, wait_until):
    import slicer

    preview(shown, mouse, wait_until)
    first = shown.controller.previewing.promptNode
    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, 12.0, False)
    preview(shown, mouse, wait_until, from_ijk=(10, 8, 12), to_ijk=(34, 32, 12))
    first.SetSize(8, 8, 1)
    wait_until(lambda: shown.controller.isBusy)
    wait_until(idle(shown))
    assert np.flatnonzero(shown.mask(shown.volume).any(axis=(1, 2))).tolist() == [10]


def test_a_propagation_uses_the_boxes_of_all_slices(shown, mouse, wait_until):
    import slicer

    asked = []
    request = shown.engine.request
    shown.engine.request = lambda message, *rest: (asked.append(message), request(message, *rest))[1]
    preview(shown, mouse, wait_until)
    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, 12.0, False)
    propagated(shown, mouse, wait_until, from_ijk=(10, 8, 12), to_ijk=(34, 32, 12))
    assert [box.slice for box in asked[-1].segments[0].prompts] == [10, 12]


def test_boxes_along_another_axis_are_left_out_and_that_is_said(shown, mouse, wait_until):
    said = []
    changed = shown.controller.news.onChanged
    shown.controller.news.onChanged = lambda: (changed(), said.append(shown.ui.messageLabel.text))
    preview(shown, mouse, wait_until, view="Green", from_ijk=(10, 19.5, 3), to_ijk=(34, 19.5, 17))
    propagated(shown, mouse, wait_until)
    assert any("1 of 2 prompts" in text for text in said)


def test_another_engine_python_is_used_for_the_next_request(shown, mouse, wait_until):
    from MedSAM2SlicerLib.Environment import enginePython

    preview(shown, mouse, wait_until)
    shown.widget.engineSection.enginePanel.ui.existingPythonPath.currentPath = sys.executable
    wait_until(lambda: shown.engine.state == "stopped")
    wait_until(lambda: shown.widget.engineSection.installer.state != "working", 60)
    shown.widget.engineSection.installer.useOwn()
    assert enginePython() == ""


def test_another_object_gets_a_segment_of_its_own(shown, mouse, wait_until):
    propagated(shown, mouse, wait_until)
    first, voxels = shown.parameters.segmentId, shown.mask(shown.volume)
    shown.ui.addSegmentButton.click()
    propagated(shown, mouse, wait_until, from_ijk=(16, 14, 10), to_ijk=(28, 26, 10))
    assert shown.parameters.segmentId != first
    assert (shown.mask(shown.volume) & voxels).any()
    shown.controller.chooseSegment(first)
    np.testing.assert_array_equal(shown.mask(shown.volume), voxels)


def test_the_voxels_of_the_volume_stay_as_they_are(shown, mouse, wait_until, ball):
    import slicer

    modified = shown.volume.GetImageData().GetMTime()
    propagated(shown, mouse, wait_until)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(shown.volume), ball)
    assert shown.volume.GetImageData().GetMTime() == modified


def test_other_nodes_of_the_scene_are_untouched(shown, mouse, wait_until):
    import slicer

    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Somebody's")
    roi.SetSize(5, 6, 7)
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Somebody's")
    other.GetSegmentation().AddEmptySegment("theirs")
    modified = (roi.GetMTime(), other.GetMTime())
    propagated(shown, mouse, wait_until)
    shown.controller.cancel()
    assert (roi.GetMTime(), other.GetMTime()) == modified


def test_the_chosen_volume_is_used_and_not_the_first_of_the_scene(module, add_volume, ball, mouse, wait_until):
    decoy, module.volume = add_volume(np.zeros_like(ball), name="Decoy"), add_volume(ball)
    module.show(module.volume)
    propagated(module, mouse, wait_until)
    assert module.mask(module.volume).any()
    assert module.parameters.volume is not decoy


def test_the_first_volume_of_the_scene_is_not_chosen_by_itself(module, add_volume, ball, app):
    add_volume(ball)
    module.widget.enter()
    app.processEvents()
    assert module.ui.volumeSelector.currentNode() is None


def test_a_deleted_volume_is_not_replaced_by_its_neighbour(module, add_volume, ball, app):
    import slicer

    add_volume(ball, name="Neighbour")
    module.show(add_volume(ball))
    slicer.mrmlScene.RemoveNode(module.parameters.volume)
    app.processEvents()
    assert module.parameters.volume is None
    assert module.ui.volumeSelector.currentNode() is None


def test_a_box_on_a_view_of_another_volume_is_refused(shown, add_volume, ball, mouse):
    import slicer

    other = add_volume(ball, name="PET")
    slicer.util.setSliceViewerLayers(background=other)
    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    assert "PET" in shown.ui.messageLabel.text
    assert shown.controller.isArmed


def test_a_box_outside_the_volume_is_refused(shown, mouse, app):
    import slicer

    node = app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    width, height, depth = node.GetFieldOfView()
    node.SetFieldOfView(2 * width, 2 * height, depth)
    slicer.app.processEvents()
    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (46, 2, 10), (52, 10, 10))
    assert "outside" in shown.ui.messageLabel.text


def test_a_box_that_reaches_over_the_edge_is_clipped(shown, mouse, wait_until):
    from MedSAM2SlicerLib.PromptMarkups import readPrompt

    preview(shown, mouse, wait_until, from_ijk=(10, 8, 10), to_ijk=(46, 32, 10))
    assert readPrompt(shown.controller.previewing.promptNode).max[0] == 43


def test_a_box_in_an_oblique_view_is_refused(shown, mouse):
    import slicer

    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    original = node.GetOrientation()
    matrix = node.GetSliceToRAS()
    matrix.SetElement(1, 2, 0.3)
    matrix.SetElement(2, 2, 0.95)
    node.UpdateMatrices()
    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    assert "oblique" in shown.ui.messageLabel.text
    node.SetOrientation(original)


def test_a_click_without_a_drag_says_what_to_do(shown, mouse):
    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (20, 20, 10), (20, 20, 10))
    assert "drag" in shown.ui.messageLabel.text


@pytest.mark.parametrize("end", ["Esc", "right"])
def test_drawing_can_be_given_up(shown, mouse, end):
    import slicer

    shown.controller.setBoxArmed(True)
    mouse.press("Red", shown.volume, (10, 8, 10))
    mouse.key("Esc") if end == "Esc" else mouse.right_click("Red")
    mouse.release("Red", shown.volume, (34, 32, 10))
    assert not shown.controller.isArmed
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsROINode") == []


def test_a_drag_does_not_change_the_window(shown, mouse, wait_until):
    display = shown.volume.GetDisplayNode()
    before = (display.GetWindow(), display.GetLevel())
    preview(shown, mouse, wait_until)
    assert (display.GetWindow(), display.GetLevel()) == before


def test_leaving_the_module_while_dragging_places_no_box(shown, mouse):
    import slicer

    shown.controller.setBoxArmed(True)
    mouse.press("Red", shown.volume, (10, 8, 10))
    shown.leave()
    mouse.release("Red", shown.volume, (34, 32, 10))
    assert slicer.util.getNodesByClass("vtkMRMLMarkupsROINode") == []


def test_leaving_the_module_takes_the_preview_out_of_the_segment(shown, mouse, wait_until):

    preview(shown, mouse, wait_until)
    shown.leave()
    assert not shown.mask(shown.volume).any()


def test_shortcuts_are_inert_in_another_module(shown, mouse):

    shown.leave()
    mouse.key("B")
    assert not shown.controller.isArmed
    shown.enter()
    mouse.key("B")
    assert shown.controller.isArmed


def test_propagating_without_a_box_says_what_to_do(shown, mouse):
    mouse.key("Space")
    assert "Draw a box" in shown.ui.messageLabel.text
    assert not shown.ui.propagateButton.enabled


def test_an_object_that_is_not_found_is_said(shown, fake_engine, mouse, wait_until):
    shown.engine.environment = fake_engine("empty")
    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(idle(shown))
    assert "Nothing was found" in shown.ui.messageLabel.text


def test_models_and_devices_come_from_the_engine(shown, mouse, wait_until):
    preview(shown, mouse, wait_until)
    models, devices = shown.ui.modelSelector, shown.ui.deviceSelector
    assert [models.itemText(index) for index in range(models.count)] == ["Fake model"]
    assert [devices.itemText(index) for index in range(devices.count)] == ["Automatic: CPU", "CPU"]


def test_no_torch_comes_into_slicers_python(shown, mouse, wait_until):
    propagated(shown, mouse, wait_until)
    assert "torch" not in sys.modules


def test_boxes_and_choices_are_saved_with_the_scene(shown, mouse, wait_until, tmp_path, app):
    import slicer

    propagated(shown, mouse, wait_until)
    voxels = shown.mask(shown.volume)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    shown.widget.enter()
    shown.volume = shown.parameters.volume
    np.testing.assert_array_equal(shown.mask(shown.volume), voxels)
    shown.controller.propagateAnew()
    wait_until(idle(shown))
    assert "Done" in shown.ui.messageLabel.text, shown.ui.messageLabel.text
