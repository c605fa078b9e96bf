"""CTK's collapsible containers.

``collapsed`` is a property only: ``setCollapsed`` cannot be called from Python (golden line ``ccb.setCollapsed``).
A collapsed button is an unchecked one, and tells so by ``contentsCollapsed(bool)`` (golden line ``ccb emitted``).
"""

from PySide6 import QtCore, QtGui, QtWidgets

from ..pythonqt.cpp_widget import cpp_class, stored_property

NO_LIMIT = 16777215
"""QWIDGETSIZE_MAX."""


class _Contents:
    """The children a container hides: a child the module hid itself stays hidden when the container opens."""

    def __init__(self, container: QtWidgets.QWidget) -> None:
        self._container = container
        self._hidden_here: list[QtWidgets.QWidget] = []

    def hide(self) -> None:
        direct = QtCore.Qt.FindChildOption.FindDirectChildrenOnly
        for child in self._container.findChildren(QtWidgets.QWidget, options=direct):
            if not child.isHidden():
                self.hide_child(child)

    def hide_child(self, child: QtWidgets.QWidget) -> None:
        self._hidden_here.append(child)
        child.hide()

    def show(self) -> None:
        for child in self._hidden_here:
            child.show()
        self._hidden_here.clear()


@cpp_class("contentsCollapsed(bool)")
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A titled section of a panel."""

    contentsCollapsed = QtCore.Signal(bool)
    collapsed = QtCore.Property(bool, lambda self: self._collapsed, lambda self, on: self.setChecked(not on))
    flat = stored_property(bool, "_flat")
    collapsedHeight = stored_property(int, "_collapsed_height", "updateGeometry")

    _TITLE_HEIGHT = 22

    def __init__(self, text: str | QtWidgets.QWidget | None = None, parent: QtWidgets.QWidget | None = None) -> None:
        if not isinstance(text, str):
            text, parent = "", text or parent
        super().__init__(parent)
        self._collapsed = False
        self._flat = False
        self._collapsed_height = 10
        self._contents = _Contents(self)
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, self._TITLE_HEIGHT, 0, 0)
        preferred = QtWidgets.QSizePolicy.Policy.Preferred
        self.setSizePolicy(preferred, preferred)
        self.toggled.connect(lambda checked: self._collapse(not checked))

    def _collapse(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        if collapsed:
            self._contents.hide()
        else:
            self._contents.show()
        self.setMaximumHeight(self._TITLE_HEIGHT if collapsed else NO_LIMIT)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        super().childEvent(event)
        if self._collapsed and event.added() and event.child().isWidgetType():
            self._contents.hide_child(event.child())

    def sizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        if layout is None or self._collapsed:
            return QtCore.QSize(120, self._TITLE_HEIGHT)
        hint = layout.totalSizeHint()
        return QtCore.QSize(hint.width(), max(self._TITLE_HEIGHT, hint.height()))

    def minimumSizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        if layout is None or self._collapsed:
            return QtCore.QSize(80, self._TITLE_HEIGHT)
        return layout.totalMinimumSize()

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < self._TITLE_HEIGHT

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        title = QtCore.QRect(0, 0, self.width, self._TITLE_HEIGHT)
        painter = QtGui.QPainter(self)
        window = self.palette.color(QtGui.QPalette.ColorRole.Window)
        is_dark = window.lightness() < 128
        painter.fillRect(title, window.lighter(150) if is_dark else QtGui.QColor(225, 228, 233))
        painter.setPen(QtGui.QColor(230, 230, 230) if is_dark else QtGui.QColor(40, 40, 40))
        centred = QtCore.Qt.AlignmentFlag.AlignVCenter
        painter.drawText(title.adjusted(6, 0, 0, 0), centred, "\u25b8" if self._collapsed else "\u25be")
        painter.drawText(title.adjusted(22, 0, 0, 0), centred, self.text)


@cpp_class()
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box whose check mark opens and closes it."""

    collapsed = QtCore.Property(bool, lambda self: not self.isChecked(), lambda self, on: self.setChecked(not on))

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self._contents = _Contents(self)
        self.setCheckable(True)
        self.toggled.connect(self._show_contents)

    def _show_contents(self, shown: bool) -> None:
        if shown:
            self._contents.show()
        else:
            self._contents.hide()
        self.setMaximumHeight(NO_LIMIT if shown else ctkCollapsibleButton._TITLE_HEIGHT)
