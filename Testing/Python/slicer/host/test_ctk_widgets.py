"""CTK's widgets where the recorded answers say nothing, but a panel relies on them."""

import pytest


@pytest.fixture
def a_section(app):
    """A collapsible section with a label in it, shown."""
    import ctk
    import qt

    section = ctk.ctkCollapsibleButton()
    layout = qt.QVBoxLayout(section)
    label = qt.QLabel("inside")
    label.name = "label"
    layout.addWidget(label)
    section.show()
    yield section
    section.close()


def test_a_collapsed_section_hides_its_contents(a_section):
    a_section.collapsed = True
    assert not a_section.label.visible
    a_section.collapsed = False
    assert a_section.label.visible


def test_what_the_module_hid_stays_hidden_when_the_section_opens(a_section):
    a_section.label.hide()
    a_section.collapsed = True
    a_section.collapsed = False
    assert not a_section.label.visible


def test_an_emptied_path_is_not_told(app):
    import ctk

    heard = []
    field = ctk.ctkPathLineEdit()
    field.connect("currentPathChanged(QString)", heard.append)
    field.currentPath = "a/model.pt"
    field.currentPath = ""
    assert heard == ["a/model.pt"]


def test_a_path_is_remembered_under_its_key(app):
    import ctk

    first = ctk.ctkPathLineEdit()
    first.settingKey = "sample"
    first.currentPath = "a/model.pt"
    first.addCurrentPathToHistory()
    second = ctk.ctkPathLineEdit()
    second.settingKey = "sample"
    assert second.currentPath == "a/model.pt"


def test_a_slider_keeps_its_value_within_a_new_range(app):
    import ctk

    slider = ctk.ctkSliderWidget()
    slider.value = 50
    slider.maximum = 20
    assert slider.value == 20
