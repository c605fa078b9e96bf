"""The dialog of the application settings, and a page of it."""

from PySide6 import QtWidgets

from ..pythonqt.cpp_widget import cpp_class


@cpp_class()
class ctkSettingsPanel(QtWidgets.QWidget):
    """An empty page; what a module registers with it is not kept here."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)


@cpp_class()
class ctkSettingsDialog(QtWidgets.QDialog):
    """Pages by title, as far as Python reaches them: ``addPanel`` and ``setCurrentPanel``."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._titles = QtWidgets.QListWidget()
        self._pages = QtWidgets.QStackedWidget()
        layout = QtWidgets.QHBoxLayout(self)
        layout.addWidget(self._titles)
        layout.addWidget(self._pages, 1)
        self._titles.currentRowChanged.connect(self._pages.setCurrentIndex)

    def addPanel(self, label: str, panel: ctkSettingsPanel) -> None:
        if not isinstance(panel, ctkSettingsPanel):
            raise ValueError("addPanel(label, panel) takes a ctkSettingsPanel")
        self._pages.addWidget(panel)
        self._titles.addItem(label)

    def setCurrentPanel(self, label: str) -> None:
        for row in range(self._pages.count):
            if self._titles.item(row).text() == label:
                self._titles.setCurrentRow(row)
