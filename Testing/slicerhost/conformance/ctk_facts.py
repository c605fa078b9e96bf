"""What do CTK's widgets answer from Python? See ``answers`` for how to run the questions."""

import os
import sys
from collections.abc import Callable
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ctk
from answers import Answers, after, assigned

Ask = Callable[[str, Callable[[], Any]], None]


def ask_all(ask: Ask) -> None:
    collapsible_button(ask)
    slider_widget(ask)
    range_widget(ask)
    path_line_edit(ask)
    directory_button(ask)
    other_widgets(ask)


def collapsible_button(ask: Ask) -> None:
    button = ctk.ctkCollapsibleButton()
    heard: list[Any] = []
    ask("ccb.text", lambda: assigned(button, "text", "T"))
    ask("ccb.collapsed", lambda: assigned(button, "collapsed", True))
    ask("ccb.checked when collapsed", lambda: button.checked)
    ask("ccb.setCollapsed", lambda: after(button.setCollapsed(False), button.collapsed))
    signal = "contentsCollapsed(bool)"
    ask("ccb.contentsCollapsed sig", lambda: button.connect(signal, lambda on: heard.append(("cc", on))))
    heard.clear()
    button.collapsed = True
    ask("ccb emitted", lambda: heard)
    ask("ccb.flat", lambda: button.flat)
    ask("ccb.foo", lambda: assigned(button, "foo", 1))


def slider_widget(ask: Ask) -> None:
    slider = ctk.ctkSliderWidget()
    names = ("minimum", "maximum", "value", "singleStep", "decimals", "pageStep")
    ask("sw defaults", lambda: [getattr(slider, name) for name in names])
    ask("sw.value=150", lambda: assigned(slider, "value", 150))
    ask("sw.maximum=500", lambda: assigned(slider, "maximum", 500))
    ask("sw.value=120.456", lambda: assigned(slider, "value", 120.456))
    ask("sw.setValue", lambda: _set_value(slider, 3))
    ask("sw.setMaximum", lambda: after(slider.setMaximum(10), slider.maximum))
    ask("sw.setRange", lambda: after(slider.setRange(1, 9), [slider.minimum, slider.maximum]))
    ask("sw.setDecimals", lambda: after(slider.setDecimals(1), slider.decimals))
    ask("sw.setSingleStep", lambda: after(slider.setSingleStep(0.5), slider.singleStep))
    ask("sw.suffix", lambda: assigned(slider, "suffix", " mm"))
    ask("sw.value()", lambda: slider.value())
    heard: list[float] = []
    ask("sw.connect", lambda: slider.connect("valueChanged(double)", lambda value: heard.append(value)))
    slider.value = 5
    ask("sw emitted", lambda: heard)
    ask("sw.valueIsChanging", lambda: slider.connect("valueIsChanging(double)", lambda value: 0))


def _set_value(slider: Any, value: float) -> float:
    slider.setValue(value)
    return slider.value


def range_widget(ask: Ask) -> None:
    widget = ctk.ctkRangeWidget()
    names = ("minimum", "maximum", "minimumValue", "maximumValue")

    def values() -> list[float]:
        return [widget.minimumValue, widget.maximumValue]

    ask("rw defaults", lambda: [getattr(widget, name) for name in names])
    ask("rw.maximum", lambda: assigned(widget, "maximum", 50))
    ask("rw.setValues", lambda: after(widget.setValues(3, 7), values()))
    ask("rw.minimumValue=9", lambda: after(setattr(widget, "minimumValue", 9), values()))


def path_line_edit(ask: Ask) -> None:
    edit = ctk.ctkPathLineEdit()
    heard: list[str] = []
    ask("pl.currentPath", lambda: assigned(edit, "currentPath", "/tmp/x"))
    ask("pl.setCurrentPath", lambda: after(edit.setCurrentPath("/y"), edit.currentPath))
    ask("pl.filters", lambda: int(edit.filters))
    ask("pl.filters=", lambda: int(assigned(edit, "filters", ctk.ctkPathLineEdit.Files)))
    ask("pl.nameFilters", lambda: assigned(edit, "nameFilters", ["*.pt"]))
    ask("pl.settingKey", lambda: assigned(edit, "settingKey", "k"))
    ask("pl.connect", lambda: edit.connect("currentPathChanged(QString)", lambda path: heard.append(path)))
    edit.currentPath = "/z"
    ask("pl emitted", lambda: heard)


def directory_button(ask: Ask) -> None:
    button = ctk.ctkDirectoryButton()
    ask("db.directory", lambda: assigned(button, "directory", "/tmp"))
    ask("db.text", lambda: isinstance(button.text, str))
    ask("db.connect", lambda: button.connect("directoryChanged(QString)", lambda path: 0))


def other_widgets(ask: Ask) -> None:
    def slider_range() -> list[float]:
        slider = ctk.ctkDoubleSlider()
        return [slider.minimum, slider.maximum, slider.value]

    ask("ctkDoubleSpinBox", lambda: assigned(ctk.ctkDoubleSpinBox(), "value", 4))
    ask("ctkComboBox", lambda: assigned(ctk.ctkComboBox(), "defaultText", "pick"))
    ask("ctkCheckBox", lambda: ctk.ctkCheckBox().checked)
    ask("ctkMessageBox", lambda: assigned(ctk.ctkMessageBox(), "text", "m"))
    ask("ctkColorPickerButton", lambda: ctk.ctkColorPickerButton().color.red())
    ask("ctkCollapsibleGroupBox", lambda: assigned(ctk.ctkCollapsibleGroupBox(), "collapsed", True))
    ask("ctkMenuButton", lambda: ctk.ctkMenuButton("x").text)
    ask("ctkDoubleSlider", slider_range)
    ask("ctkSearchBox", lambda: ctk.ctkSearchBox().text)
    ask("ctkPopupWidget", lambda: ctk.ctkPopupWidget is not None)
    ask("ctkErrorLogLevel", lambda: ctk.ctkErrorLogLevel is not None)
    ask("ctkFittedTextBrowser", lambda: ctk.ctkFittedTextBrowser().collapsed)


if __name__ == "__main__":
    answers = Answers()
    ask_all(answers.ask)
    sys.stdout.write(answers.lines())
