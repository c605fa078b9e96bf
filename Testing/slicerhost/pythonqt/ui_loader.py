"""``qt.QUiLoader``: reads .ui files with the host's stand-ins, and makes their connections as uic would.

Qt's own loader knows neither the stand-ins' C++ signatures nor their Python slots, so the ``<connections>`` are taken
out of the file and made here. A widget class nobody stands for is refused: Qt would silently build a QWidget.
"""

import xml.etree.ElementTree as ElementTree
from typing import Any, ClassVar, NamedTuple

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


class QUiLoader:
    """Stand-in for QUiLoader as ``slicer.util.loadUI`` uses it.

    Qt's own is made once: what is registered with one is told to all, and each registration takes longer than the last.
    """

    _qt_loader: ClassVar[QtUiTools.QUiLoader | None] = None
    _registered: ClassVar[set[type]] = set()

    def __init__(self, *arguments: Any) -> None:
        if QUiLoader._qt_loader is None:
            QUiLoader._qt_loader = QtUiTools.QUiLoader()
        self._loader = QUiLoader._qt_loader

    def load(self, device: QtCore.QIODevice, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
        """The widget tree of a .ui file. Raises RuntimeError for an unknown class or a connection to nothing."""
        root = ElementTree.fromstring(bytes(device.readAll()))
        self._register_stand_ins(root)
        self._refuse_unknown_classes(root)
        connections = _take_connections(root)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.ReadOnly)
        widget = self._loader.load(buffer, parent)
        if widget is None:
            raise RuntimeError(self._loader.errorString())
        for connection in connections:
            _make(connection, widget)
        return widget

    def _register_stand_ins(self, root: ElementTree.Element) -> None:
        """Those that the file uses."""
        used = {element.get("class", "") for element in root.iter("widget")}
        for name, cls in stand_ins.items():
            if name in used and cls not in self._registered and issubclass(cls, QtWidgets.QWidget):
                self._loader.registerCustomWidget(cls)
                self._registered.add(cls)

    def _refuse_unknown_classes(self, root: ElementTree.Element) -> None:
        known = set(self._loader.availableWidgets())
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
