"""The list of all lesions, used with mouse and keys: look, choose, hide, colour, rename, many of them."""

import numpy as np
import pytest

from lesion_rows import (
    cell_of,
    choose_suggestion,
    chosen_row,
    click,
    double_click,
    editor_of,
    open_editor,
    rows_of,
    table_of,
    type_name,
)


@pytest.fixture
def three(shown):
    """Three segments: a painted one, an empty one, and the chosen one, painted as well."""
    shown.ids = [new_lesion(shown, name, k) for name, k in (("GTVp", 5), ("GTVn", None), ("GTVn2", 12))]
    return shown


def new_lesion(module, name, k=None):
    """A segment with 1000 voxels of 1 mm around slice k, or with none."""
    import slicer

    module.controller.addSegment()
    parameters = module.parameters
    parameters.segmentation.GetSegmentation().GetSegment(parameters.segmentId).SetName(name)
    if k is not None:
        voxels = np.zeros((20, 40, 44), np.uint8)
        voxels[k - 2 : k + 3, 10:20, 10:30] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            voxels, parameters.segmentation, parameters.segmentId, module.volume
        )
    module.widget.updatePanels()
    slicer.app.processEvents()
    return parameters.segmentId


def segment_of(module, index):
    return module.parameters.segmentation.GetSegmentation().GetSegment(module.ids[index])


def is_shown(module, index):
    return module.parameters.segmentation.GetDisplayNode().GetSegmentVisibility(module.ids[index])


def test_every_lesion_has_a_row_with_name_volume_and_state(three):
    assert [(row["name"], row["volume"], row["state"]) for row in rows_of(three)] == [
        ("GTVp", "1.00 ml", "prompted"),
        ("GTVn", "–", "empty"),
        ("GTVn2", "1.00 ml", "prompted"),
    ]
    assert chosen_row(three) == 2


def test_a_click_on_a_row_chooses_the_lesion_and_shows_it(three):
    import slicer

    click(three, cell_of(three, three.ids[0], "name"))
    assert three.parameters.segmentId == three.ids[0]
    assert chosen_row(three) == 0
    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    assert abs(node.GetSliceOffset() - 5) <= 0.5


def test_the_arrow_keys_go_through_the_list(three):
    import qt
    from PySide6.QtTest import QTest

    click(three, cell_of(three, three.ids[0], "name"))
    QTest.keyClick(table_of(three), qt.Qt.Key_Down)
    assert three.parameters.segmentId == three.ids[1]


def test_a_click_on_the_eye_hides_and_shows_without_choosing(three):
    click(three, cell_of(three, three.ids[0], "eye"))
    assert not is_shown(three, 0)
    three.widget.updatePanels()
    assert "Hidden" in cell_of(three, three.ids[0], "eye").toolTip()
    click(three, cell_of(three, three.ids[0], "eye"))
    assert is_shown(three, 0)
    assert three.parameters.segmentId == three.ids[2]
    assert chosen_row(three) == 2


def test_two_clicks_on_the_eye_in_a_row_are_two_clicks(three):
    click(three, cell_of(three, three.ids[0], "eye"))
    click(three, cell_of(three, three.ids[0], "eye"))
    assert is_shown(three, 0)


def test_a_lesion_hidden_elsewhere_is_seen_as_hidden_in_the_list(three):
    import slicer

    three.parameters.segmentation.GetDisplayNode().SetSegmentVisibility(three.ids[1], False)
    slicer.app.processEvents()
    assert "Hidden" in cell_of(three, three.ids[1], "eye").toolTip()


def test_a_segment_renamed_elsewhere_has_its_new_name_in_the_list(three):
    import slicer

    segment_of(three, 1).SetName("Liver")
    slicer.app.processEvents()
    assert rows_of(three)[1]["name"] == "Liver"


def test_the_colour_dialog_blocks_nothing_and_the_views_follow_it(three):
    import qt

    click(three, cell_of(three, three.ids[0], "color"))
    (dialog,) = color_dialogs()
    assert dialog.isVisible()
    assert not dialog.isModal()
    dialog.setCurrentColor(qt.QColor(255, 0, 0))
    assert segment_of(three, 0).GetColor() == (1.0, 0.0, 0.0)
    dialog.accept()
    assert segment_of(three, 0).GetColor() == (1.0, 0.0, 0.0)
    assert three.parameters.segmentId == three.ids[2]


def test_cancel_in_the_colour_dialog_brings_the_old_colour_back(three):
    import qt

    before = segment_of(three, 0).GetColor()
    click(three, cell_of(three, three.ids[0], "color"))
    (dialog,) = color_dialogs()
    dialog.setCurrentColor(qt.QColor(255, 0, 0))
    dialog.reject()
    assert segment_of(three, 0).GetColor() == pytest.approx(before)


def test_a_lesion_deleted_while_its_colour_is_chosen_is_no_trouble(three):
    import qt
    import slicer

    click(three, cell_of(three, three.ids[0], "color"))
    (dialog,) = color_dialogs()
    three.parameters.segmentation.GetSegmentation().RemoveSegment(three.ids[0])
    dialog.setCurrentColor(qt.QColor(255, 0, 0))
    dialog.reject()
    slicer.app.processEvents()
    assert len(rows_of(three)) == 2


def color_dialogs():
    import qt
    import slicer

    slicer.app.processEvents()
    return [one for one in slicer.util.mainWindow().findChildren(qt.QColorDialog) if one.isVisible()]


def test_a_name_is_edited_in_its_row_and_enter_takes_it(three):
    open_editor(three, three.ids[0])
    type_name(three, "GTVp_Liver")
    assert segment_of(three, 0).GetName() == "GTVp_Liver"
    assert rows_of(three)[0]["name"] == "GTVp_Liver"
    assert editor_of(three) is None


def test_typing_the_name_of_another_lesion_is_not_completed_to_a_suggestion(three):
    open_editor(three, three.ids[1])
    type_name(three, "GTVp")
    assert segment_of(three, 1).GetName() == "GTVp"


def test_a_suggestion_is_taken_as_it_is_chosen(three):
    choose_suggestion(three, open_editor(three, three.ids[1]), 0)
    assert segment_of(three, 1).GetName() == "GTVp2"


def test_a_name_left_for_another_widget_is_taken(three):
    open_editor(three, three.ids[0])
    type_name(three, "GTVp_Liver", end=None)
    click(three, cell_of(three, three.ids[2], "name"))
    assert segment_of(three, 0).GetName() == "GTVp_Liver"


def test_escape_leaves_the_name_as_it_was(three, mouse):
    open_editor(three, three.ids[0])
    type_name(three, "something else", end=None)
    mouse.key("Esc")
    assert editor_of(three) is None
    assert segment_of(three, 0).GetName() == "GTVp"


def test_f2_edits_the_name_of_the_chosen_lesion(three, mouse):
    mouse.key("F2")
    assert editor_of(three).currentText == "GTVn2"


def test_letters_typed_into_a_name_are_no_shortcuts(three):
    three.ui.undoButton.setFocus()
    open_editor(three, three.ids[0])
    type_name(three, "BPM_E", end=None)
    assert editor_of(three).currentText == "BPM_E"
    assert not three.controller.isArmed
    assert three.parameters.segmentId == three.ids[0]


def test_a_lesion_deleted_while_its_name_is_edited_takes_the_editor_along(three):
    import slicer

    open_editor(three, three.ids[0])
    three.parameters.segmentation.GetSegmentation().RemoveSegment(three.ids[0])
    slicer.app.processEvents()
    assert editor_of(three) is None
    assert [row["name"] for row in rows_of(three)] == ["GTVn", "GTVn2"]


def test_very_long_names_are_kept_whole_and_the_list_is_no_wider(three):
    name = "Metastasis_" * 30
    open_editor(three, three.ids[0])
    type_name(three, name)
    assert segment_of(three, 0).GetName() == name
    assert name in cell_of(three, three.ids[0], "name").toolTip()
    header = table_of(three).horizontalHeader()
    assert header.length() <= table_of(three).viewport().width


def test_a_hundred_lesions_are_listed_and_e_brings_the_next_one_into_sight(three, mouse):
    for number in range(97):
        new_lesion(three, f"GTVn{number + 3}")
    assert len(rows_of(three)) == 100
    mouse.key("E")
    assert chosen_row(three) == 0
    table = table_of(three)
    assert table.viewport().rect.contains(table.visualItemRect(table.item(0, 2)).center())
    mouse.key("Shift+E")
    assert chosen_row(three) == 99
    assert table.viewport().rect.contains(table.visualItemRect(table.item(99, 2)).center())


def test_a_lesion_deleted_elsewhere_while_another_propagates_leaves_the_list(shown, fake_engine, mouse, wait_until):
    import slicer

    shown.engine.environment = fake_engine("slow")
    shown.ids = [new_lesion(shown, "GTVn", 5), new_lesion(shown, "GTVp")]
    shown.controller.setToolArmed("box", True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not shown.controller.isBusy)
    shown.controller.propagate()
    wait_until(lambda: shown.controller.isPropagating)
    shown.parameters.segmentation.GetSegmentation().RemoveSegment(shown.ids[0])
    slicer.app.processEvents()
    wait_until(lambda: not shown.controller.isBusy)
    (row,) = rows_of(shown)
    assert (row["name"], row["state"]) == ("GTVp", "propagated")


def test_the_volume_grows_in_the_list_while_a_propagation_goes_on(shown, fake_engine, mouse, wait_until):
    shown.engine.environment = fake_engine("slow")
    shown.controller.setToolArmed("box", True)
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not shown.controller.isBusy)
    shown.controller.propagate()
    before = rows_of(shown)[0]["volume"]
    wait_until(lambda: shown.controller.isPropagating and rows_of(shown)[0]["volume"] not in ("–", before))
    wait_until(lambda: not shown.controller.isBusy)


def test_another_segmentation_has_its_own_rows(three, scene):
    other = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    three.ui.segmentationSelector.setCurrentNode(other)
    assert rows_of(three) == []
    other.GetSegmentation().AddEmptySegment("", "CTVp")
    import slicer

    slicer.app.processEvents()
    assert [row["name"] for row in rows_of(three)] == ["CTVp"]


def test_a_double_click_on_the_eye_edits_no_name(three):
    double_click(three, cell_of(three, three.ids[0], "eye"))
    assert editor_of(three) is None
