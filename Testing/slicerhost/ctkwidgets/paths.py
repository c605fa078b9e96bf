"""CTK's path fields."""

import re

from PySide6 import QtCore, QtWidgets

from ..pythonqt.cpp_widget import cpp_class, stored_property

_HISTORY_LENGTH = 5


@cpp_class("currentPathChanged(QString)", "validInputChanged(bool)")
class ctkPathLineEdit(QtWidgets.QWidget):
    """A field for a file or folder.

    ``currentPathChanged`` comes only for a path its name filters accept, and never for an empty one (golden line
    ``pl emitted``); whether the file exists is not asked. Only ``addCurrentPathToHistory()`` writes the settings.
    """

    Dirs, Files, Drives, NoSymLinks, AllEntries = 0x1, 0x2, 0x4, 0x8, 0x7
    Readable, Writable, Executable, Modified, Hidden = 0x10, 0x20, 0x40, 0x80, 0x100
    AllDirs, NoDotAndDotDot, NoFilter = 0x400, 0x1000, -1

    currentPathChanged = QtCore.Signal(str)
    validInputChanged = QtCore.Signal(bool)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._filters = 24663  # golden line pl.filters
        self._name_filters: list[str] = []
        self._setting_key = ""
        self._label = ""
        self._history_button = True
        self._valid = False
        self._combo_box = QtWidgets.QComboBox()
        self._combo_box.setEditable(True)
        self._combo_box.setInsertPolicy(QtWidgets.QComboBox.InsertPolicy.NoInsert)
        self._browse_button = QtWidgets.QToolButton()
        self._browse_button.setText("...")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo_box, 1)
        layout.addWidget(self._browse_button)
        self._line_edit().textChanged.connect(self._on_text_changed)

    def setCurrentPath(self, path: str) -> None:
        self._line_edit().setText(path)

    def comboBox(self) -> QtWidgets.QComboBox:
        return self._combo_box

    def addCurrentPathToHistory(self) -> None:
        path = self._line_edit().text
        if path:
            history = [path] + [entry for entry in self._history() if entry != path]
            QtCore.QSettings().setValue(self._settings_name(), history)
            self.retrieveHistory()

    def retrieveHistory(self) -> None:
        """Fill the list from the settings; an empty field takes the latest path."""
        path = self._line_edit().text
        self._combo_box.blockSignals(True)
        self._combo_box.clear()
        self._combo_box.addItems(self._history()[:_HISTORY_LENGTH])
        self._combo_box.blockSignals(False)
        self.setCurrentPath(path or self._combo_box.itemText(0))

    def _line_edit(self) -> QtWidgets.QLineEdit:
        return self._combo_box.lineEdit()

    def _settings_name(self) -> str:
        return "ctkPathLineEdit/" + (self._setting_key or self.objectName)

    def _history(self) -> list[str]:
        stored = QtCore.QSettings().value(self._settings_name()) or []
        return [stored] if isinstance(stored, str) else list(stored)

    def _on_text_changed(self, path: str) -> None:
        was_valid, self._valid = self._valid, self._accepts(path)
        if self._valid:
            self.currentPathChanged.emit(path)
        if self._valid != was_valid:
            self.validInputChanged.emit(self._valid)

    def _accepts(self, path: str) -> bool:
        suffixes = [s for name_filter in self._name_filters for s in re.findall(r"\*\.(\w+)", name_filter)]
        return path.endswith(tuple("." + suffix for suffix in suffixes)) if suffixes else bool(path)

    currentPath = QtCore.Property(str, lambda self: self._line_edit().text, setCurrentPath)
    filters = stored_property(int, "_filters")
    nameFilters = stored_property("QStringList", "_name_filters")
    settingKey = stored_property(str, "_setting_key", "retrieveHistory")
    label = stored_property(str, "_label")
    showHistoryButton = stored_property(bool, "_history_button")
    showBrowseButton = QtCore.Property(
        bool,
        lambda self: not self._browse_button.isHidden(),
        lambda self, shown: self._browse_button.setVisible(shown),
    )


@cpp_class("directoryChanged(QString)", "directorySelected(QString)")
class ctkDirectoryButton(QtWidgets.QPushButton):
    """A button that shows a folder; ``directorySelected`` comes even when the same one is set again."""

    directoryChanged = QtCore.Signal(str)
    directorySelected = QtCore.Signal(str)

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self._caption = ""

    def _set_directory(self, path: str) -> None:
        path = QtCore.QDir(path).absolutePath()
        changed = path != self.text
        self.setText(path)
        self.directorySelected.emit(path)
        if changed:
            self.directoryChanged.emit(path)

    directory = QtCore.Property(str, lambda self: self.text, _set_directory)
    caption = stored_property(str, "_caption")
