"""The window: chosen in the panel, sent with every request, kept with the prompt and saved with the scene."""

import numpy as np
import pytest

UNITS = {"CT": ("[hnsf'U]", "Hounsfield unit"), "PET": ("g/ml", "SUV")}


@pytest.fixture
def shown(module, add_volume, ball):
    module.volume = add_volume(ball)
    module.show(module.volume)
    module.listen()
    return module


def set_unit(volume, unit):
    import slicer

    coded = slicer.vtkCodedEntry()
    coded.SetValueSchemeMeaning(UNITS[unit][0], "UCUM", UNITS[unit][1])
    volume.SetVoxelValueUnits(coded)


def panel(module):
    return module.widget.windowPanel.ui


def choose(module, name):
    selector = panel(module).windowSelector
    assert selector.findData(name) >= 0, name
    selector.setCurrentIndex(selector.findData(name))


def offered(module):
    selector = panel(module).windowSelector
    return [selector.itemData(index) for index in range(selector.count)]


def draw(module, mouse, wait_until, size=(34, 32)):
    module.controller.setBoxArmed(True)
    mouse.drag("Red", module.volume, (10, 8, 10), (*size, 10))
    wait_until(lambda: not module.controller.isBusy)
    assert module.controller.hasPreview, module.controller.message


def box_of(module):
    import slicer

    return slicer.util.getNodesByClass("vtkMRMLMarkupsROINode")[-1]


def sent(module):
    """The window of the last request, as a pair."""
    window = module.asked[-1].window
    return (window.lower, window.upper) if window is not None else None


def test_without_a_volume_there_is_nothing_to_choose(module):
    assert not module.widget.windowPanel.widget.enabled
    assert panel(module).windowLabel.text == ""


def test_what_is_offered_fits_the_volume(module, add_volume, ball):
    ct, pet = add_volume(ball, name="CT"), add_volume(ball, name="PET")
    set_unit(ct, "CT")
    set_unit(pet, "PET")
    module.show(ct)
    assert offered(module) == [
        "auto",
        "displayed",
        "abdomen",
        "mediastinum",
        "lung",
        "brain",
        "bone",
        "liver",
    ]
    module.show(pet)
    assert offered(module) == ["auto", "suv", "percentiles", "displayed"]


def test_a_window_of_ct_is_not_used_for_a_pet(module, add_volume, ball):
    ct, pet = add_volume(ball, name="CT"), add_volume(ball, name="PET")
    set_unit(ct, "CT")
    set_unit(pet, "PET")
    module.show(ct)
    choose(module, "lung")
    module.show(pet)
    assert panel(module).windowSelector.currentText == "Automatic"


def test_the_line_says_what_the_choice_comes_to(shown):
    choose(shown, "abdomen")
    assert panel(shown).windowLabel.text == "Abdomen: −160 to 240"


def test_the_chosen_window_goes_with_preview_and_propagation(shown, mouse, wait_until):
    choose(shown, "abdomen")
    draw(shown, mouse, wait_until)
    assert sent(shown) == (-160, 240)
    shown.controller.propagate()
    wait_until(lambda: not shown.controller.isBusy)
    assert type(shown.asked[-1]).__name__ == "Propagate"
    assert sent(shown) == (-160, 240)


def test_automatic_leaves_it_to_the_engine(shown, mouse, wait_until):
    choose(shown, "auto")
    draw(shown, mouse, wait_until)
    assert sent(shown) is None


def test_as_displayed_follows_the_display_and_the_line_follows_too(shown, mouse, wait_until):
    choose(shown, "displayed")
    display = shown.volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(100, 50)
    assert panel(shown).windowLabel.text == "As displayed: 0 to 100"
    draw(shown, mouse, wait_until)
    assert sent(shown) == (0, 100)
    display.SetWindowLevel(200, 50)
    assert panel(shown).windowLabel.text == "As displayed: −50 to 150"


def test_a_propagation_keeps_the_window_of_its_preview(shown, mouse, wait_until):
    choose(shown, "displayed")
    display = shown.volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(100, 50)
    draw(shown, mouse, wait_until)
    display.SetWindowLevel(300, 50)
    shown.controller.propagate()
    wait_until(lambda: not shown.controller.isBusy)
    assert sent(shown) == (0, 100)


def test_the_window_is_kept_with_the_prompt(shown, mouse, wait_until):
    choose(shown, "lung")
    draw(shown, mouse, wait_until)
    assert box_of(shown).GetAttribute("MedSAM2Slicer.Window") == "lung|-1350.0|150.0"


def test_another_choice_gives_a_new_preview(shown, mouse, wait_until):
    draw(shown, mouse, wait_until)
    choose(shown, "bone")
    wait_until(lambda: not shown.controller.isBusy)
    assert shown.controller.hasPreview
    assert sent(shown) == (-500, 1300)
    assert box_of(shown).GetAttribute("MedSAM2Slicer.Window").startswith("bone|")


def test_another_choice_after_a_propagation_counts_for_the_next_one(shown, mouse, wait_until):
    draw(shown, mouse, wait_until)
    shown.controller.propagate()
    wait_until(lambda: not shown.controller.isBusy)
    count = len(shown.asked)
    choose(shown, "liver")
    assert len(shown.asked) == count
    shown.controller.propagate()
    wait_until(lambda: not shown.controller.isBusy)
    assert sent(shown) == (-45, 105)


def test_the_ends_of_a_range_can_be_set(shown, mouse, wait_until):
    choose(shown, "suv")
    assert panel(shown).rangeWidget.visible
    panel(shown).upperBox.value = 4.5
    panel(shown).lowerBox.value = 0.5
    assert shown.parameters.window == "suv:0.5:4.5"
    draw(shown, mouse, wait_until)
    assert sent(shown) == (0.5, 4.5)
    choose(shown, "brain")
    assert not panel(shown).rangeWidget.visible


def test_a_range_the_wrong_way_round_is_said_and_not_used(shown):
    choose(shown, "suv")
    panel(shown).lowerBox.value = 12
    assert "smaller" in panel(shown).windowLabel.text
    assert shown.parameters.window == "suv"


def test_a_window_that_makes_no_sense_is_said_and_left_to_the_engine(module, add_volume, ball, mouse, wait_until):
    module.volume = add_volume(ball * 100, name="Counts")
    module.show(module.volume)
    choose(module, "suv")
    assert "no SUV" in panel(module).windowLabel.text
    assert "the engine chooses" in panel(module).windowLabel.text
    draw(module, mouse, wait_until)
    assert box_of(module).GetAttribute("MedSAM2Slicer.Window") == "auto"


def test_a_choice_in_the_panel_touches_neither_voxels_nor_display(shown, ball):
    import slicer

    display = shown.volume.GetDisplayNode()
    before = (shown.volume.GetImageData().GetMTime(), display.GetMTime())
    for name in offered(shown):
        choose(shown, name)
    assert (shown.volume.GetImageData().GetMTime(), display.GetMTime()) == before
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(shown.volume), ball)


def test_choice_and_windows_of_prompts_come_back_with_the_scene(shown, mouse, wait_until, tmp_path, app):
    import slicer

    choose(shown, "suv")
    panel(shown).upperBox.value = 4.5
    draw(shown, mouse, wait_until)
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    app.processEvents()
    assert panel(shown).windowLabel.text == ""
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    app.processEvents()
    shown.widget.enter()
    assert panel(shown).windowLabel.text == "SUV range: 0 to 4.5"
    assert box_of(shown).GetAttribute("MedSAM2Slicer.Window") == "suv:0:4.5|0.0|4.5"


def test_a_window_from_a_newer_version_is_read_as_the_default(shown):
    shown.parameters.window = "by-magic:7"
    assert panel(shown).windowSelector.currentText == "Automatic"


def test_the_panel_lets_go_of_a_volume_that_is_deleted(shown, app):
    import slicer

    choose(shown, "displayed")
    slicer.mrmlScene.RemoveNode(shown.volume)
    app.processEvents()
    assert panel(shown).windowLabel.text == ""
    assert not shown.widget.windowPanel.widget.enabled
