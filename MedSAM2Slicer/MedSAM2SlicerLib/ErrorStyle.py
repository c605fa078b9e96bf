"""How an error looks in the panel: red, light or dark enough to be read on the window's own colour."""

from __future__ import annotations

import qt

# Both have a contrast of more than 4.5 to Slicer's light and dark windows (WCAG 2.1, 1.4.3).
ON_LIGHT, ON_DARK = "#b03028", "#ff9088"
_MIDDLE = 128


def showError(label, isError: bool) -> None:
    """Let a label's text look like an error, or not."""
    label.styleSheet = errorStyle(label) if isError else ""


def errorStyle(widget) -> str:
    isDark = widget.palette.color(qt.QPalette.Window).lightness() < _MIDDLE
    return "QLabel { color: %s; }" % (ON_DARK if isDark else ON_LIGHT)
