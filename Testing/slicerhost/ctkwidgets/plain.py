"""CTK widgets that add little to a Qt widget."""

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from ..pythonqt.cpp_widget import cpp_class, stored_property


@cpp_class()
class ctkComboBox(QtWidgets.QComboBox):
    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._default_text = ""

    defaultText = stored_property(str, "_default_text")


@cpp_class()
class ctkCheckBox(QtWidgets.QCheckBox):
    pass


@cpp_class("checkBoxToggled(bool)")
class ctkCheckablePushButton(QtWidgets.QPushButton):
    checkBoxToggled = QtCore.Signal(bool)


@cpp_class()
class ctkMenuButton(QtWidgets.QPushButton):
    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        if parent is not None and not isinstance(parent, QtWidgets.QWidget):
            raise ValueError("ctkMenuButton(parent): no constructor takes a text")
        super().__init__(parent)


@cpp_class()
class ctkMessageBox(QtWidgets.QMessageBox):
    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings_key = ""
        self._visible = False

    dontShowAgainSettingsKey = stored_property(str, "_settings_key")
    dontShowAgainVisible = stored_property(bool, "_visible")


@cpp_class("colorChanged(QColor)")
class ctkColorPickerButton(QtWidgets.QPushButton):
    colorChanged = QtCore.Signal(QtGui.QColor)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._color = QtGui.QColor(0, 0, 0)
        self._display_name = True

    def setColor(self, color: QtGui.QColor) -> None:
        if color != self._color:
            self._color = QtGui.QColor(color)
            self.setText(self._color.name())
            self.colorChanged.emit(self._color)

    color = QtCore.Property(QtGui.QColor, lambda self: self._color, setColor)
    displayColorName = stored_property(bool, "_display_name")


@cpp_class()
class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._collapsed = True

    collapsed = stored_property(bool, "_collapsed")


@cpp_class()
class ctkSearchBox(QtWidgets.QLineEdit):
    pass


@cpp_class()
class ctkPopupWidget(QtWidgets.QFrame):
    pass


class ctkWidgetsUtils:
    @staticmethod
    def grabWidget(widget: QtWidgets.QWidget, *_options: Any) -> QtGui.QImage:
        return widget.grab().toImage()


class ctkErrorLogLevel:
    Unknown, Fatal, Trace, Debug, Info, Warning, Error, Critical = (2**power for power in range(8))
