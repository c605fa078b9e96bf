"""Correct and trust, as a person does it: the strip, a jump, a lock, a correction, an approval.

The engine is the fake one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest


@pytest.fixture
def shown(module, add_volume, ball):
    """The entered module with a ball in the views, and every request in `asked`."""
    module.volume = add_volume(ball)
    module.show(module.volume)
    module.listen()
    return module


@pytest.fixture
def propagated(shown, wait_until):
    """Slices 7 to 13 along K are propagated from a box on slice 10."""
    box(shown, wait_until)
    space(shown, wait_until)
    return shown


def idle(module):
    return lambda: not module.controller.isBusy


def box(module, wait_until, index=10, axis="K"):
    from medsam2_protocol.prompts import BoxPrompt

    module.controller.onBoxPlaced(BoxPrompt(axis, index, (8.0, 6.0), (36.0, 34.0) if axis == "K" else (36.0, 18.0)))
    wait_until(idle(module))


def click(module, wait_until, k, i=22.0, j=20.0, positive=False):
    from medsam2_protocol.prompts import PointPrompt

    module.controller.onPromptPlaced(PointPrompt((i, j, float(k)), positive), "K")
    wait_until(idle(module))


def space(module, wait_until):
    module.ui.propagateButton.click()
    wait_until(idle(module))


def strip(module):
    return module.widget.sliceStripPanel.strip


def panel(module):
    return module.widget.sliceStripPanel.ui


def states(module):
    return module.controller.choice.place().now()


def state_of(module, index):
    return next(cell.state for cell in strip(module).cells if cell.index == index)


def show_slice(k):
    import slicer

    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, float(k), False)


def slice_shown(module):
    from MedSAM2SlicerLib.PropagationOptions import shownSlice

    return shownSlice(module.volume, "K")


def paint(module, k, value=1):
    """What a hand does in another module: a small square on one slice."""
    import slicer

    voxels = module.mask(module.volume)
    voxels[k, 5:9, 5:9] = value
    place = module.parameters.segmentation, module.parameters.segmentId
    slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, *place, module.volume)


def grab(screenshots, name):
    import slicer

    slicer.app.processEvents()
    slicer.util.mainWindow().grab().save(str(screenshots / f"{name}.png"))


def test_the_strip_appears_with_the_first_prompt_and_has_a_cell_for_every_slice(shown, wait_until, screenshots):
    assert not shown.widget.sliceStripPanel.widget.visible
    box(shown, wait_until)
    assert state_of(shown, 10) == "key"
    space(shown, wait_until)
    assert shown.widget.sliceStripPanel.widget.visible
    assert [cell.index for cell in strip(shown).cells if cell.state == "propagated"] == [7, 8, 9, 11, 12, 13]
    assert panel(shown).stripLabel.pixmap is not None
    grab(screenshots, "strip")


def test_a_click_on_a_cell_shows_its_slice_and_the_marker_follows_the_views(propagated, wait_until):
    from PySide6.QtCore import QPoint, Qt
    from PySide6.QtTest import QTest

    label = panel(propagated).stripLabel
    cells = strip(propagated).cells
    number = [cell.index for cell in cells].index(12)
    x = int((number + 0.5) * label.width / len(cells))
    QTest.mouseClick(label, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(x, 30))
    assert slice_shown(propagated) == 12
    wait_until(lambda: strip(propagated).shown == 12)
    show_slice(8)
    wait_until(lambda: strip(propagated).shown == 8)


def test_the_mouse_over_a_cell_says_slice_area_state_and_confidence(propagated):
    strip(propagated).onHovered(panel(propagated).stripLabel.width // 2)
    text = panel(propagated).stripLabel.toolTip
    assert text.startswith("Slice K10: prompted, 3")
    assert "mm²" in text
    assert "sure (100 %)" in text


def test_n_goes_to_the_next_doubtful_slice_and_round(propagated, mouse, wait_until, screenshots):
    place = propagated.controller.choice.place()
    evidence = {**place.now().evidence, 8: (-3.0, 0.2, None)}
    place.put(replace(place.now(), evidence=evidence))
    propagated.widget.updatePanels()
    show_slice(10)
    mouse.key("N")
    assert slice_shown(propagated) == 8
    assert "Slice K8: propagated" in propagated.ui.messageLabel.text
    assert "doubtful" in propagated.ui.messageLabel.text
    wait_until(lambda: strip(propagated).shown == 8)
    grab(screenshots, "strip-doubtful")
    mouse.key("N")
    assert slice_shown(propagated) == 8


def test_without_a_doubtful_slice_n_says_so(propagated, mouse):
    mouse.key("N")
    assert "No slice stands out" in propagated.ui.messageLabel.text


def test_k_locks_the_slice_that_is_shown_and_no_propagation_changes_it(propagated, mouse, wait_until, screenshots):
    show_slice(12)
    mouse.key("K")
    assert state_of(propagated, 12) == "locked"
    before = propagated.mask(propagated.volume)
    box(propagated, wait_until, index=9)
    click(propagated, wait_until, 9, 18.0)
    panel(propagated).anewButton.click()
    wait_until(idle(propagated))
    after = propagated.mask(propagated.volume)
    np.testing.assert_array_equal(after[12], before[12])
    assert [mask.slice for mask in propagated.asked[-1].segments[0].kept] == [12]
    assert "K12" in propagated.ui.messageLabel.text
    grab(screenshots, "strip-locked")
    mouse.key("K")
    assert state_of(propagated, 12) == "propagated"


def test_a_lock_can_be_undone(propagated, mouse):
    show_slice(12)
    mouse.key("K")
    mouse.key("Ctrl+Z")
    assert states(propagated).locked == frozenset()


def test_one_click_and_space_change_only_the_slices_up_to_the_next_key(propagated, mouse, wait_until, screenshots):
    before = propagated.mask(propagated.volume)
    click(propagated, wait_until, 12, 26.0, 20.0)
    assert "…" not in propagated.ui.messageLabel.text
    assert [cell.index for cell in strip(propagated).cells if cell.isWaiting] == [12]
    grab(screenshots, "strip-correction")
    mouse.key("Space")
    wait_until(idle(propagated))
    after = propagated.mask(propagated.volume)
    request = propagated.asked[-1]
    assert request.corrected == 12
    assert [mask.slice for mask in request.segments[0].kept] == [10]
    np.testing.assert_array_equal(after[:11], before[:11])
    assert after[12].sum() < before[12].sum()
    assert "Recomputed K11 to K15" in propagated.ui.messageLabel.text
    assert "Nothing else changed" in propagated.ui.messageLabel.text
    mouse.key("Ctrl+Z")
    wait_until(idle(propagated))
    propagated.controller.previewing.remove()
    np.testing.assert_array_equal(propagated.mask(propagated.volume), before)


def test_the_click_corrects_the_mask_that_is_there(propagated, wait_until):
    from medsam2_protocol.prompts import MaskPrompt, PointPrompt

    click(propagated, wait_until, 12, 26.0, 20.0)
    sent = propagated.asked[-1].segment.prompts
    assert [type(prompt) for prompt in sent] == [MaskPrompt, PointPrompt]
    assert propagated.controller.hasPreview
    space(propagated, wait_until)
    click(propagated, wait_until, 12, 20.0, 20.0)
    again = propagated.asked[-1].segment.prompts
    assert (again[0], len(again)) == (sent[0], 3)


def test_space_after_several_corrections_passes_all_of_them_on(propagated, wait_until):
    click(propagated, wait_until, 8, 26.0)
    click(propagated, wait_until, 12, 26.0)
    count = len(propagated.asked)
    space(propagated, wait_until)
    assert [request.corrected for request in propagated.asked[count:]] == [8, 12]
    assert not any(cell.isWaiting for cell in strip(propagated).cells)
    assert "K5 to K15" in propagated.ui.messageLabel.text


def test_space_without_a_correction_changes_nothing_and_offers_to_propagate_all(propagated, wait_until):
    before, count = propagated.mask(propagated.volume), len(propagated.asked)
    space(propagated, wait_until)
    assert len(propagated.asked) == count
    assert "Nothing has changed" in propagated.ui.messageLabel.text
    assert propagated.ui.remedyButton.text == "Re-propagate all"
    propagated.ui.remedyButton.click()
    wait_until(idle(propagated))
    assert propagated.asked[-1].corrected is None
    np.testing.assert_array_equal(propagated.mask(propagated.volume), before)


def test_a_cancelled_correction_leaves_everything_as_it_was(shown, fake_engine, mouse, wait_until):
    propagated = shown
    propagated.engine.environment = fake_engine("slow")
    box(propagated, wait_until)
    space(propagated, wait_until)
    before = propagated.mask(propagated.volume)
    click(propagated, wait_until, 12, 26.0)
    mouse.key("Space")
    wait_until(lambda: propagated.controller.progress.done >= 1)
    mouse.key("Esc")
    wait_until(idle(propagated))
    propagated.controller.previewing.remove()
    np.testing.assert_array_equal(propagated.mask(propagated.volume), before)
    assert [cell.index for cell in strip(propagated).cells if cell.isWaiting] == [12]


def test_a_worker_that_dies_in_the_second_correction_costs_nothing_of_the_first(propagated, wait_until):
    import os

    click(propagated, wait_until, 8, 26.0)
    click(propagated, wait_until, 12, 26.0)
    count, pids = len(propagated.asked), []
    request = propagated.engine.request

    def asking(message, *rest):
        request_id = request(message, *rest)
        if getattr(message, "corrected", None) == 12 and not pids:
            pids.append(propagated.engine.hello.pid)
            os.kill(pids[0], 9)
        return request_id

    propagated.engine.request = asking
    space(propagated, wait_until)
    corrected = [one.corrected for one in propagated.asked[count:] if hasattr(one, "corrected")]
    assert corrected == [8, 12, 12]
    assert "Recomputed" in propagated.ui.messageLabel.text
    assert {8, 12} <= set(states(propagated).answered)


def test_a_slice_edited_in_another_module_stays_and_its_neighbours_follow(propagated, mouse, wait_until, screenshots):
    propagated.leave()
    paint(propagated, 12)
    propagated.enter()
    assert "Edited by hand: K12" in propagated.ui.messageLabel.text
    assert state_of(propagated, 12) == "edited"
    before = propagated.mask(propagated.volume)
    mouse.key("Space")
    wait_until(idle(propagated))
    after = propagated.mask(propagated.volume)
    assert propagated.asked[-1].corrected == 12
    np.testing.assert_array_equal(after[12], before[12])
    np.testing.assert_array_equal(after[:11], before[:11])
    grab(screenshots, "strip-edited")
    mouse.key("Ctrl+Z")
    mouse.key("Ctrl+Z")
    assert states(propagated).edited == frozenset()
    assert not propagated.mask(propagated.volume)[12, 5:9, 5:9].any()


def test_an_edit_is_found_along_the_axis_of_the_propagation(shown, wait_until):
    box(shown, wait_until, index=20, axis="J")
    space(shown, wait_until)
    shown.leave()
    paint(shown, 12)
    shown.enter()
    assert states(shown).axis == "J"
    assert states(shown).edited == frozenset({5, 6, 7, 8})


def test_an_edit_that_nobody_announced_is_kept_as_well(propagated, wait_until):
    paint(propagated, 12)
    before = propagated.mask(propagated.volume)
    box(propagated, wait_until, index=9)
    space(propagated, wait_until)
    np.testing.assert_array_equal(propagated.mask(propagated.volume)[12], before[12])
    assert 12 in states(propagated).edited


def test_a_prompt_on_a_locked_slice_asks_for_its_release_first(propagated, mouse, wait_until):
    show_slice(12)
    mouse.key("K")
    count = len(propagated.asked)
    click(propagated, wait_until, 12, 26.0)
    assert len(propagated.asked) == count
    assert "Slice K12 is locked" in propagated.ui.messageLabel.text
    propagated.ui.remedyButton.click()
    wait_until(idle(propagated))
    assert propagated.controller.hasPreview
    assert states(propagated).locked == frozenset()


def test_a_preview_cannot_be_locked(shown, mouse, wait_until):
    box(shown, wait_until)
    show_slice(10)
    mouse.key("K")
    assert "cannot be locked" in shown.ui.messageLabel.text
    assert states(shown).locked == frozenset()


def test_a_prompt_along_another_axis_is_no_correction_and_says_what_to_do(propagated, wait_until):
    before = propagated.mask(propagated.volume)
    box(propagated, wait_until, index=20, axis="J")
    space(propagated, wait_until)
    assert "propagated along K" in propagated.ui.messageLabel.text
    propagated.controller.previewing.remove()
    np.testing.assert_array_equal(propagated.mask(propagated.volume), before)
    space(propagated, wait_until)
    propagated.ui.remedyButton.click()
    wait_until(idle(propagated))
    assert (propagated.asked[-1].axis, propagated.asked[-1].corrected) == ("J", None)
    assert np.flatnonzero(propagated.mask(propagated.volume).any(axis=(0, 2))).tolist() == list(range(17, 24))


def test_a_new_propagation_clears_what_it_does_not_reach_any_more(propagated, wait_until):
    propagated.ui.directionSelector.setCurrentIndex(1)
    space(propagated, wait_until)
    assert np.flatnonzero(propagated.mask(propagated.volume).any(axis=(1, 2))).tolist() == [10, 11, 12, 13]
    assert "Cleared" in propagated.ui.messageLabel.text
    propagated.controller.undo()
    assert np.flatnonzero(propagated.mask(propagated.volume).any(axis=(1, 2))).tolist() == list(range(7, 14))


def test_what_was_painted_beside_the_propagation_is_never_cleared(propagated, wait_until):
    propagated.leave()
    paint(propagated, 2)
    propagated.enter()
    panel(propagated).anewButton.click()
    wait_until(idle(propagated))
    assert propagated.mask(propagated.volume)[2, 5:9, 5:9].all()


def test_an_approved_lesion_refuses_until_the_approval_is_withdrawn(propagated, wait_until, screenshots):
    panel(propagated).approveButton.click()
    assert "is approved" in propagated.ui.messageLabel.text
    count, before = len(propagated.asked), propagated.mask(propagated.volume)
    click(propagated, wait_until, 12, 26.0)
    space(propagated, wait_until)
    assert len(propagated.asked) == count
    np.testing.assert_array_equal(propagated.mask(propagated.volume), before)
    grab(screenshots, "strip-approved")
    assert propagated.ui.remedyButton.text == "Withdraw the approval"
    propagated.ui.remedyButton.click()
    assert not panel(propagated).approveButton.checked
    space(propagated, wait_until)
    assert propagated.asked[-1].corrected == 12


def test_the_slices_between_the_marks_are_locked_together(propagated):
    show_slice(8)
    propagated.ui.fromHereButton.click()
    show_slice(11)
    propagated.ui.toHereButton.click()
    panel(propagated).lockRangeButton.click()
    assert states(propagated).locked == frozenset({8, 9, 10, 11})


def test_states_come_back_with_the_scene_and_corrections_go_on(propagated, mouse, wait_until, tmp_path, app):
    import slicer

    show_slice(12)
    mouse.key("K")
    before, voxels = states(propagated), propagated.mask(propagated.volume)
    cells = strip(propagated).cells
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    app.processEvents()
    assert strip(propagated).cells == ()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    propagated.widget.enter()
    volume = propagated.volume = propagated.parameters.volume
    assert states(propagated) == before
    assert strip(propagated).cells == cells
    np.testing.assert_array_equal(propagated.mask(volume), voxels)
    click(propagated, wait_until, 9, 26.0)
    space(propagated, wait_until)
    after = propagated.mask(volume)
    assert propagated.asked[-1].corrected == 9
    np.testing.assert_array_equal(after[10:], voxels[10:])


def test_export_offers_what_is_approved_first(propagated, wait_until, tmp_path):
    import slicer

    exporting = propagated.controller.exporting
    exporting.askForFile = lambda name: str(tmp_path / "lesions.seg.nrrd")
    panel(propagated).exportButton.click()
    assert "No lesion is approved yet" in propagated.ui.messageLabel.text
    assert not (tmp_path / "lesions.seg.nrrd").exists()
    panel(propagated).approveButton.click()
    propagated.ui.addSegmentButton.click()
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    panel(propagated).exportButton.click()
    assert "1 that are not approved were left out" in propagated.ui.messageLabel.text
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    loaded = slicer.util.loadSegmentation(str(tmp_path / "lesions.seg.nrrd"))
    assert loaded.GetSegmentation().GetNumberOfSegments() == 1


def test_a_labelmap_of_the_approved_lesion_has_its_voxels(propagated, tmp_path):
    import slicer

    panel(propagated).approveButton.click()
    propagated.controller.exporting.askForFile = lambda name: str(tmp_path / "lesions.nii.gz")
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    panel(propagated).exportButton.click()
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    loaded = slicer.util.loadLabelVolume(str(tmp_path / "lesions.nii.gz"))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(loaded) > 0, propagated.mask(propagated.volume) > 0)


def test_an_exported_lesion_leaves_those_behind_that_it_shares_a_labelmap_with(shown, tmp_path):
    import slicer

    from MedSAM2SlicerLib.SegmentExport import exportSegments

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(shown.volume)
    ids = [node.GetSegmentation().AddEmptySegment() for _number in range(2)]
    for segmentId, starts in zip(ids, ((14,), (4, 24)), strict=True):
        voxels = np.zeros_like(slicer.util.arrayFromVolume(shown.volume), np.uint8)
        for start in starts:
            voxels[4:8, 4:8, start : start + 4] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, node, segmentId, shown.volume)
    assert node.GetSegmentation().IsSharedBinaryLabelmap(ids[0])
    exportSegments(shown.volume, node, ids[1:], str(tmp_path / "one.seg.nrrd"))
    loaded = slicer.util.loadSegmentation(str(tmp_path / "one.seg.nrrd"))
    drawn = slicer.util.arrayFromSegmentInternalBinaryLabelmap(loaded, ids[1])
    assert np.count_nonzero(drawn) == 2 * 64


def test_without_a_segmentation_there_is_nothing_to_lock_or_export(shown, mouse):
    mouse.key("K")
    assert "No view shows a slice" in shown.ui.messageLabel.text
    shown.controller.exporting.start()
    assert "no lesion to export" in shown.ui.messageLabel.text
