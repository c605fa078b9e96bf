"""A lesion is deleted with one agreement, comes back with one Ctrl+Z as it was, and not at all while it is approved."""

import numpy as np
import pytest

from lesion_rows import rows_of
from panel_hands import box, idle


@pytest.fixture
def lesion(shown, wait_until):
    """Three lesions; the middle one is chosen, is propagated, and has everything that a lesion can have."""
    shown.ids = []
    for _number in range(3):
        shown.ui.addSegmentButton.click()
        shown.ids.append(shown.parameters.segmentId)
        box(shown, wait_until, 10)
    shown.controller.chooseSegment(shown.ids[1])
    box(shown, wait_until, 12)
    propagate(shown, wait_until)
    shown.controller.approval.lock(9)
    segment = segment_of(shown)
    segment.SetName("My lesion")
    segment.SetColor(0.1, 0.2, 0.3)
    segment.SetTag("TerminologyEntry", "somebody's~own~choice")
    segment.SetTag("Another.Module", "its note")
    shown.parameters.segmentation.GetDisplayNode().SetSegmentOpacity2DFill(shown.ids[1], 0.35)
    shown.parameters.segmentation.GetDisplayNode().SetSegmentVisibility3D(shown.ids[1], False)
    return shown


def propagate(module, wait_until):
    module.controller.propagate()
    wait_until(idle(module))
    assert "Done" in module.controller.message, module.controller.message


def delete(module):
    """As a person does: the button, and the agreement."""
    ui = module.widget.lesionPanel.ui
    ui.deleteButton.click()
    assert ui.agreeButton.visible, module.controller.message
    ui.agreeButton.click()


def ids(module):
    return list(module.parameters.segmentation.GetSegmentation().GetSegmentIDs())


def segment_of(module, segment_id=None):
    segmentation = module.parameters.segmentation.GetSegmentation()
    return segmentation.GetSegment(segment_id or module.parameters.segmentId)


def voxels_of(module, segment_id):
    import slicer

    return slicer.util.arrayFromSegmentBinaryLabelmap(module.parameters.segmentation, segment_id, module.volume)


def tags_of(segment):
    import vtk

    names = ("SliceStates", "State", "EditedSlices", "TermOfName", "Before", "FillBefore")
    values = {}
    for name in ("TerminologyEntry", "Another.Module", *(f"MedSAM2Slicer.{name}" for name in names)):
        value = vtk.reference("")
        values[name] = str(value) if segment.GetTag(name, value) else None
    return values


def prompts_of(module, segment_id, volume=None):
    from MedSAM2SlicerLib.PromptMarkups import promptsOf
    from MedSAM2SlicerLib.PromptRecords import recordsOf

    where = (volume or module.volume, module.parameters.segmentation, segment_id)
    windows = [node.GetAttribute("MedSAM2Slicer.Window") for node in promptsOf(*where)]
    return recordsOf(*where), windows


def everything(module, segment_id):
    segment, display = segment_of(module, segment_id), module.parameters.segmentation.GetDisplayNode()
    return {
        "ids": ids(module),
        "name": segment.GetName(),
        "color": segment.GetColor(),
        "label": segment.GetLabelValue(),
        "tags": tags_of(segment),
        "prompts": prompts_of(module, segment_id),
        "fill": display.GetSegmentOpacity2DFill(segment_id),
        "3D": display.GetSegmentVisibility3D(segment_id),
        "rows": rows_of(module),
    }


def test_an_approved_lesion_is_not_deleted(lesion):
    ui = lesion.widget.lesionPanel.ui
    lesion.controller.approval.approve()
    ui.deleteButton.click()
    assert not ui.agreeButton.visible
    assert ids(lesion) == lesion.ids
    assert lesion.ui.messageLabel.text == "My lesion is approved, so it is not deleted. Withdraw the approval first."
    lesion.ui.remedyButton.click()
    assert "is withdrawn" in lesion.ui.messageLabel.text
    delete(lesion)
    assert ids(lesion) == [lesion.ids[0], lesion.ids[2]]


def test_a_lesion_that_is_approved_while_the_question_is_open_is_not_deleted(lesion):
    ui = lesion.widget.lesionPanel.ui
    ui.deleteButton.click()
    lesion.controller.approval.approve()
    ui.agreeButton.click()
    assert ids(lesion) == lesion.ids
    assert "Withdraw the approval first" in lesion.ui.messageLabel.text


def test_a_deleted_lesion_comes_back_with_undo(lesion, mouse):
    import slicer

    slicer.app.processEvents()
    deleted = lesion.ids[1]
    before, others = everything(lesion, deleted), [voxels_of(lesion, one) for one in (lesion.ids[0], lesion.ids[2])]
    voxels = voxels_of(lesion, deleted)
    assert voxels.any()
    assert len(before["prompts"][0]) == 2
    assert all(before["prompts"][1])
    delete(lesion)
    assert ids(lesion) == [lesion.ids[0], lesion.ids[2]]
    assert prompts_of(lesion, deleted) == ((), [])
    assert "Ctrl+Z brings it back" in lesion.ui.messageLabel.text
    mouse.key("Ctrl+Z")
    assert lesion.ui.messageLabel.text == "Undone: deleted My lesion."
    assert lesion.parameters.segmentId == deleted
    np.testing.assert_array_equal(voxels_of(lesion, deleted), voxels)
    assert everything(lesion, deleted) == before
    for one, expected in zip((lesion.ids[0], lesion.ids[2]), others, strict=True):
        np.testing.assert_array_equal(voxels_of(lesion, one), expected)


def test_redo_deletes_it_again_and_undo_brings_it_back_with_the_name_it_had_then(lesion, mouse):
    voxels = voxels_of(lesion, lesion.ids[1])
    delete(lesion)
    mouse.key("Ctrl+Z")
    segment_of(lesion).SetName("Renamed since")
    mouse.key("Ctrl+Y")
    assert ids(lesion) == [lesion.ids[0], lesion.ids[2]]
    assert prompts_of(lesion, lesion.ids[1]) == ((), [])
    mouse.key("Ctrl+Z")
    assert ids(lesion) == lesion.ids
    assert segment_of(lesion).GetName() == "Renamed since"
    np.testing.assert_array_equal(voxels_of(lesion, lesion.ids[1]), voxels)


def test_what_was_done_to_it_before_can_be_undone_after_it_came_back(lesion, mouse, wait_until):
    delete(lesion)
    for _step in ("deletion", "lock", "propagation"):
        mouse.key("Ctrl+Z")
        wait_until(idle(lesion))
        assert "Undone" in lesion.ui.messageLabel.text
    assert not lesion.controller.hasPreview
    assert not voxels_of(lesion, lesion.ids[1]).any()
    mouse.key("Ctrl+Z")
    wait_until(idle(lesion))
    assert len(prompts_of(lesion, lesion.ids[1])[0]) == 1
    while lesion.ui.redoButton.enabled:
        mouse.key("Ctrl+Y")
        wait_until(idle(lesion))
    assert ids(lesion) == [lesion.ids[0], lesion.ids[2]]


def test_a_prompt_of_a_lesion_that_came_back_is_followed_when_it_is_moved(lesion, mouse, wait_until):
    delete(lesion)
    mouse.key("Ctrl+Z")
    node = lesion.controller.promptNodes()[-1]
    node.SetSize(10.0, 12.0, 1.0)
    wait_until(lambda: lesion.controller.isBusy)
    wait_until(idle(lesion))
    assert lesion.controller.hasPreview


def test_a_lesion_with_a_preview_comes_back_without_it(shown, mouse, wait_until):
    box(shown, wait_until)
    assert shown.controller.hasPreview
    segment_id = shown.parameters.segmentId
    delete(shown)
    mouse.key("Ctrl+Z")
    wait_until(idle(shown))
    assert not shown.controller.hasPreview
    assert not voxels_of(shown, segment_id).any()
    assert len(prompts_of(shown, segment_id)[0]) == 1
    assert shown.parameters.segmentation.GetDisplayNode().GetSegmentOpacity2DFill(segment_id) == 1.0


def test_the_only_lesion_comes_back(shown, mouse, wait_until):
    box(shown, wait_until)
    propagate(shown, wait_until)
    segment_id, voxels = shown.parameters.segmentId, shown.mask(shown.volume)
    delete(shown)
    assert ids(shown) == []
    mouse.key("Ctrl+Z")
    assert ids(shown) == [segment_id]
    np.testing.assert_array_equal(shown.mask(shown.volume), voxels)


def test_a_lesion_that_was_shown_in_3d_comes_back_with_its_surface(lesion, mouse):
    def points():
        return segment_of(lesion, lesion.ids[1]).GetRepresentation("Closed surface").GetNumberOfPoints()

    lesion.widget.lesionPanel.ui.show3dButton.click()
    before = points()
    assert before > 0
    delete(lesion)
    mouse.key("Ctrl+Z")
    assert points() == before
    assert lesion.widget.lesionPanel.ui.show3dButton.checked


def test_the_diameters_that_were_drawn_go_and_come_back(lesion, mouse, wait_until):
    def lengths():
        from MedSAM2SlicerLib.DiameterLines import linesOf

        lines = linesOf(lesion.parameters.segmentation, lesion.ids[1])
        return {kind: node.GetLineLengthWorld() for kind, node in lines.items()}

    button = lesion.widget.lesionPanel.measures.ui.diametersButton
    wait_until(lambda: button.enabled)
    button.click()
    before = lengths()
    assert len(before) == 2
    delete(lesion)
    assert lengths() == {}
    mouse.key("Ctrl+Z")
    assert lengths() == pytest.approx(before)


def test_undo_after_the_segmentation_was_removed_says_that_there_is_nothing(lesion, mouse):
    import slicer

    delete(lesion)
    slicer.mrmlScene.RemoveNode(lesion.parameters.segmentation)
    mouse.key("Ctrl+Z")
    assert "nothing to undo" in lesion.ui.messageLabel.text
    assert slicer.util.getNodesByClass("vtkMRMLSegmentationNode") == []


def test_a_lesion_comes_back_although_its_volume_was_removed(lesion, mouse):
    import slicer

    from MedSAM2SlicerLib.PackedLabelmap import packSegment

    deleted, segmentation = lesion.ids[1], lesion.parameters.segmentation
    before = packSegment(segmentation, deleted)
    delete(lesion)
    slicer.mrmlScene.RemoveNode(lesion.volume)
    mouse.key("Ctrl+Z")
    assert list(segmentation.GetSegmentation().GetSegmentIDs()) == lesion.ids
    assert packSegment(segmentation, deleted).isSame(before)


def test_prompts_on_another_volume_go_and_come_back_too(shown, add_volume, ball, mouse, wait_until):
    box(shown, wait_until)
    other = add_volume(ball, name="MR")
    shown.ui.volumeSelector.setCurrentNode(other)
    box(shown, wait_until, 9)
    segment_id = shown.parameters.segmentId
    before = [prompts_of(shown, segment_id, volume)[0] for volume in (shown.volume, other)]
    assert [len(records) for records in before] == [1, 1]
    delete(shown)
    assert [prompts_of(shown, segment_id, volume)[0] for volume in (shown.volume, other)] == [(), ()]
    mouse.key("Ctrl+Z")
    assert [prompts_of(shown, segment_id, volume)[0] for volume in (shown.volume, other)] == before
    assert shown.parameters.volume is other


def test_a_new_lesion_never_takes_the_id_of_a_deleted_one(shown, mouse, wait_until):
    box(shown, wait_until)
    propagate(shown, wait_until)
    first, voxels = shown.parameters.segmentId, shown.mask(shown.volume)
    delete(shown)
    shown.ui.addSegmentButton.click()
    second = shown.parameters.segmentId
    assert second != first
    mouse.key("Ctrl+Z")
    assert set(ids(shown)) == {first, second}
    np.testing.assert_array_equal(voxels_of(shown, first), voxels)


def test_a_lesion_whose_id_somebody_has_taken_comes_back_beside_it_with_all_that_was_done(lesion, mouse, wait_until):
    voxels, taken = voxels_of(lesion, lesion.ids[1]), lesion.ids[1]
    delete(lesion)
    lesion.parameters.segmentation.GetSegmentation().AddEmptySegment(taken, "somebody's")
    mouse.key("Ctrl+Z")
    came = lesion.parameters.segmentId
    assert came != taken
    assert segment_of(lesion, taken).GetName() == "somebody's"
    np.testing.assert_array_equal(voxels_of(lesion, came), voxels)
    assert len(prompts_of(lesion, came)[0]) == 2
    for _step in ("lock", "propagation"):
        mouse.key("Ctrl+Z")
        wait_until(idle(lesion))
    assert not voxels_of(lesion, came).any()
    for _step in ("propagation", "lock"):
        mouse.key("Ctrl+Y")
        wait_until(idle(lesion))
    np.testing.assert_array_equal(voxels_of(lesion, came), voxels)


def test_a_lesion_of_a_shared_layer_comes_back_and_its_neighbour_stays(shown, mouse):
    import slicer

    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(shown.volume)
    shape = slicer.util.arrayFromVolume(shown.volume).shape
    labels = np.zeros(shape, np.uint8)
    labels[5, 5:15, 5:15], labels[5, 20:30, 5:15] = 1, 2
    labelmap = slicer.util.addVolumeFromArray(labels, nodeClassName="vtkMRMLLabelMapVolumeNode")
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labelmap, segmentation)
    shown.ui.segmentationSelector.setCurrentNode(segmentation)
    first, second = ids(shown)
    shown.controller.chooseSegment(second)
    label = segment_of(shown).GetLabelValue()
    assert label == 2
    delete(shown)
    np.testing.assert_array_equal(voxels_of(shown, first), labels == 1)
    mouse.key("Ctrl+Z")
    assert ids(shown) == [first, second]
    np.testing.assert_array_equal(voxels_of(shown, first), labels == 1)
    np.testing.assert_array_equal(voxels_of(shown, second), labels == 2)


def test_a_segment_that_is_a_surface_comes_back_with_it(shown, mouse, wait_until):
    box(shown, wait_until)
    propagate(shown, wait_until)
    segmentation = shown.parameters.segmentation.GetSegmentation()
    segmentation.CreateRepresentation("Closed surface")
    segmentation.SetSourceRepresentationName("Closed surface")
    segmentation.RemoveRepresentation("Binary labelmap")
    points = segment_of(shown).GetRepresentation("Closed surface").GetNumberOfPoints()
    assert points > 0
    delete(shown)
    mouse.key("Ctrl+Z")
    assert segment_of(shown).GetRepresentation("Closed surface").GetNumberOfPoints() == points


def test_a_lesion_that_was_changed_by_hand_since_it_came_back_is_not_deleted_again(lesion, mouse):
    import slicer

    delete(lesion)
    mouse.key("Ctrl+Z")
    painted = voxels_of(lesion, lesion.ids[1]).copy()
    painted[3, 2, 2] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        painted, lesion.parameters.segmentation, lesion.ids[1], lesion.volume
    )
    mouse.key("Ctrl+Y")
    assert "changed by other means" in lesion.ui.messageLabel.text
    assert ids(lesion) == lesion.ids


def test_under_another_transform_a_lesion_waits_until_its_place_is_there_again(lesion, mouse):
    import slicer

    segmentation, voxels = lesion.parameters.segmentation, voxels_of(lesion, lesion.ids[1])
    delete(lesion)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Moved")
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    mouse.key("Ctrl+Z")
    assert "Take it out of the transform" in lesion.ui.messageLabel.text
    assert ids(lesion) == [lesion.ids[0], lesion.ids[2]]
    segmentation.SetAndObserveTransformNodeID(None)
    mouse.key("Ctrl+Z")
    np.testing.assert_array_equal(voxels_of(lesion, lesion.ids[1]), voxels)


def test_the_only_lesion_comes_back_to_its_place_although_the_segmentation_was_moved(shown, mouse, wait_until):
    import slicer

    box(shown, wait_until)
    propagate(shown, wait_until)
    voxels, segmentation = shown.mask(shown.volume), shown.parameters.segmentation
    delete(shown)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Moved")
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    mouse.key("Ctrl+Z")
    assert segmentation.GetParentTransformNode() is None
    np.testing.assert_array_equal(shown.mask(shown.volume), voxels)


def test_the_question_names_the_key_that_undoes_it(lesion):
    import slicer

    label = lesion.widget.lesionPanel.ui.confirmationLabel
    assert "Undo brings them back (Ctrl+Z)" in label.text
    slicer.app.settings().setValue("MedSAM2Slicer/Shortcuts/undo", "Ctrl+U")
    lesion.widget.shortcuts.onKeysChosen()
    assert "Undo brings them back (Ctrl+U)" in label.text
    slicer.app.settings().remove("MedSAM2Slicer/Shortcuts")
    lesion.widget.shortcuts.onKeysChosen()
