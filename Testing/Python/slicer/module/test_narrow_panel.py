"""The panel in the narrow column that a reading room leaves it: 400 pixels, however long names and errors are."""

import pytest

NARROW = 400
LONG = "CT Abdomen with contrast agent portal venous phase 1.25 mm axial reconstruction of 2026-11-21, follow-up 3"
SECTIONS = ("inputsButton", "segmentButton", "rangeButton", "lesionsButton", "shortcutsButton", "engineButton")


@pytest.fixture
def worked(module, add_volume, ball, mouse, wait_until):
    """A propagated segment, so that the strip is shown; everything that has a name has a long one."""
    import slicer

    volume = add_volume(ball, name=LONG)
    module.show(volume)
    module.ui.boxButton.click()
    mouse.drag("Red", volume, (10, 8, 10), (34, 32, 10))
    wait_until(lambda: not module.controller.isBusy)
    module.ui.propagateButton.click()
    wait_until(lambda: not module.controller.isBusy)
    segmentation = module.parameters.segmentation
    segmentation.SetName(f"{LONG} segmentation")
    segmentation.GetSegmentation().GetSegment(module.parameters.segmentId).SetName(LONG.replace(" ", "_"))
    slicer.app.processEvents()
    return module


def narrowest(module):
    """The width in pixels that the panel needs at least, with all sections open."""
    import slicer

    for name in SECTIONS:
        getattr(module.ui, name).collapsed = False
    module.widget.updatePanels()
    slicer.app.processEvents()
    return module.widget.uiWidget.minimumSizeHint.width()


def test_the_whole_panel_fits_into_400_pixels(worked):
    assert worked.widget.sliceStripPanel.widget.visible
    worked.controller.news.say(f"Nothing was found in {LONG}. Move the prompts, or draw another.", isError=True)
    assert narrowest(worked) <= NARROW
    assert LONG in worked.ui.messageLabel.text
    assert "color" in worked.ui.messageLabel.styleSheet


@pytest.mark.parametrize("opened", ["modelsGroup", "improveGroup", "optionsGroup"])
def test_it_fits_with_each_group_of_the_engine_open(worked, opened):
    section = worked.widget.engineSection
    forms = (section.modelPanel.ui, section.improvePanel.ui, section.enginePanel.ui)
    group = next(getattr(form, opened) for form in forms if hasattr(form, opened))
    group.collapsed = False
    assert narrowest(worked) <= NARROW


def test_the_measure_sees_what_does_not_fit(worked):
    worked.ui.messageLabel.setMinimumWidth(500)
    assert narrowest(worked) > NARROW


def test_a_panel_without_volume_is_no_wider(module):
    assert narrowest(module) <= NARROW


def test_an_error_of_one_long_word_does_not_widen_the_panel(worked):
    """A path has no blanks to break at; it may break at its slashes."""
    path = "/" + "/".join(["a-rather-long-name-of-a-folder"] * 12)
    worked.controller.news.say(f"{path} cannot be written. Choose another folder.", isError=True)
    assert narrowest(worked) <= NARROW
