"""Keys that work while the module is entered, and only then."""

from __future__ import annotations

from typing import Callable

import qt
import slicer


class Shortcuts:
    """Installed in the main window on `install`, gone from it on `remove`."""

    def __init__(self, actions: dict[str, Callable[[], None]]) -> None:
        self._actions = actions
        self._shortcuts: list = []

    def install(self) -> None:
        self.remove()
        mainWindow = slicer.util.mainWindow()
        if mainWindow is None:
            return
        for key, action in self._actions.items():
            shortcut = qt.QShortcut(mainWindow)
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.connect("activated()", action)
            self._shortcuts.append(shortcut)

    def remove(self) -> None:
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts = []
