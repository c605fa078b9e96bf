"""How a parameter and a widget read and write each other; chosen by the widget's class, as in Slicer."""

import enum
import pathlib
from collections.abc import Callable
from typing import Any

from PySide6 import QtWidgets

from ..ctkwidgets.paths import ctkPathLineEdit
from ..mrmlwidgets.node_combo_box import qMRMLNodeComboBox
from .annotations import Choice, WithinRange


class GuiConnector:
    """Between ``parameter`` and one property of ``widget``."""

    def __init__(self, widget: Any, parameter: Any, property_name: str, signal: str) -> None:
        self.widget = widget
        self.parameter = parameter
        self._property_name = property_name
        self._signal = signal
        self._slot: Any = None

    def connect(self, changed: Callable[["GuiConnector"], None]) -> None:
        self._slot = lambda *_: changed(self)
        self.widget.connect(self._signal, self._slot)

    def disconnect(self) -> None:
        self.widget.disconnect(self._signal, self._slot)

    def read(self) -> Any:
        return getattr(self.widget, self._property_name)

    def write(self, value: Any) -> None:
        if self.read() != value:
            setattr(self.widget, self._property_name, value)


class _Text(GuiConnector):
    def write(self, value: Any) -> None:
        super().write(value or "")


class _Number(GuiConnector):
    """A spin box, slider or slider widget; a range of the parameter becomes its range."""

    def __init__(self, widget: Any, parameter: Any, property_name: str, signal: str) -> None:
        super().__init__(widget, parameter, property_name, signal)
        limits = parameter.annotation(WithinRange)
        if limits is not None:
            widget.minimum, widget.maximum = limits.minimum, limits.maximum

    def read(self) -> Any:
        return self.parameter.type(super().read())


class _Path(GuiConnector):
    def read(self) -> pathlib.Path:
        return pathlib.Path(super().read())

    def write(self, value: Any) -> None:
        if self.read() != value:
            self.widget.currentPath = str(value or "")


class _Node(GuiConnector):
    def read(self) -> Any:
        return self.widget.currentNode()

    def write(self, value: Any) -> None:
        self.widget.setCurrentNode(value)


class _Choice(GuiConnector):
    """A combo box, filled with the choices or the members of the Enum."""

    def __init__(self, widget: Any, parameter: Any, property_name: str, signal: str) -> None:
        super().__init__(widget, parameter, property_name, signal)
        choice = parameter.annotation(Choice)
        self._choices = list(choice.choices if choice is not None else parameter.type)
        widget.clear()
        widget.addItems([c.name if isinstance(c, enum.Enum) else str(c) for c in self._choices])

    def read(self) -> Any:
        return self._choices[self.widget.currentIndex]

    def write(self, value: Any) -> None:
        self.widget.setCurrentIndex(self._choices.index(value))


_CONNECTORS = (
    (qMRMLNodeComboBox, _Node, "currentNodeID", "currentNodeChanged(vtkMRMLNode*)"),
    (ctkPathLineEdit, _Path, "currentPath", "currentPathChanged(QString)"),
    (QtWidgets.QAbstractButton, GuiConnector, "checked", "toggled(bool)"),
    (QtWidgets.QComboBox, _Choice, "currentIndex", "currentIndexChanged(int)"),
    (QtWidgets.QLineEdit, _Text, "text", "textChanged(QString)"),
    (QtWidgets.QPlainTextEdit, _Text, "plainText", "textChanged()"),
    (QtWidgets.QTextEdit, _Text, "plainText", "textChanged()"),
    (QtWidgets.QSpinBox, _Number, "value", "valueChanged(int)"),
    (QtWidgets.QAbstractSlider, _Number, "value", "valueChanged(int)"),
)


def connector_for(widget: Any, parameter: Any) -> GuiConnector:
    """Raises RuntimeError for a widget class that cannot show a parameter."""
    for widget_class, connector, property_name, signal in _CONNECTORS:
        if isinstance(widget, widget_class):
            return connector(widget, parameter, property_name, signal)
    if hasattr(widget, "value"):
        return _Number(widget, parameter, "value", "valueChanged(double)")
    raise RuntimeError(f"cannot connect a {widget.className()} to parameter {parameter.name}")
