"""The page of Slicer's application settings on which the keys are chosen. A choice counts at once.

The page is made once, when Slicer has started, and knows nothing of the module's panel: it changes the settings and
calls `onChosen`.
"""

from __future__ import annotations

from typing import Callable

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.ShortcutActions import shortcutActions
from MedSAM2SlicerLib.ShortcutKeys import chooseKey, clashes, keyOf, keysOfSlicer, portable, resetKeys

WRONG_STYLE = "QLabel { color: #c0392b; }"


class ShortcutsSettings:
    """`widget` is the page. `ownShortcuts()` gives the shortcuts of the module that are installed now."""

    def __init__(self, onChosen: Callable[[], None], ownShortcuts: Callable[[], list]) -> None:
        self._onChosen = onChosen
        self._ownShortcuts = ownShortcuts
        self._edits: dict[str, object] = {}
        self.widget = ctk.ctkSettingsPanel()
        self._clashLabel = qt.QLabel()
        self._lay()
        self.update()

    def update(self) -> None:
        for action in shortcutActions():
            edit = self._edits[action.id]
            if portable(str(edit.keySequence.toString())) != keyOf(action):
                edit.setKeySequence(qt.QKeySequence(keyOf(action)))
        found = clashes(shortcutActions(), keysOfSlicer(slicer.util.mainWindow(), self._ownShortcuts()))
        self._clashLabel.text = "\n".join(found.values())
        self._clashLabel.setVisible(bool(found))

    def onKeyTyped(self, action) -> None:
        key = portable(str(self._edits[action.id].keySequence.toString()))
        if key != keyOf(action):
            self._choose(action, key)
        else:
            self.update()

    def onCleared(self, action) -> None:
        self._choose(action, "")

    def onReset(self) -> None:
        resetKeys(shortcutActions())
        self._onChosen()
        self.update()

    def _choose(self, action, key: str) -> None:
        chooseKey(action, key)
        self._onChosen()
        self.update()

    def _lay(self) -> None:
        layout, grid = qt.QVBoxLayout(self.widget), qt.QGridLayout()
        hint = qt.QLabel(_("Click into a field and press the key. Keys work while the MedSAM2Slicer module is shown."))
        hint.setWordWrap(True)
        layout.addWidget(hint)
        layout.addLayout(grid)
        for row, action in enumerate(shortcutActions()):
            self._addRow(grid, row, action)
        self._clashLabel.setWordWrap(True)
        self._clashLabel.styleSheet = WRONG_STYLE
        layout.addWidget(self._clashLabel)
        reset = qt.QPushButton(_("Reset to defaults"))
        reset.name = "resetShortcutsButton"
        reset.connect("clicked()", self.onReset)
        layout.addWidget(reset)
        layout.addStretch(1)

    def _addRow(self, grid, row: int, action) -> None:
        edit, clear = qt.QKeySequenceEdit(), qt.QToolButton()
        edit.name = action.id
        edit.connect("editingFinished()", lambda: self.onKeyTyped(action))
        clear.text = _("None")
        clear.toolTip = _("No key for “{action}”.").format(action=action.title)
        clear.connect("clicked()", lambda: self.onCleared(action))
        self._edits[action.id] = edit
        grid.addWidget(qt.QLabel(action.title), row, 0)
        grid.addWidget(edit, row, 1)
        grid.addWidget(clear, row, 2)


def addShortcutsSettings(title: str, onChosen: Callable[[], None], ownShortcuts: Callable[[], list]):
    """Add the page to Slicer's settings; returns it, or None in a Slicer without a main window."""
    if slicer.util.mainWindow() is None:
        return None
    page = ShortcutsSettings(onChosen, ownShortcuts)
    slicer.app.settingsDialog().addPanel(title, page.widget)
    return page
