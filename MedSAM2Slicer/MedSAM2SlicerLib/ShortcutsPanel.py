"""The keys on the panel: a line for every action, what is wrong with them, and the way to the settings.

Buttons say their key as well; they follow the user's choice.
"""

from __future__ import annotations

import slicer

from MedSAM2SlicerLib.ShortcutKeys import keyOf, native

SETTINGS_TITLE = "MedSAM2Slicer"


class ShortcutsPanel:
    """`uiFile` is Resources/UI/ShortcutsPanel.ui; `buttons` are those whose texts name a key, by id of the action."""

    def __init__(self, uiFile: str, shortcuts, buttons: dict[str, list]) -> None:
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._shortcuts = shortcuts
        named = [(name, button) for name in buttons for button in buttons[name]]
        self._buttons = [(name, button, button.text, button.toolTip) for name, button in named]
        self.ui.changeButton.connect("clicked()", self.onChangeClicked)
        shortcuts.onInstalled = self.update
        self.update()

    def update(self) -> None:
        clashes = self._shortcuts.clashes
        self.ui.keysLabel.text = _table(
            [(action.title, shownKey(action, clashes)) for action in self._shortcuts.actions]
        )
        self.ui.clashLabel.text = "\n".join(clashes.values())
        self.ui.clashLabel.setVisible(bool(clashes))
        self._nameKeys(clashes)

    def onChangeClicked(self) -> None:
        slicer.app.openSettingsDialog(SETTINGS_TITLE)

    def _nameKeys(self, clashes: dict[str, str]) -> None:
        actions = {action.id: action for action in self._shortcuts.actions}
        for name, button, text, toolTip in self._buttons:
            default = actions[name].key
            chosen = shownKey(actions[name], clashes)
            button.text = renamed(text, default, chosen)
            button.toolTip = renamed(toolTip, default, chosen)


def shownKey(action, clashes: dict[str, str]) -> str:
    """Empty if the action has none."""
    return "" if action.id in clashes else native(keyOf(action))


def renamed(text: str, default: str, chosen: str) -> str:
    """The text with the key that it names in brackets replaced, or left out."""
    if chosen:
        return text.replace(f"({default})", f"({chosen})")
    return text.replace(f" ({default})", "")


def _table(lines: list[tuple[str, str]]) -> str:
    """Two columns of title and key, read downwards."""
    half = (len(lines) + 1) // 2
    pairs = [lines[row : row + 1] + lines[row + half : row + half + 1] for row in range(half)]
    rows = ["".join(f"<td><b>{key or '–'}</b>&nbsp;</td><td>{title}</td>" for title, key in pair) for pair in pairs]
    return '<table cellspacing="2" width="100%">' + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"
