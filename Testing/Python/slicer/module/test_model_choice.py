"""Model and device as a person chooses them: from the engine's own list, before it runs and after."""

from __future__ import annotations

import dataclasses

import pytest

from medsam2_protocol.messages import DeviceInfo, Hello, ModelInfo

EMBEDDED = ModelInfo("embedded", "Embedded", "Works at once.", "Apache-2.0", True)
TINY = ModelInfo("sam2.1-tiny", "SAM 2.1 Hiera-T", "General images.", "Apache-2.0", True)
MEDSAM2 = ModelInfo("medsam2-latest", "MedSAM2 (latest)", "Any lesion.", "CC BY-SA 4.0, research only", False)
AUTO = DeviceInfo("auto", "Automatic: CPU", "cuda: it computes wrong results")
CPU = DeviceInfo("cpu", "CPU, 4 threads", "")


def hello(*models, devices=(AUTO, CPU)):
    return Hello(1, "1.0", models, ("box",), devices, 1)


@pytest.fixture
def lists(module):
    """The lists of the module; afterwards nothing is left in the settings."""
    import slicer

    from MedSAM2SlicerLib.EngineLists import SETTING

    yield module.widget.engineSection.lists
    slicer.app.settings().remove(SETTING)


@pytest.fixture
def told(module, lists):
    """The module after an engine has said hello with three models, one of them not installed."""
    module.engine.hello = hello(MEDSAM2, EMBEDDED, TINY)
    module.widget.updatePanels()
    return module


def titles(selector):
    return [selector.itemText(index) for index in range(selector.count)]


def choose(selector, title):
    """As the mouse or the keys do, which pass over what is disabled."""
    index = selector.findText(title)
    if index in enabled(selector):
        selector.setCurrentIndex(index)


def enabled(selector):
    import qt

    flags = [selector.model().flags(selector.model().index(row, 0)) for row in range(selector.count)]
    return [row for row, flag in enumerate(flags) if flag & qt.Qt.ItemIsEnabled]


def test_the_list_is_the_engines_own_with_what_is_installed_first(told):
    assert titles(told.ui.modelSelector) == ["Embedded", "SAM 2.1 Hiera-T", "MedSAM2 (latest)"]
    assert titles(told.ui.deviceSelector) == ["Automatic: CPU", "CPU, 4 threads"]


def test_one_line_says_what_the_choice_is_for(told):
    choose(told.ui.modelSelector, "SAM 2.1 Hiera-T")
    assert told.ui.modelLineLabel.text == "General images. Licence: Apache-2.0."
    assert told.ui.modelSelector.toolTip == told.ui.modelLineLabel.text
    choose(told.ui.deviceSelector, "CPU, 4 threads")
    assert told.ui.deviceLineLabel.text == "Works everywhere, slower than a GPU."


def test_the_device_line_says_why_another_one_is_not_used(told):
    assert told.ui.deviceLineLabel.text == "The fastest that works here. cuda: it computes wrong results"


def test_what_is_not_installed_is_shown_and_cannot_be_chosen(told):
    import qt

    choose(told.ui.modelSelector, "MedSAM2 (latest)")
    assert told.parameters.model == "embedded"
    row = told.ui.modelSelector.findText("MedSAM2 (latest)")
    assert "get it under Models" in told.ui.modelSelector.itemData(row, qt.Qt.ToolTipRole)


def test_the_choice_is_kept_in_the_scene(told):
    choose(told.ui.modelSelector, "SAM 2.1 Hiera-T")
    choose(told.ui.deviceSelector, "CPU, 4 threads")
    assert (told.parameters.model, told.parameters.device) == ("sam2.1-tiny", "cpu")
    told.leave()
    told.enter()
    assert told.ui.modelSelector.currentText == "SAM 2.1 Hiera-T"


def test_the_last_list_is_there_before_the_engine_runs(told):
    import slicer

    slicer.util.reloadScriptedModule("MedSAM2Slicer")
    ui = slicer.modules.MedSAM2SlicerWidget.ui
    assert titles(ui.modelSelector) == ["Embedded", "SAM 2.1 Hiera-T", "MedSAM2 (latest)"]
    assert slicer.modules.MedSAM2SlicerWidget.engine.hello is None


def test_before_the_first_engine_ever_what_ships_is_offered(module, lists):
    import slicer

    from MedSAM2SlicerLib.EngineLists import SETTING

    slicer.app.settings().setValue(SETTING, "written by another version")
    slicer.util.reloadScriptedModule("MedSAM2Slicer")
    ui = slicer.modules.MedSAM2SlicerWidget.ui
    assert titles(ui.modelSelector) == ["Embedded model"]
    assert titles(ui.deviceSelector) == ["Automatic"]


def test_a_model_chosen_elsewhere_stays_and_is_said_to_be_unknown(told):
    told.parameters.model = "liver-of-another-hospital"
    assert told.ui.modelSelector.currentText == "liver-of-another-hospital"
    assert "does not know liver-of-another-hospital" in told.ui.modelLineLabel.text
    assert "color" in told.ui.modelLineLabel.styleSheet


def test_a_chosen_model_that_was_removed_stays_and_says_how_to_get_it(told):
    told.parameters.model = "sam2.1-tiny"
    told.engine.hello = hello(EMBEDDED, dataclasses.replace(TINY, installed=False))
    told.widget.updatePanels()
    assert told.ui.modelSelector.currentText == "SAM 2.1 Hiera-T"
    assert "Not installed: get it under Models below." in told.ui.modelLineLabel.text


def test_the_notice_of_the_embedded_model_goes_with_it(told):
    assert not told.ui.modelNoticeLabel.isHidden()
    choose(told.ui.modelSelector, "SAM 2.1 Hiera-T")
    assert told.ui.modelNoticeLabel.isHidden()


def test_without_a_scene_nothing_can_be_chosen(told):
    told.widget.engineSection.setParameters(None)
    assert not told.ui.modelSelector.enabled
    told.widget.engineSection.setParameters(told.parameters)
    assert told.ui.modelSelector.enabled


@pytest.mark.parametrize(
    ("model", "smaller"),
    [
        ("large", "small"),  # 90 of 100 would hardly help, and "medium" is not installed
        ("nearly", "small"),
        ("small", "embedded"),
        ("unknown size", "embedded"),
        ("no such", "embedded"),
        ("embedded", "embedded"),
    ],
)
def test_the_next_smaller_model_is_an_installed_one_that_needs_clearly_less(app, model, smaller):
    from MedSAM2SlicerLib.EngineLists import EngineLists

    sizes = {"large": 100, "embedded": 8, "nearly": 90, "medium": 60, "small": 50, "unknown size": 0}
    lists = EngineLists()
    lists.models = tuple(ModelInfo(one, one, "", "", one != "medium", size) for one, size in sizes.items())
    assert lists.smaller(model).id == smaller
