"""The slice strip as a widget: a QLabel that shows a picture, and an event filter that hears the mouse.

No widget class of our own: a pixmap and an event filter are what PythonQt supports without reserve. A tooltip is set
while the mouse moves, so that it speaks of the slice under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Optional

import qt

from MedSAM2SlicerLib.StripCells import StripCell
from MedSAM2SlicerLib.StripPicture import HEIGHT, cellAt, paint


class SliceStrip:
    """`onClicked` gets the index of a slice; `toolTipOf` is asked for the text of a cell."""

    def __init__(self, label) -> None:
        self.onClicked: Callable[[int], None] = lambda index: None
        self.toolTipOf: Callable[[StripCell], str] = lambda cell: ""
        self.cells: tuple[StripCell, ...] = ()
        self.shown: Optional[int] = None
        self._label = label
        self._painted: tuple = ()
        self._events = _Events(self.onPressed, self.onHovered, self.onResized)
        label.setFixedHeight(HEIGHT)
        label.setMouseTracking(True)
        label.installEventFilter(self._events)

    def show(self, cells: Sequence[StripCell], shown: Optional[int]) -> None:
        """May be called as often as one likes."""
        self.cells, self.shown = tuple(cells), shown
        self._paint()

    def onPressed(self, x: int) -> None:
        cell = cellAt(self.cells, x, self._label.width)
        if cell is not None:
            self.onClicked(cell.index)

    def onHovered(self, x: int) -> None:
        cell = cellAt(self.cells, x, self._label.width)
        self._label.toolTip = self.toolTipOf(cell) if cell is not None else ""

    def onResized(self) -> None:
        self._paint()

    def _paint(self) -> None:
        width = self._label.width
        wanted = (self.cells, self.shown, width)
        if width > 0 and wanted != self._painted:
            self._painted = wanted
            self._label.setPixmap(paint(self.cells, self.shown, width, _pixelRatio(self._label), self._label.palette))


class _Events(qt.QObject):
    """Hears what happens to the label, and keeps nothing from it."""

    def __init__(self, onPressed, onHovered, onResized) -> None:
        qt.QObject.__init__(self)
        self._onPressed = onPressed
        self._onHovered = onHovered
        self._onResized = onResized

    def eventFilter(self, _widget, event) -> bool:
        kind = event.type()
        if kind == qt.QEvent.MouseButtonPress:
            self._onPressed(event.pos().x())
        elif kind == qt.QEvent.MouseMove:
            self._onHovered(event.pos().x())
        elif kind == qt.QEvent.Resize:
            self._onResized()
        return False


def _pixelRatio(label) -> float:
    """Pixels of the screen for one of Qt's; 1 where PythonQt does not tell."""
    return float(getattr(label, "devicePixelRatioF", lambda: 1.0)())
