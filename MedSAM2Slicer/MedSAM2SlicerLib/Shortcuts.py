"""Keys that work while the module is entered, and only then.

What a person types into a text or number field stays there: such fields take letters, digits, Space and Delete before
any shortcut hears them.
"""

from __future__ import annotations

from typing import Callable

import qt
import slicer

from MedSAM2SlicerLib.ShortcutActions import ShortcutAction, shortcutActions
from MedSAM2SlicerLib.ShortcutKeys import clashes, keyOf, keysOfSlicer


class Shortcuts:
    """Installed in the main window on `install`, gone from it on `remove`.

    `functions` has what to call, by id of the table; `actions` are the lines of the table that have a function.
    `onInstalled` is called when keys may have changed; `clashes` then has a sentence for every action that has no key
    because something else has it.
    """

    def __init__(self, functions: dict[str, Callable[[], None]]) -> None:
        self.onInstalled: Callable[[], None] = lambda: None
        self.clashes: dict[str, str] = {}
        self.actions = tuple(action for action in shortcutActions() if action.id in functions)
        self._functions = functions
        self._shortcuts: list = []

    @property
    def installed(self) -> list:
        """The QShortcuts that are in the main window now."""
        return list(self._shortcuts)

    def install(self) -> None:
        self.remove()
        mainWindow = slicer.util.mainWindow()
        if mainWindow is not None:
            self.clashes = clashes(self.actions, keysOfSlicer(mainWindow))
            for action in self.actions:
                if keyOf(action) and action.id not in self.clashes:
                    self._add(mainWindow, action)
        self.onInstalled()

    def remove(self) -> None:
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts = []

    def onKeysChosen(self) -> None:
        """Keys were changed in the settings."""
        if self._shortcuts:
            self.install()
        else:
            self.onInstalled()

    def _add(self, mainWindow, action: ShortcutAction) -> None:
        shortcut = qt.QShortcut(mainWindow)
        shortcut.setKey(qt.QKeySequence(keyOf(action)))
        shortcut.autoRepeat = action.isRepeated
        shortcut.connect("activated()", self._functions[action.id])
        self._shortcuts.append(shortcut)
