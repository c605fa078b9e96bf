"""``qt.QUiLoader``: reads .ui files with the host's stand-ins, and makes their connections as uic would.

Qt's own loader knows neither the stand-ins' C++ signatures nor their Python slots, so the ``<connections>`` are taken
out of the file and made here. A widget class nobody stands for is refused: Qt would silently build a QWidget.
"""

import xml.etree.ElementTree as ElementTree
from typing import Any, NamedTuple

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import signals
from .attributes import object_name
from .cpp_widget import stand_ins


class UiConnection(NamedTuple):
    """One ``<connection>`` of a .ui file."""

    sender: str
    signal: str
    receiver: str
    slot: str


class QUiLoader(QtUiTools.QUiLoader):
    """Stand-in for QUiLoader as ``slicer.util.loadUI`` uses it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        for cls in stand_ins.values():
            if issubclass(cls, QtWidgets.QWidget):
                self.registerCustomWidget(cls)

    def load(self, device: QtCore.QIODevice, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
        """The widget tree of a .ui file. Raises RuntimeError for an unknown class or a connection to nothing."""
        root = ElementTree.fromstring(bytes(device.readAll()))
        self._refuse_unknown_classes(root)
        connections = _take_connections(root)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = super().load(buffer, parent)
        if widget is None:
            raise RuntimeError(self.errorString())
        for connection in connections:
            _make(connection, widget)
        return widget

    def _refuse_unknown_classes(self, root: ElementTree.Element) -> None:
        known = set(self.availableWidgets())
        for element in root.iter("widget"):
            name = element.get("class", "")
            if name not in known and not hasattr(QtWidgets, name):
                raise RuntimeError(f"host has no widget class {name} (used in .ui for {element.get('name')})")


def _take_connections(root: ElementTree.Element) -> list[UiConnection]:
    block = root.find("connections")
    if block is None:
        return []
    root.remove(block)
    return [UiConnection(*(entry.findtext(field, "") for field in UiConnection._fields)) for entry in block]


def _make(connection: UiConnection, widget: QtWidgets.QWidget) -> None:
    sender, receiver = _named(widget, connection.sender), _named(widget, connection.receiver)
    if sender is None or receiver is None:
        raise RuntimeError(f"ui connection: {connection.sender} or {connection.receiver} not found")
    signals.connect(sender, connection.signal, receiver, connection.slot)


def _named(widget: QtWidgets.QWidget, name: str) -> QtCore.QObject | None:
    return widget if object_name(widget) == name else widget.findChild(QtCore.QObject, name)
