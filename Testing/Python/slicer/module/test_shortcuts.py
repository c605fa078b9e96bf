"""Keys: which there are, where they are shown, how they are changed, and what they must not take away."""

import pytest


@pytest.fixture
def shown(module, add_volume, ball):
    import slicer

    slicer.app.settings().remove("MedSAM2Slicer/Shortcuts")
    module.widget.shortcuts.onKeysChosen()
    module.volume = add_volume(ball)
    module.show(module.volume)
    yield module
    slicer.app.settings().remove("MedSAM2Slicer/Shortcuts")
    slicer.modules.MedSAM2SlicerWidget.shortcuts.onKeysChosen()


@pytest.fixture
def page(shown):
    """The page of the settings, as Slicer has it after its start."""
    import MedSAM2Slicer

    MedSAM2Slicer.onStartupCompleted()
    return MedSAM2Slicer.MedSAM2Slicer.shortcutsSettings


def choose(page, action, key):
    """Into the field, a key, and the field is left."""
    import qt

    edit = page.widget.findChild(qt.QKeySequenceEdit, action)
    edit.setKeySequence(qt.QKeySequence(key))
    edit.editingFinished.emit()


def reset(page):
    import qt

    page.widget.findChild(qt.QPushButton, "resetShortcutsButton").click()


def clash(module):
    return module.widget.shortcutsPanel.ui.clashLabel.text


def test_every_function_has_a_line_in_the_table(shown):
    assert {action.id for action in shown.widget.shortcuts.actions} == set(shown.widget.shortcuts._functions)


def test_all_keys_are_on_the_panel(shown):
    text = shown.widget.shortcutsPanel.ui.keysLabel.text
    for action in shown.widget.shortcuts.actions:
        assert action.title in text
        assert f"<b>{action.key}</b>" in text


def test_no_two_actions_have_the_same_default_key(app):
    from MedSAM2SlicerLib.ShortcutActions import shortcutActions
    from MedSAM2SlicerLib.ShortcutKeys import portable

    keys = [portable(action.key) for action in shortcutActions()]
    assert "" not in keys
    assert len(keys) == len(set(keys))


def test_the_settings_of_slicer_have_a_page_with_a_field_for_every_action(page):
    import qt

    from MedSAM2SlicerLib.ShortcutActions import shortcutActions

    fields = {edit.name: edit.keySequence.toString() for edit in page.widget.findChildren(qt.QKeySequenceEdit)}
    assert fields == {action.id: action.key for action in shortcutActions()}


def test_the_button_on_the_panel_opens_that_page(page, shown):
    import slicer

    shown.widget.shortcutsPanel.ui.changeButton.click()
    assert slicer.app.settingsDialog().isVisible()
    assert page.widget.isVisible()
    slicer.app.settingsDialog().hide()


def test_a_chosen_key_works_at_once_and_the_old_one_no_more(page, shown, mouse):
    choose(page, "box", "X")
    mouse.key("B")
    assert shown.controller.armedTool == ""
    mouse.key("X")
    assert shown.controller.armedTool == "box"


def test_a_chosen_key_is_named_on_the_buttons_and_in_the_list(page, shown):
    choose(page, "box", "X")
    assert shown.ui.boxButton.text == "Box (X)"
    assert "(X)" in shown.ui.boxButton.toolTip
    assert "<b>X</b>" in shown.widget.shortcutsPanel.ui.keysLabel.text
    reset(page)
    assert shown.ui.boxButton.text == "Box (B)"


def test_a_chosen_key_is_there_after_a_reload(page, shown, mouse):
    import slicer

    choose(page, "box", "X")
    shown.leave()
    shown.enter()
    assert shown.ui.boxButton.text == "Box (X)"
    slicer.util.reloadScriptedModule("MedSAM2Slicer")
    widget = slicer.modules.MedSAM2SlicerWidget
    assert widget.ui.boxButton.text == "Box (X)"
    choose(page, "box", "Shift+X")
    assert widget.ui.boxButton.text == "Box (Shift+X)"


def test_of_several_keys_in_a_row_the_first_counts(page, shown):
    choose(page, "box", "X, Y")
    assert shown.ui.boxButton.text == "Box (X)"


def test_an_action_can_go_without_a_key(page, shown, mouse):
    page.onCleared(next(action for action in shown.widget.shortcuts.actions if action.id == "box"))
    mouse.key("B")
    assert shown.controller.armedTool == ""
    assert shown.ui.boxButton.text == "Box"
    assert clash(shown) == ""


def test_two_actions_with_one_key_are_said_and_the_first_of_them_keeps_it(page, shown, mouse):
    choose(page, "positive", "B")
    expected = "B is for “Box” already, so “Point +” has no key. Choose another one."
    assert clash(shown) == expected
    mouse.key("B")
    assert shown.controller.armedTool == "box"
    reset(page)
    assert clash(shown) == ""


def test_reset_brings_all_defaults_back(page, shown, mouse):
    choose(page, "box", "X")
    choose(page, "propagate", "Ctrl+Return")
    reset(page)
    mouse.key("B")
    assert shown.controller.armedTool == "box"
    assert shown.ui.propagateButton.text == "Propagate (Space)"


@pytest.fixture
def slicer_action(shown):
    """An entry of Slicer's menus: Ctrl+S saves."""
    import qt
    import slicer

    window, done = slicer.util.mainWindow(), []
    action = qt.QAction("&Save Data", window)
    action.setShortcut(qt.QKeySequence("Ctrl+S"))
    action.connect("triggered()", lambda: done.append("saved"))
    window.addAction(action)
    yield done
    window.removeAction(action)
    action.deleteLater()


def test_a_key_of_slicer_stays_slicers_and_that_is_said(page, shown, mouse, slicer_action):
    choose(page, "box", "Ctrl+S")
    assert clash(shown) == "Ctrl+S for “Box” is already used in Slicer, for “Save Data”. Choose another key."
    mouse.key("Ctrl+S")
    assert slicer_action == ["saved"]
    assert shown.controller.armedTool == ""


def test_an_action_of_slicer_that_is_in_no_menu_is_no_obstacle(page, shown, mouse):
    import qt
    import slicer

    action = qt.QAction("Undo", slicer.util.mainWindow())
    action.setShortcut(qt.QKeySequence("Ctrl+Z"))
    shown.widget.shortcuts.onKeysChosen()
    assert clash(shown) == ""
    action.deleteLater()


def test_a_shortcut_that_another_module_left_behind_is_said(page, shown):
    import qt
    import slicer

    other = qt.QShortcut(slicer.util.mainWindow())
    other.setKey(qt.QKeySequence("B"))
    shown.leave()
    shown.enter()
    assert (
        clash(shown) == "B for “Box” is already used in Slicer, for a shortcut of another module. Choose another key."
    )
    other.setEnabled(False)
    shown.widget.shortcuts.onKeysChosen()
    assert clash(shown) == ""
    other.deleteLater()


def test_keys_typed_into_fields_of_the_panel_stay_there(shown):
    import qt
    import slicer
    from PySide6.QtTest import QTest

    line, spin, box = qt.QLineEdit(), qt.QSpinBox(), qt.QComboBox()
    box.setEditable(True)
    for field in (line, spin, box):
        shown.ui.segmentButton.layout().addWidget(field)
    slicer.app.processEvents()
    line.setFocus()
    QTest.keyClicks(line, "BPMSLEN k")
    QTest.keyClick(line, qt.Qt.Key_Home)
    QTest.keyClick(line, qt.Qt.Key_Delete)
    assert line.text == "PMSLEN k"
    QTest.keyClicks(box.lineEdit(), "B E")
    assert box.currentText == "B E"
    QTest.keyClick(spin, qt.Qt.Key_Delete)
    QTest.keyClicks(spin, "b7")
    assert spin.value == 7
    assert shown.controller.armedTool == ""
    for field in (line, spin, box):
        field.deleteLater()


def test_no_key_works_in_another_module_and_all_work_again_afterwards(shown, mouse):
    shown.leave()
    mouse.key("B")
    assert shown.controller.armedTool == ""
    shown.enter()
    mouse.key("B")
    assert shown.controller.armedTool == "box"


def test_keys_chosen_while_another_module_is_shown_wait_for_the_way_back(page, shown, mouse):
    shown.leave()
    choose(page, "box", "X")
    mouse.key("X")
    assert shown.controller.armedTool == ""
    shown.enter()
    mouse.key("X")
    assert shown.controller.armedTool == "box"


def test_two_lesions_are_made_by_keys_and_mouse_drags_only(shown, mouse, wait_until):
    def segment(from_ijk, to_ijk):
        mouse.key("B")
        mouse.drag("Red", shown.volume, from_ijk, to_ijk)
        wait_until(lambda: not shown.controller.isBusy)
        mouse.key("Space")
        wait_until(lambda: not shown.controller.isBusy)
        assert "Done" in shown.ui.messageLabel.text
        return shown.parameters.segmentId, shown.mask(shown.volume)

    first, voxels = segment((10, 8, 10), (34, 32, 10))
    mouse.key("A")
    assert "GTVp2 is new" in shown.ui.messageLabel.text
    second, _voxels = segment((16, 14, 10), (28, 26, 10))
    segmentation = shown.parameters.segmentation.GetSegmentation()
    assert list(segmentation.GetSegmentIDs()) == [first, second]
    assert [segmentation.GetSegment(one).GetName() for one in (first, second)] == ["GTVp", "GTVp2"]
    shown.controller.chooseSegment(first)
    assert (shown.mask(shown.volume) == voxels).all()


def test_the_key_for_a_new_segment_waits_for_a_propagation_and_for_the_module(shown, fake_engine, mouse, wait_until):
    shown.engine.environment = fake_engine("slow")
    mouse.key("B")
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not shown.controller.isBusy)
    mouse.key("Space")
    wait_until(lambda: shown.controller.isPropagating)
    chosen = shown.parameters.segmentId
    mouse.key("A")
    assert "Wait for the propagation" in shown.controller.message
    assert shown.parameters.segmentId == chosen
    wait_until(lambda: not shown.controller.isBusy)
    shown.leave()
    mouse.key("A")
    assert shown.parameters.segmentation.GetSegmentation().GetNumberOfSegments() == 1
    shown.enter()


def test_a_new_segment_while_a_preview_is_computed_takes_no_mask_of_the_one_before(
    shown, fake_engine, mouse, wait_until
):
    shown.engine.environment = fake_engine("slow")
    mouse.key("B")
    mouse.drag("Red", shown.volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: shown.controller.isBusy)
    first = shown.parameters.segmentId
    mouse.key("A")
    wait_until(lambda: not shown.controller.isBusy)
    assert shown.parameters.segmentId != first
    assert not shown.mask(shown.volume).any()
    assert not shown.controller.hasPreview


def test_a_key_for_a_new_segment_that_is_held_down_makes_one(shown):
    (made,) = [one for one in shown.widget.shortcuts.installed if str(one.key.toString()) == "A"]
    assert not made.autoRepeat
    assert all(one.autoRepeat for one in shown.widget.shortcuts.installed if one is not made)
