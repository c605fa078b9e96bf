"""The chosen lesion: named, measured, shown in 3D, edited by hand, deleted, and its neighbours one key away."""

from types import SimpleNamespace

import numpy as np
import pytest

from lesion_rows import rows_of


@pytest.fixture
def two(shown, mouse, wait_until):
    """Two overlapping lesions; the second is chosen."""
    segment_lesion(shown, mouse, wait_until)
    shown.first = shown.parameters.segmentId
    shown.ui.addSegmentButton.click()
    segment_lesion(shown, mouse, wait_until, (16, 14, 10), (28, 26, 10))
    shown.second = shown.parameters.segmentId
    return shown


def segment_lesion(module, mouse, wait_until, from_ijk=(10, 8, 10), to_ijk=(34, 32, 10), view="Red"):
    module.controller.setToolArmed("box", True)
    mouse.drag(view, module.volume, from_ijk, to_ijk)
    wait_until(lambda: not module.controller.isBusy)
    module.controller.propagate()
    wait_until(lambda: not module.controller.isBusy)
    assert "Done" in module.ui.messageLabel.text, module.ui.messageLabel.text


def panel(module):
    return module.widget.lesionPanel.ui


def press_e(isShift=False):
    import qt
    import slicer
    from PySide6.QtTest import QTest

    slicer.util.mainWindow().activateWindow()
    modifier = qt.Qt.ShiftModifier if isShift else qt.Qt.NoModifier
    QTest.keyClick(slicer.util.mainWindow(), qt.Qt.Key_E, modifier)
    slicer.app.processEvents()


def name_it(module, name):
    """As a person does: double click on the name in its row, type, Enter."""
    from lesion_rows import cell_of, double_click, type_name

    double_click(module, cell_of(module, module.parameters.segmentId, "name"))
    type_name(module, name)


def segments(module):
    return list(module.parameters.segmentation.GetSegmentation().GetSegmentIDs())


def cell(module, index):
    """Of the slice strip."""
    return next(cell for cell in module.widget.sliceStripPanel._cells if cell.index == index)


def paint(module, index, row=2):
    """What a hand does in the Segment Editor: one more voxel of a slice."""
    import slicer

    voxels = module.mask(module.volume).copy()
    voxels[index, row, 2] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        voxels, module.parameters.segmentation, module.parameters.segmentId, module.volume
    )


@pytest.fixture
def segment_editor(monkeypatch, module):
    """The headless host has none: it stands for the module that is gone to."""
    import slicer

    monkeypatch.setattr(slicer.modules, "segmenteditor", SimpleNamespace(), raising=False)
    select = slicer.util.selectModule
    monkeypatch.setattr(
        slicer.util, "selectModule", lambda name: module.leave() if name == "SegmentEditor" else select(name)
    )


def test_without_a_lesion_there_is_nothing_to_do(module):
    for button in (panel(module).nextButton, panel(module).deleteButton, panel(module).editButton):
        assert not button.enabled
    assert panel(module).summaryLabel.text == ""


def test_a_propagated_lesion_says_its_volume_and_state(shown, mouse, wait_until):
    segment_lesion(shown, mouse, wait_until)
    expected_ml = shown.mask(shown.volume).sum() / 1000
    assert panel(shown).summaryLabel.text == f"Lesion 1 of 1: {expected_ml:.2f} ml, propagated"


def test_e_goes_to_the_next_lesion_and_shift_e_back(two):
    press_e()
    assert two.parameters.segmentId == two.first
    assert "Lesion 1 of 2" in panel(two).summaryLabel.text
    press_e(isShift=True)
    assert two.parameters.segmentId == two.second
    panel(two).nextButton.click()
    assert two.parameters.segmentId == two.first
    panel(two).previousButton.click()
    assert two.parameters.segmentId == two.second


def test_going_to_a_lesion_shows_it_in_the_slice_views(two):
    import slicer

    slicer.modules.markups.logic().JumpSlicesToLocation(22.0, 20.0, 3.0, False)
    press_e()
    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    assert abs(node.GetSliceOffset() - 10) <= 0.5


def test_e_is_inert_in_another_module(two):
    two.leave()
    press_e()
    assert two.parameters.segmentId == two.second
    two.enter()


def test_every_lesion_keeps_its_own_prompts(two):
    from MedSAM2SlicerLib.WindowChoice import promptNodes

    (of_second,) = promptNodes(two.parameters)
    press_e()
    (of_first,) = promptNodes(two.parameters)
    assert of_first is not of_second


def test_overlapping_lesions_never_erase_one_another(two, wait_until):
    second = two.mask(two.volume)
    press_e()
    first = two.mask(two.volume)
    assert (first & second).any()
    two.controller.propagate()
    wait_until(lambda: not two.controller.isBusy)
    np.testing.assert_array_equal(two.mask(two.volume), first)
    press_e()
    np.testing.assert_array_equal(two.mask(two.volume), second)


def test_a_suggested_name_sets_name_and_terminology(shown, mouse, wait_until):
    import vtk

    from lesion_rows import choose_suggestion, open_editor

    segment_lesion(shown, mouse, wait_until)
    box = open_editor(shown, shown.parameters.segmentId)
    assert [box.itemText(index) for index in range(3)] == ["GTVp", "GTVn", "CTVp"]
    choose_suggestion(shown, box, 1)
    segment = shown.parameters.segmentation.GetSegmentation().GetSegment(shown.parameters.segmentId)
    term = vtk.reference("")
    assert segment.GetName() == "GTVn"
    assert segment.GetTag("TerminologyEntry", term)
    assert "Lymph node" in str(term)


def test_the_next_lesion_is_offered_the_next_free_name(two):
    from lesion_rows import open_editor

    assert [cells["name"] for cells in rows_of(two)] == ["GTVp", "GTVp2"]
    two.ui.addSegmentButton.click()
    name_it(two, "Cyst")
    assert open_editor(two, two.parameters.segmentId).itemText(0) == "GTVp3"


def term_of(segment):
    import vtk

    term = vtk.reference("")
    return str(term) if segment.GetTag("TerminologyEntry", term) else ""


def test_a_new_lesion_has_a_name_a_term_and_a_colour(two):
    from MedSAM2SlicerLib.StructureNames import violations

    segmentation = two.parameters.segmentation.GetSegmentation()
    first, second = (segmentation.GetSegment(segment_id) for segment_id in (two.first, two.second))
    assert (first.GetName(), second.GetName()) == ("GTVp", "GTVp2")
    assert violations("GTVp2", ["GTVp"]) == []
    assert "SCT^4147007^Mass" in term_of(first)
    assert term_of(second) == term_of(first)
    np.testing.assert_allclose(first.GetColor(), (144 / 255, 238 / 255, 144 / 255), atol=1e-6)
    assert first.GetColor() != second.GetColor()
    assert panel(two).adviceLabel.text == ""


def test_a_new_lesion_beside_segments_of_others_takes_a_free_name_and_theirs_stay(shown, scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "theirs")
    theirs = [node.GetSegmentation().AddEmptySegment("", name) for name in ("Segment_1", "gtvp")]
    before = [(segment.GetName(), term_of(segment)) for segment in map(node.GetSegmentation().GetSegment, theirs)]
    shown.ui.segmentationSelector.setCurrentNode(node)
    shown.ui.addSegmentButton.click()
    after = [(segment.GetName(), term_of(segment)) for segment in map(node.GetSegmentation().GetSegment, theirs)]
    assert after == before
    assert node.GetSegmentation().GetSegment(shown.parameters.segmentId).GetName() == "GTVp2"


def test_a_name_that_stands_for_nothing_takes_the_term_of_the_earlier_name_away(two):
    segment = two.parameters.segmentation.GetSegmentation().GetSegment(two.second)
    color = segment.GetColor()
    assert "Mass" in term_of(segment)
    name_it(two, "Cyst")
    assert "SCT^85756007^Tissue~SCT^85756007^Tissue" in term_of(segment)
    assert segment.GetColor() == color
    name_it(two, "Liver")
    assert "Liver" in term_of(segment)
    name_it(two, "Cyst2")
    assert "SCT^85756007^Tissue~SCT^85756007^Tissue" in term_of(segment)


def test_a_term_that_a_person_chose_elsewhere_stays_whatever_the_new_name_is(two):
    from MedSAM2SlicerLib.SegmentTerms import LYMPH_NODE, NEOPLASM

    segment = two.parameters.segmentation.GetSegmentation().GetSegment(two.second)
    segment.SetTag("TerminologyEntry", LYMPH_NODE.entry())
    name_it(two, "Cyst")
    assert term_of(segment) == LYMPH_NODE.entry()
    theirs = two.parameters.segmentation.GetSegmentation().AddEmptySegment("", "GTVn9")
    two.controller.chooseSegment(theirs)
    segment = two.parameters.segmentation.GetSegmentation().GetSegment(theirs)
    segment.SetTag("TerminologyEntry", NEOPLASM.entry())
    name_it(two, "Cyst of theirs")
    assert term_of(segment) == NEOPLASM.entry()


def test_a_name_that_the_standard_advises_against_is_taken_and_the_reason_said(two):
    name_it(two, "my tumour")
    assert "Spaces are not allowed" in panel(two).adviceLabel.text
    segmentation = two.parameters.segmentation.GetSegmentation()
    assert segmentation.GetSegment(two.second).GetName() == "my tumour"
    name_it(two, "GTVn")
    assert panel(two).adviceLabel.text == ""


def test_the_name_of_another_lesion_is_said(two):
    name_it(two, "GTVp")
    press_e()
    name_it(two, "GTVp")
    assert "Another segment is called GTVp" in panel(two).adviceLabel.text


def test_an_empty_name_changes_nothing(two):
    segment = two.parameters.segmentation.GetSegmentation().GetSegment(two.second)
    before = segment.GetName()
    name_it(two, "   ")
    assert segment.GetName() == before


def test_deleting_asks_in_the_panel_and_takes_the_prompts_along(two):
    from MedSAM2SlicerLib.PromptMarkups import allPrompts

    panel(two).deleteButton.click()
    assert panel(two).agreeButton.visible
    assert segments(two) == [two.first, two.second]
    panel(two).agreeButton.click()
    assert segments(two) == [two.first] == [two.parameters.segmentId]
    assert [node.GetAttribute("MedSAM2Slicer.SegmentID") for node in allPrompts()] == [two.first]
    assert not panel(two).agreeButton.visible


def test_a_deletion_that_is_declined_deletes_nothing(two):
    panel(two).deleteButton.click()
    panel(two).declineButton.click()
    assert segments(two) == [two.first, two.second]
    assert not panel(two).agreeButton.visible


def test_going_to_another_lesion_takes_the_question_away(two):
    panel(two).deleteButton.click()
    press_e()
    assert not panel(two).agreeButton.visible


def test_the_last_lesion_can_be_deleted_and_a_new_one_segmented(shown, mouse, wait_until):
    segment_lesion(shown, mouse, wait_until)
    panel(shown).deleteButton.click()
    panel(shown).agreeButton.click()
    assert segments(shown) == []
    assert not panel(shown).deleteButton.enabled
    segment_lesion(shown, mouse, wait_until)
    assert len(segments(shown)) == 1


def test_show_3d_makes_surfaces_and_they_follow_every_run(two, wait_until):
    def points(segmentId):
        segment = two.parameters.segmentation.GetSegmentation().GetSegment(segmentId)
        surface = segment.GetRepresentation("Closed surface")
        return surface.GetNumberOfPoints() if surface is not None else None

    panel(two).show3dButton.click()
    before = points(two.second)
    assert before > 0
    paint(two, 3)
    two.controller.propagate()
    wait_until(lambda: not two.controller.isBusy)
    assert panel(two).show3dButton.checked
    assert points(two.second) > 0
    panel(two).show3dButton.click()
    assert points(two.second) is None


def test_a_propagation_locks_the_lesion_panel(shown, fake_engine, mouse, wait_until):
    shown.engine.environment = fake_engine("slow")
    segmenting = shown.controller
    segmenting.setToolArmed("box", True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not segmenting.isBusy)
    segmenting.propagate()
    wait_until(lambda: segmenting.progress.done >= 1)
    assert not shown.widget.lesionPanel.widget.enabled
    wait_until(lambda: not segmenting.isBusy)
    assert shown.widget.lesionPanel.widget.enabled


def test_without_a_segment_editor_the_button_says_so(two):
    panel(two).editButton.click()
    assert "no Segment Editor" in panel(two).adviceLabel.text


def test_slices_edited_by_hand_are_noted_on_return_and_saved(two, segment_editor):
    panel(two).editButton.click()
    paint(two, 3)
    two.enter()
    assert panel(two).summaryLabel.text.endswith("edited by hand on K3")
    panel(two).editButton.click()
    paint(two, 5)
    two.enter()
    assert panel(two).summaryLabel.text.endswith("edited by hand on K3, K5")


def test_a_coronal_lesion_is_edited_on_the_same_slices_in_the_line_the_message_and_the_strip(
    shown, segment_editor, mouse, wait_until
):
    segment_lesion(shown, mouse, wait_until, (10, 20, 6), (34, 20, 14), view="Green")
    panel(shown).editButton.click()
    paint(shown, 3, row=22)
    shown.enter()
    assert panel(shown).summaryLabel.text.endswith("edited by hand on J22")
    assert "Edited by hand: J22." in shown.ui.messageLabel.text
    assert "Slice J22: edited by hand" in shown.widget.sliceStripPanel.strip.toolTipOf(cell(shown, 22))
    assert cell(shown, 22).state == "edited"


def test_a_released_slice_is_no_longer_said_to_be_edited(two, segment_editor):
    panel(two).editButton.click()
    paint(two, 3)
    paint(two, 5)
    two.enter()
    two.controller.approval.release([3])
    assert panel(two).summaryLabel.text.endswith("edited by hand on K5")


def test_the_surface_comes_back_after_an_edit_that_lost_it(two, segment_editor):
    panel(two).show3dButton.click()
    panel(two).editButton.click()
    paint(two, 3)
    two.parameters.segmentation.GetSegmentation().RemoveRepresentation("Closed surface")
    two.enter()
    assert panel(two).show3dButton.checked


def test_a_look_into_the_segment_editor_is_no_edit(two, segment_editor):
    panel(two).editButton.click()
    two.enter()
    assert "propagated" in panel(two).summaryLabel.text


def test_names_states_and_edited_slices_come_back_with_the_scene(two, segment_editor, tmp_path, app):
    import slicer

    name_it(two, "GTVp")
    panel(two).editButton.click()
    paint(two, 3)
    two.enter()
    before = panel(two).summaryLabel.text
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    app.processEvents()
    assert panel(two).summaryLabel.text == ""
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    two.widget.enter()
    assert panel(two).summaryLabel.text == before
    assert "GTVp" in [cells["name"] for cells in rows_of(two)]


def test_undo_after_a_deletion_elsewhere_says_so_and_leaves_the_other_lesion_alone(two):
    from MedSAM2SlicerLib.PromptMarkups import promptsOf

    def prompts():
        return promptsOf(two.volume, two.parameters.segmentation, two.first)

    before = prompts()
    two.parameters.segmentation.GetSegmentation().RemoveSegment(two.second)
    two.controller.undo()
    assert "was deleted" in two.ui.messageLabel.text
    assert prompts() == before
    two.controller.undo()
    assert "Undone" in two.ui.messageLabel.text
    assert prompts() == before
