"""Mistakes that real PythonQt punishes, or would let pass in silence."""

import pytest

import slicerhost


@pytest.fixture
def a_button(app):
    import qt

    return qt.QPushButton("x")


def test_a_misspelt_attribute_is_an_error(a_button):
    with pytest.raises(AttributeError):
        a_button.enabeld = True


def test_a_misspelt_signal_is_an_error(a_button):
    with pytest.raises(ValueError, match="clickd"):
        a_button.connect("clickd()", print)


def test_a_property_cannot_be_called(a_button):
    with pytest.raises(TypeError):
        a_button.text()


def test_font_metrics_cannot_be_returned_but_made_from_a_font(a_button):
    import qt

    with pytest.raises(ValueError, match="QFontMetrics"):
        a_button.fontMetrics()
    assert qt.QFontMetrics(a_button.font).height() > 0


def test_an_exception_in_a_slot_is_recorded_and_the_emitter_goes_on(a_button):
    a_button.connect("clicked()", lambda: 1 / 0)
    a_button.click()
    ((_slot, error),) = slicerhost.slot_errors
    slicerhost.slot_errors.clear()
    assert isinstance(error, ZeroDivisionError)


def test_an_exception_in_a_vtk_observer_is_recorded(scene):
    tag = scene.AddObserver(scene.NodeAddedEvent, lambda *_: 1 / 0)
    scene.AddNewNodeByClass("vtkMRMLTextNode")
    scene.RemoveObserver(tag)
    ((_slot, error),) = slicerhost.slot_errors
    slicerhost.slot_errors.clear()
    assert isinstance(error, ZeroDivisionError)


def test_a_toggled_button_tells_its_state(a_button):
    heard = []
    a_button.checkable = True
    a_button.connect("toggled(bool)", heard.append)
    a_button.click()
    a_button.checked = False
    assert heard == [True, False]


def test_a_disconnected_slot_is_not_called(a_button):
    heard = []
    a_button.clicked.connect(heard.append)
    assert a_button.clicked.disconnect(heard.append)
    a_button.click()
    assert heard == []


def test_a_single_shot_timer_fires_once(app, wait_until):
    import qt

    fired = []
    qt.QTimer.singleShot(1, lambda: fired.append(True))
    wait_until(lambda: fired)
    app.processEvents()
    assert fired == [True]


def test_a_ui_file_with_an_unknown_widget_is_refused(app, tmp_path):
    import slicer

    ui_file = tmp_path / "x.ui"
    ui_file.write_text('<ui version="4.0"><widget class="qMRMLNoSuchWidget" name="x"/></ui>')
    with pytest.raises(RuntimeError, match="qMRMLNoSuchWidget"):
        slicer.util.loadUI(str(ui_file))


def test_settings_belong_to_the_test_run(app):
    import qt
    import slicer

    slicer.app.settings().setValue("a/key", 3)
    assert int(qt.QSettings().value("a/key")) == 3
    assert qt.QSettings().fileName().startswith(slicer.app.temporaryPath)
