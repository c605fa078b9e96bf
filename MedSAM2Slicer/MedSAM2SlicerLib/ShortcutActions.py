"""The table of what has a key: a new shortcut is a line here and a function in the module's widget.

Ids are part of the user's settings and stay as they are. Keys are in Qt's portable spelling.
"""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _


@dataclass(frozen=True)
class ShortcutAction:
    """`key` is the one without a choice of the user's. `isRepeated`: again and again while it is held down."""

    id: str
    title: str
    key: str
    isRepeated: bool = True


def shortcutActions() -> tuple[ShortcutAction, ...]:
    """In the order in which they are listed; of two actions with one key, the first has it."""
    return tuple(
        ShortcutAction(*line)
        for line in (
            ("box", _("Box"), "B"),
            ("positive", _("Point +"), "P"),
            ("negative", _("Point -"), "M"),
            ("scribble", _("Scribble"), "S"),
            ("lasso", _("Lasso"), "L"),
            ("propagate", _("Propagate"), "Space"),
            ("cancel", _("Cancel"), "Esc"),
            ("undo", _("Undo"), "Ctrl+Z"),
            ("redo", _("Redo"), "Ctrl+Y"),
            ("nextDoubtful", _("Next doubtful slice"), "N"),
            ("lockSlice", _("Lock slice"), "K"),
            ("removePrompt", _("Delete prompt"), "Del"),
            ("addSegment", _("New segment"), "A", False),
            ("nextLesion", _("Next lesion"), "E"),
            ("previousLesion", _("Previous lesion"), "Shift+E"),
            ("rename", _("Rename lesion"), "F2"),
        )
    )
