"""Zoom as a person chooses it: what the engine is asked then, and what is kept."""

import json

import pytest

from panel_hands import box, idle

TITLES = ["Off: whole slices", "Automatic: small objects closely", "On: every object closely"]


@pytest.fixture
def shown(module, add_volume, ball):
    """The entered module with the ball chosen, a model of whole slices, and every request in `asked`."""
    module.volume = add_volume(ball)
    module.show(module.volume)
    module.listen()
    module.parameters.model = "sam2.1-tiny"
    return module


def propagate(module, wait_until):
    module.ui.propagateButton.click()
    wait_until(idle(module))


def test_whole_slices_are_shown_unless_a_person_says_otherwise(shown, wait_until):
    selector = shown.ui.zoomSelector
    assert [selector.itemText(row) for row in range(selector.count)] == TITLES
    assert selector.currentText == TITLES[0]
    box(shown, wait_until)
    assert shown.asked[-1].zoom == "off"


@pytest.mark.parametrize(("row", "zoom"), [(1, "auto"), (2, "on")])
def test_previews_and_propagations_are_asked_for_with_the_zoom(shown, wait_until, row, zoom):
    box(shown, wait_until)
    shown.ui.zoomSelector.setCurrentIndex(row)
    wait_until(idle(shown))
    propagate(shown, wait_until)
    kinds = {type(message).__name__: message.zoom for message in shown.asked[-2:]}
    assert kinds == {"Predict": zoom, "Propagate": zoom}


def test_after_another_zoom_space_goes_through_all_slices_again(shown, wait_until):
    box(shown, wait_until)
    propagate(shown, wait_until)
    propagate(shown, wait_until)
    assert "Nothing has changed" in shown.ui.messageLabel.text
    shown.ui.zoomSelector.setCurrentIndex(1)
    wait_until(idle(shown))
    propagate(shown, wait_until)
    assert "Done" in shown.ui.messageLabel.text
    assert shown.asked[-1].corrected is None


def test_the_choice_is_saved_with_the_scene(shown, tmp_path, app):
    import slicer

    shown.ui.zoomSelector.setCurrentIndex(2)
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(path)
    app.processEvents()
    shown.widget.enter()
    assert shown.parameters.zoom == "on"
    assert shown.ui.zoomSelector.currentText == TITLES[2]


def test_a_choice_of_another_version_counts_as_off(shown, wait_until):
    shown.parameters.zoom = "very"
    assert shown.ui.zoomSelector.currentText == TITLES[0]
    box(shown, wait_until)
    assert shown.asked[-1].zoom == "off"


def test_the_embedded_model_says_that_it_looks_closely_anyway(shown):
    shown.ui.zoomSelector.setCurrentIndex(1)
    shown.parameters.model = "embedded"
    assert not shown.ui.zoomSelector.enabled
    assert "always looks closely" in shown.ui.zoomSelector.toolTip
    shown.parameters.model = "sam2.1-tiny"
    assert shown.ui.zoomSelector.enabled
    assert shown.ui.zoomSelector.currentText == TITLES[1]


def test_slice_states_of_a_scene_from_before_there_was_a_zoom_are_read():
    from MedSAM2SlicerLib.SliceStates import SliceStates, fromText

    states = SliceStates(axis="K", settings=("both", -1, -1, "embedded", "", "off"), locked=frozenset({3}))
    fields = json.loads(states.toText())
    fields["settings"] = fields["settings"][:5]
    assert fromText(json.dumps(fields)) == states
