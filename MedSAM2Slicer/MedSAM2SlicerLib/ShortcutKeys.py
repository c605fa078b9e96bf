"""Which key an action has: the user's choice, kept in Slicer's settings, or the one of the table.

Of two actions with the same key the first of the table has it, and a key that Slicer itself uses stays Slicer's:
otherwise Qt would call neither. `clashes` says so.
"""

from __future__ import annotations

from collections.abc import Iterable

import qt
import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.ShortcutActions import ShortcutAction

SETTING = "MedSAM2Slicer/Shortcuts/"


def keyOf(action: ShortcutAction) -> str:
    """In portable spelling; empty if the user wants none."""
    value = slicer.app.settings().value(SETTING + action.id)
    return portable(action.key if value is None else str(value))


def chooseKey(action: ShortcutAction, key: str) -> None:
    if portable(key) == portable(action.key):
        slicer.app.settings().remove(SETTING + action.id)
    else:
        slicer.app.settings().setValue(SETTING + action.id, portable(key))


def resetKeys(actions: Iterable[ShortcutAction]) -> None:
    for action in actions:
        slicer.app.settings().remove(SETTING + action.id)


def portable(key: str) -> str:
    """One spelling for one key; of several keys in a row, the first."""
    return str(qt.QKeySequence(key).toString()).partition(", ")[0]


def native(key: str) -> str:
    """As people of this machine know it."""
    return str(qt.QKeySequence(key).toString(qt.QKeySequence.NativeText))


def clashes(actions: Iterable[ShortcutAction], keysOfSlicer: dict[str, str]) -> dict[str, str]:
    """Ids of the actions that have no key because something else has it, and a sentence for each."""
    holders: dict[str, str] = {}
    found = {}
    for action in actions:
        key = keyOf(action)
        if not key:
            continue
        if key in keysOfSlicer:
            text = _("{key} for “{action}” is already used in Slicer, for {other}. Choose another key.")
            found[action.id] = text.format(key=native(key), action=action.title, other=keysOfSlicer[key])
        elif key in holders:
            text = _("{key} is for “{other}” already, so “{action}” has no key. Choose another one.")
            found[action.id] = text.format(key=native(key), action=action.title, other=holders[key])
        else:
            holders[key] = action.title
    return found


def keysOfSlicer(mainWindow, own: Iterable = ()) -> dict[str, str]:
    """Portable key → what it does, of all in the main window that hears keys now; `own` are our shortcuts."""
    if mainWindow is None:
        return {}
    found = {}
    for action in mainWindow.findChildren(qt.QAction):
        if action.enabled and _isInMenuOrToolBar(action):
            for sequence in action.shortcuts():
                found.setdefault(portable(str(sequence.toString())), _titled(action.text))
    mine = list(own)
    for shortcut in mainWindow.findChildren(qt.QShortcut):
        if shortcut.enabled and shortcut not in mine and _hearsWholeWindow(shortcut):
            found.setdefault(portable(str(shortcut.key.toString())), _("a shortcut of another module"))
    found.pop("", None)
    return found


def _isInMenuOrToolBar(action) -> bool:
    """Qt hears no key of an action that is nowhere; Slicer keeps some of these."""
    places = action.associatedWidgets if hasattr(action, "associatedWidgets") else action.associatedObjects
    return len(places()) > 0


def _hearsWholeWindow(shortcut) -> bool:
    parent = shortcut.parent()
    isWide = shortcut.context in (qt.Qt.WindowShortcut, qt.Qt.ApplicationShortcut)
    return isWide and (parent is None or not hasattr(parent, "isVisible") or parent.isVisible())


def _titled(text: str) -> str:
    return "“{}”".format(text.replace("&", ""))
