"""Work is never lost and nothing half done is taken for a result: saving, loading, closing, reloading at any moment."""

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


def drag(module, mouse, index=10):
    module.controller.setBoxArmed(True)
    mouse.drag("Red", module.volume, (10, 8, index), (34, 32, index))


def preview(module, mouse, wait_until):
    drag(module, mouse)
    wait_until(idle(module))
    assert module.controller.hasPreview, module.controller.message


def propagate(module, wait_until):
    module.controller.propagate()
    wait_until(idle(module))
    assert "Done" in module.ui.messageLabel.text, module.ui.messageLabel.text


def painted(module, ball):
    """The chosen segment holds something that a person has painted, also where the preview will be."""
    import slicer

    module.ui.addSegmentButton.click()
    voxels = np.zeros(ball.shape, np.uint8)
    voxels[3:5, 2:6, 3:9] = 1
    voxels[10, 18:22, 36:42] = 1
    parameters = module.parameters
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        voxels, parameters.segmentation, parameters.segmentId, module.volume
    )
    return voxels


def saved_and_loaded(module, path, app):
    """The scene that comes back from the file, entered."""
    import slicer

    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []
    slicer.util.loadScene(path)
    app.processEvents()
    module.widget.enter()
    module.volume = module.parameters.volume


def voxels_of(segmentation, segment, volume):
    import slicer

    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, volume)


def fills(module):
    display = module.parameters.segmentation.GetDisplayNode()
    return display.GetSegmentOpacity2DFill(module.parameters.segmentId)


def notes(module):
    """What our tags say of an open change."""
    import vtk

    segment = module.parameters.segmentation.GetSegmentation().GetSegment(module.parameters.segmentId)
    text = vtk.reference("")
    return [tag for tag in ("MedSAM2Slicer.Before", "MedSAM2Slicer.FillBefore") if segment.GetTag(tag, text)]


def test_a_preview_that_was_on_screen_when_the_scene_was_saved_is_no_result(shown, ball, mouse, wait_until, mrb, app):
    before = painted(shown, ball)
    fill = fills(shown)
    preview(shown, mouse, wait_until)
    assert not np.array_equal(shown.mask(shown.volume), before)
    saved_and_loaded(shown, mrb, app)
    np.testing.assert_array_equal(shown.mask(shown.volume), before)
    assert fills(shown) == pytest.approx(fill)
    assert notes(shown) == []
    assert len(shown.controller.promptNodes()) == 1
    propagate(shown, wait_until)


def test_what_was_drawn_on_a_finer_grid_comes_back_on_that_grid(shown, ball, add_volume, mouse, wait_until, mrb, app):
    import slicer

    from MedSAM2SlicerLib.PackedLabelmap import packSegment

    fine = add_volume(np.zeros([2 * size for size in ball.shape], np.int16), np.diag([0.5, 0.5, 0.5, 1.0]), "fine")
    shown.ui.addSegmentButton.click()
    voxels = np.zeros((40, 80, 88), np.uint8)
    voxels[7:12, 21:32, 33:42] = 1
    node, segmentId = shown.parameters.segmentation, shown.parameters.segmentId
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, node, segmentId, fine)
    before = packSegment(node, segmentId)
    preview(shown, mouse, wait_until)
    saved_and_loaded(shown, mrb, app)
    assert packSegment(shown.parameters.segmentation, shown.parameters.segmentId).isSame(before)


def test_saving_leaves_the_preview_on_screen_and_a_propagation_going(shown, mouse, wait_until, mrb):
    import slicer

    preview(shown, mouse, wait_until)
    before = shown.mask(shown.volume)
    assert slicer.util.saveScene(mrb)
    np.testing.assert_array_equal(shown.mask(shown.volume), before)
    assert shown.controller.hasPreview
    propagate(shown, wait_until)
    assert notes(shown) == []


def test_half_a_propagation_in_the_file_is_taken_back(shown, ball, fake_engine, mouse, wait_until, mrb, app):
    before = painted(shown, ball)
    shown.engine.environment = fake_engine("slow")
    preview(shown, mouse, wait_until)
    shown.controller.propagate()
    wait_until(lambda: shown.controller.progress.done >= 3)
    saved_and_loaded(shown, mrb, app)
    np.testing.assert_array_equal(shown.mask(shown.volume), before)
    assert not shown.controller.isBusy
    propagate(shown, wait_until)


def test_a_preview_of_a_new_lesion_leaves_an_empty_one_in_the_file(shown, mouse, wait_until, mrb, app):
    preview(shown, mouse, wait_until)
    saved_and_loaded(shown, mrb, app)
    assert not shown.mask(shown.volume).any()
    assert len(shown.controller.promptNodes()) == 1


def test_reloading_the_module_takes_a_preview_out_of_the_segment(shown, ball, mouse, wait_until):
    import slicer

    before = painted(shown, ball)
    preview(shown, mouse, wait_until)
    slicer.util.reloadScriptedModule("MedSAM2Slicer")
    again = slicer.modules.MedSAM2SlicerWidget
    parameters = again.logic.getParameterNode()
    found = slicer.util.arrayFromSegmentBinaryLabelmap(parameters.segmentation, parameters.segmentId, shown.volume)
    np.testing.assert_array_equal(found, before)
    assert not again.controller.hasPreview
    assert len(again.controller.promptNodes()) == 1
    assert again.controller.canPropagate


def test_a_preview_in_the_file_is_taken_back_before_the_module_is_entered(shown, ball, mouse, wait_until, mrb, app):
    import slicer

    before = painted(shown, ball)
    segment = shown.parameters.segmentId
    preview(shown, mouse, wait_until)
    assert slicer.util.saveScene(mrb)
    shown.leave()
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(mrb)
    node = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0]
    volume = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[0]
    np.testing.assert_array_equal(voxels_of(node, segment, volume), before)


def test_without_a_panel_a_preview_in_the_file_is_taken_back_too(shown, ball, mouse, wait_until, mrb, app, monkeypatch):
    import sys

    import slicer

    before = painted(shown, ball)
    node, segment = shown.parameters.segmentation, shown.parameters.segmentId
    from MedSAM2SlicerLib.UnfinishedChange import noteBefore

    noteBefore(node, segment)
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.ones(ball.shape, np.uint8), node, segment, shown.volume)
    file = sys.modules["MedSAM2Slicer"]
    file.onSceneImported(slicer.mrmlScene, None)
    assert shown.mask(shown.volume).all()
    monkeypatch.setattr(file, "moduleWidget", lambda: None)
    file.onSceneImported(slicer.mrmlScene, None)
    np.testing.assert_array_equal(shown.mask(shown.volume), before)


def test_what_a_hand_has_edited_since_the_note_can_be_had_again(shown, ball):
    import slicer

    from MedSAM2SlicerLib.UnfinishedChange import noteBefore

    before = painted(shown, ball)
    node, segment = shown.parameters.segmentation, shown.parameters.segmentId
    noteBefore(node, segment)
    edited = np.zeros(ball.shape, np.uint8)
    edited[2:18, 3:30, 3:30] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(edited, node, segment, shown.volume)
    slicer.util.reloadScriptedModule("MedSAM2Slicer")
    again = slicer.modules.MedSAM2SlicerWidget
    np.testing.assert_array_equal(voxels_of(node, segment, shown.volume), before)
    assert "Ctrl+Z" in again.controller.message
    again.controller.undo()
    np.testing.assert_array_equal(voxels_of(node, segment, shown.volume), edited)


def test_a_scene_added_during_a_propagation_leaves_it_in_its_own_lesion(shown, fake_engine, mouse, wait_until, mrb):
    import slicer

    shown.engine.environment = fake_engine("slow")
    preview(shown, mouse, wait_until)
    propagate(shown, wait_until)
    assert slicer.util.saveScene(mrb)
    worked, lesion = shown.parameters.segmentation, shown.parameters.segmentId
    slicer.modules.MedSAM2SlicerWidget.controller.propagateAnew()
    wait_until(lambda: shown.controller.progress.done >= 2)
    slicer.util.loadScene(mrb)
    assert shown.controller.isPropagating
    wait_until(idle(shown))
    assert "Done" in shown.controller.message, shown.controller.message
    assert (shown.parameters.segmentation, shown.parameters.segmentId) == (worked, lesion)
    added = [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if node is not worked]
    assert len(added) == 1
    after = voxels_of(added[0], lesion, shown.volume)
    shown.controller.undo()
    shown.controller.undo()
    np.testing.assert_array_equal(voxels_of(added[0], lesion, shown.volume), after)


def test_a_note_that_cannot_be_read_changes_nothing(shown, ball, mrb, app):
    before = painted(shown, ball)
    segment = shown.parameters.segmentation.GetSegmentation().GetSegment(shown.parameters.segmentId)
    for text in ("nonsense", "[]", '[[[1]],[0,1,0,1,0,1],"AAAA"]', "[1,2,3]"):
        segment.SetTag("MedSAM2Slicer.Before", text)
        saved_and_loaded(shown, mrb, app)
        np.testing.assert_array_equal(shown.mask(shown.volume), before)
        assert notes(shown) == []
        segment = shown.parameters.segmentation.GetSegmentation().GetSegment(shown.parameters.segmentId)


def test_everything_that_was_chosen_comes_back_with_the_scene(shown, mouse, wait_until, mrb, app):
    from MedSAM2SlicerLib.LesionTable import LesionTable
    from MedSAM2SlicerLib.PromptMarkups import readPrompt
    from MedSAM2SlicerLib.WindowChoice import WINDOW_ATTRIBUTE

    preview(shown, mouse, wait_until)
    shown.controller.markSlice(True)
    propagate(shown, wait_until)
    parameters = shown.parameters
    parameters.model, parameters.device, parameters.direction = "another", "cpu", "up"
    first = parameters.segmentation.GetSegmentation().GetSegment(parameters.segmentId)
    first.SetName("GTVp")
    first.SetColor(0.1, 0.2, 0.9)
    shown.controller.addSegment()
    shown.controller.toggleTool("positive")
    mouse.click("Red", shown.volume, (22, 20, 10))
    wait_until(idle(shown))
    mouse.click("Red", shown.volume, (12, 20, 10), "ShiftModifier")
    wait_until(idle(shown))
    shown.controller.cancel()
    shown.controller.previewing.stop()

    def state():
        parameters = shown.parameters
        rows = [
            (row.name, tuple(round(value, 3) for value in row.color), row.volume_ml, row.state)
            for row in LesionTable().rows(parameters.segmentation)
        ]
        prompts = []
        for segmentId in parameters.segmentation.GetSegmentation().GetSegmentIDs():
            shown.controller.chooseSegment(segmentId)
            nodes = shown.controller.promptNodes()
            prompts.append([(readPrompt(node), node.GetAttribute(WINDOW_ATTRIBUTE)) for node in nodes])
        names = ("model", "device", "direction", "window", "markedAxis", "firstSlice", "lastSlice")
        return rows, prompts, [getattr(parameters, name) for name in names], parameters.volume.GetName()

    before = state()
    assert [len(prompts) for prompts in before[1]] == [1, 2]
    assert before[2][:3] == ["another", "cpu", "up"]
    assert before[2][4] == "K"
    saved_and_loaded(shown, mrb, app)
    assert state() == before


def test_a_selector_writes_nothing_while_a_scene_is_loaded_or_closed(shown):
    widget, parameters, volume = shown.widget, shown.parameters, shown.volume
    widget.onSceneStartImport(None, None)
    shown.ui.volumeSelector.setCurrentNode(None)
    assert parameters.volume is volume
    widget.onSceneEndImport(None, None)
    assert shown.ui.volumeSelector.currentNode() is volume
    widget.setParameterNode(None)
    shown.ui.volumeSelector.setCurrentNode(None)
    assert parameters.volume is volume
    widget.initializeParameterNode()


def test_what_another_script_chooses_after_a_scene_was_loaded_is_known_when_it_is_told(shown, add_volume, ball):
    other = add_volume(ball, name="Other")
    shown.widget.onSceneStartImport(None, None)
    shown.widget.onSceneEndImport(None, None)
    seen = []
    shown.controller.onParametersModified = lambda: seen.append(shown.parameters.volume)
    shown.widget.logic.getParameterNode().volume = other
    assert set(seen) == {other}


def test_a_second_scene_knows_nothing_of_the_first(shown, add_volume, ball, mouse, wait_until):
    import slicer

    preview(shown, mouse, wait_until)
    propagate(shown, wait_until)
    first = shown.mask(shown.volume)
    slicer.mrmlScene.Clear(0)
    shown.volume = add_volume(ball[:, :, ::-1].copy(), name="second")
    shown.show(shown.volume)
    assert not shown.controller.canUndo
    assert not shown.controller.canPropagate
    shown.controller.setBoxArmed(True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(idle(shown))
    propagate(shown, wait_until)
    np.testing.assert_array_equal(shown.mask(shown.volume), first[:, :, ::-1])


def test_closing_the_scene_during_the_preview_or_the_export_ends_it(shown, add_volume, fake_engine, mouse, wait_until):
    import slicer

    large = add_volume(np.tile(np.int16(1), (60, 512, 512)), name="large")
    shown.volume = large
    shown.show(large)
    shown.controller.setBoxArmed(True)
    assert not shown.widget.engineVolume._export.isDone
    slicer.mrmlScene.Clear(0)
    assert not shown.controller.isBusy
    assert not shown.controller.isArmed
    wait_until(lambda: not shown.engine.isBusy)
    assert list_of_exports() == []


def list_of_exports():
    from pathlib import Path

    import slicer

    return list(Path(slicer.app.temporaryPath).glob("medsam2-*.raw"))


@pytest.mark.parametrize("doomed", ["volume", "segmentation"])
@pytest.mark.parametrize("moment", ["preview", "export"])
def test_deleting_what_is_worked_on_ends_the_run_and_says_so(
    shown, add_volume, fake_engine, ball, mouse, wait_until, doomed, moment
):
    import slicer

    shown.engine.environment = fake_engine("silent" if moment == "preview" else "normal")
    if moment == "export":
        shown.volume = add_volume(np.tile(ball, (4, 8, 8)), name="large")
        shown.show(shown.volume)
    drag(shown, mouse)
    assert shown.controller.isBusy
    slicer.mrmlScene.RemoveNode(getattr(shown.parameters, doomed))
    assert not shown.controller.isBusy
    assert "deleted" in shown.ui.messageLabel.text
    assert getattr(shown.parameters, doomed) is None
    shown.engine.kill()
