"""Undo and redo of every prompt and every propagation, to the voxel."""

import random

import numpy as np
import pytest


@pytest.fixture
def shown(module, add_volume, ball):
    """The entered module with the ball chosen, in the views, and a segment that already holds something."""
    import slicer

    module.volume = add_volume(ball)
    module.show(module.volume)
    module.ui.addSegmentButton.click()
    painted = np.zeros(ball.shape, np.uint8)
    painted[9:12, 2:5, 3:9] = 1
    painted[10, 18:22, 30:40] = 1
    parameters = module.parameters
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        painted, parameters.segmentation, parameters.segmentId, module.volume
    )
    module.painted = painted
    return module


def idle(module):
    return lambda: not module.controller.isBusy


def box(module, wait_until, index=10, low=(10.0, 8.0), high=(34.0, 32.0)):
    from medsam2_protocol.prompts import BoxPrompt

    module.controller.onBoxPlaced(BoxPrompt("K", index, low, high))
    wait_until(idle(module))


def point(module, wait_until, ijk=(22.0, 20.0, 10.0), positive=True):
    from medsam2_protocol.prompts import PointPrompt

    module.controller.onPromptPlaced(PointPrompt(ijk, positive), "K")
    wait_until(idle(module))


def propagate(module, wait_until):
    module.controller.propagate()
    wait_until(idle(module))


def undo(module, wait_until):
    module.ui.undoButton.click()
    wait_until(idle(module))


def redo(module, wait_until):
    module.ui.redoButton.click()
    wait_until(idle(module))


def prompts(module):
    from MedSAM2SlicerLib.PromptMarkups import readPrompt

    return [readPrompt(node) for node in module.controller.choice.promptNodes()]


def segment(module):
    """The segment without a preview in it."""
    module.controller.previewing.remove()
    return module.mask(module.volume)


def test_undo_of_a_propagation_gives_the_segment_back_as_it_was(shown, mouse, wait_until):
    box(shown, wait_until)
    propagate(shown, wait_until)
    after = shown.mask(shown.volume)
    mouse.key("Ctrl+Z")
    wait_until(idle(shown))
    np.testing.assert_array_equal(segment(shown), shown.painted)
    assert len(prompts(shown)) == 1
    mouse.key("Ctrl+Y")
    wait_until(idle(shown))
    np.testing.assert_array_equal(segment(shown), after)


def test_undo_of_a_box_takes_it_and_its_preview_away_and_redo_brings_them_back(shown, wait_until):
    box(shown, wait_until)
    drawn = prompts(shown)
    undo(shown, wait_until)
    assert prompts(shown) == []
    np.testing.assert_array_equal(shown.mask(shown.volume), shown.painted)
    redo(shown, wait_until)
    assert prompts(shown) == drawn
    assert shown.controller.hasPreview


def test_undo_of_a_box_that_replaced_another_brings_that_one_back(shown, wait_until):
    box(shown, wait_until)
    first = prompts(shown)
    box(shown, wait_until, low=(16.0, 14.0), high=(28.0, 26.0))
    undo(shown, wait_until)
    assert prompts(shown) == first
    assert shown.controller.hasPreview


def test_undo_of_a_point_previews_the_slice_with_what_is_left(shown, wait_until):
    box(shown, wait_until)
    before = shown.mask(shown.volume)
    point(shown, wait_until, (26.0, 20.0, 10.0), positive=False)
    assert not shown.mask(shown.volume)[10, 20, 26]
    undo(shown, wait_until)
    np.testing.assert_array_equal(shown.mask(shown.volume), before)


def test_a_prompt_that_was_moved_goes_back(shown, wait_until):
    point(shown, wait_until)
    node = shown.controller.choice.promptNodes()[0]
    node.SetNthControlPointPositionWorld(0, 20.0, 19.0, 10.0)
    wait_until(lambda: shown.controller.isBusy)
    wait_until(idle(shown))
    undo(shown, wait_until)
    assert prompts(shown)[0].ijk == (22, 20, 10)
    redo(shown, wait_until)
    assert prompts(shown)[0].ijk == (20, 19, 10)


def test_a_move_that_has_just_happened_is_undone_too(shown, wait_until):
    point(shown, wait_until)
    shown.controller.choice.promptNodes()[0].SetNthControlPointPositionWorld(0, 20.0, 19.0, 10.0)
    undo(shown, wait_until)
    assert prompts(shown)[0].ijk == (22, 20, 10)


def test_a_prompt_that_was_deleted_in_another_module_comes_back(shown, wait_until):
    import slicer

    point(shown, wait_until)
    slicer.mrmlScene.RemoveNode(shown.controller.choice.promptNodes()[0])
    assert prompts(shown) == []
    undo(shown, wait_until)
    assert prompts(shown)[0].ijk == (22, 20, 10)


def test_a_discarded_preview_comes_back_with_its_prompt(shown, mouse, wait_until):
    box(shown, wait_until)
    mouse.key("Esc")
    assert prompts(shown) == []
    undo(shown, wait_until)
    assert len(prompts(shown)) == 1
    assert shown.controller.hasPreview


def test_a_segment_changed_by_hand_since_is_not_overwritten(shown, wait_until):
    import slicer

    box(shown, wait_until)
    propagate(shown, wait_until)
    parameters = shown.parameters
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        shown.painted, parameters.segmentation, parameters.segmentId, shown.volume
    )
    undo(shown, wait_until)
    assert "changed by other means" in shown.ui.messageLabel.text
    np.testing.assert_array_equal(shown.mask(shown.volume), shown.painted)


def test_nothing_can_be_undone_in_the_next_scene(shown, wait_until):
    import slicer

    box(shown, wait_until)
    assert shown.ui.undoButton.enabled
    slicer.mrmlScene.Clear(0)
    assert not shown.ui.undoButton.enabled
    shown.controller.undo()
    assert "nothing to undo" in shown.controller.message


def test_undo_goes_back_to_the_segment_in_which_it_happened(shown, wait_until):
    box(shown, wait_until)
    first = shown.parameters.segmentId
    shown.ui.addSegmentButton.click()
    undo(shown, wait_until)
    assert shown.parameters.segmentId == first
    assert prompts(shown) == []


def test_undo_in_one_segment_leaves_an_overlapping_one_alone(shown, wait_until):
    box(shown, wait_until)
    propagate(shown, wait_until)
    first, voxels = shown.parameters.segmentId, shown.mask(shown.volume)
    shown.ui.addSegmentButton.click()
    box(shown, wait_until)
    propagate(shown, wait_until)
    undo(shown, wait_until)
    assert not segment(shown).any()
    shown.controller.chooseSegment(first)
    np.testing.assert_array_equal(shown.mask(shown.volume), voxels)


def test_slicers_own_scene_undo_stays_off(shown, wait_until):
    import slicer

    box(shown, wait_until)
    undo(shown, wait_until)
    assert not slicer.mrmlScene.GetUndoFlag()


@pytest.mark.parametrize("seed", range(5))
def test_after_any_sequence_undo_restores_the_beginning_and_redo_the_end(shown, wait_until, seed):
    dice = random.Random(seed)
    actions = [
        lambda: box(shown, wait_until, dice.choice([8, 10, 12]), (dice.uniform(5, 15), 8.0), (34.0, 32.0)),
        lambda: point(shown, wait_until, (22.0, 20.0, float(dice.choice([9, 10, 11])))),
        lambda: point(shown, wait_until, (dice.uniform(15, 30), 20.0, 10.0), positive=False),
        lambda: propagate(shown, wait_until),
        lambda: undo(shown, wait_until),
        lambda: redo(shown, wait_until),
        lambda: shown.controller.previewing.discard(),
    ]
    for _ in range(14):
        dice.choice(actions)()
    while shown.ui.redoButton.enabled:
        redo(shown, wait_until)
    end = (prompts(shown), segment(shown))
    while shown.ui.undoButton.enabled:
        undo(shown, wait_until)
    assert prompts(shown) == []
    np.testing.assert_array_equal(segment(shown), shown.painted)
    while shown.ui.redoButton.enabled:
        redo(shown, wait_until)
    assert prompts(shown) == end[0]
    np.testing.assert_array_equal(segment(shown), end[1])


def change(size, title="x"):
    from MedSAM2SlicerLib.PackedLabelmap import NOTHING, PackedLabelmap
    from MedSAM2SlicerLib.UndoStack import Change, State

    packed = PackedLabelmap(NOTHING.image_to_ras, (0, 0, 0, 0, 0, 0), bytes(size))
    return Change(title, None, None, "s", State(()), State((), packed))


def test_the_memory_for_undo_is_bounded(app):
    from MedSAM2SlicerLib.UndoStack import UndoStack

    stack = UndoStack(limit_bytes=100)
    for number in range(10):
        stack.add(change(30, str(number)))
    assert stack.bytes == 90
    assert stack.undoable.title == "9"


def test_a_new_change_forgets_what_was_undone(app):
    from MedSAM2SlicerLib.UndoStack import UndoStack

    stack = UndoStack()
    stack.add(change(1))
    stack.undone()
    stack.add(change(1))
    assert stack.redoable is None


def test_a_large_lesion_takes_some_kilobytes(scene, add_volume, app):
    import slicer

    from MedSAM2SlicerLib.PackedLabelmap import packSegment, restoreSegment

    k, j, i = np.mgrid[:60, :128, :128]
    ball = (9 * (k - 30) ** 2 + (j - 60) ** 2 + (i - 60) ** 2 < 2500).astype(np.uint8)
    volume = add_volume(ball.astype(np.int16))
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentId = segmentation.GetSegmentation().AddEmptySegment("s")
    slicer.util.updateSegmentBinaryLabelmapFromArray(ball, segmentation, segmentId, volume)
    packed = packSegment(segmentation, segmentId)
    assert packed.bytes < 10_000
    slicer.util.updateSegmentBinaryLabelmapFromArray(0 * ball, segmentation, segmentId, volume)
    restoreSegment(segmentation, segmentId, packed)
    np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segmentId, volume), ball)
    assert packSegment(segmentation, segmentId).isSame(packed)
