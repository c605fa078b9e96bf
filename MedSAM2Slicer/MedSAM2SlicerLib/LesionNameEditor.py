"""The name of a lesion edited in its own row: a box to type in that offers the names of TG-263.

Enter, a suggestion or a click elsewhere takes the name; `cancel` (Esc) leaves it as it was.
"""

from __future__ import annotations

from typing import Callable

import qt


class LesionNameEditor:
    """One for a table; open on at most one row. `onFinished(segmentId, name)` gets what was typed."""

    def __init__(self, table, column: int) -> None:
        self.onFinished: Callable[[str, str], None] = lambda segmentId, name: None
        self._table = table
        self._column = column
        self._box = None
        self._row = -1
        self._segmentId = ""

    @property
    def isOpen(self) -> bool:
        return self._box is not None

    def open(self, row: int, segmentId: str, name: str, suggested: list[str]) -> None:
        self.cancel()
        self._row, self._segmentId = row, segmentId
        self._box = qt.QComboBox()
        self._box.setEditable(True)
        self._box.setInsertPolicy(qt.QComboBox.NoInsert)
        self._box.setCompleter(None)  # it would make GTVp2 of a typed GTVp
        self._box.addItems(suggested)
        self._box.setCurrentIndex(-1)
        self._box.setEditText(name)
        self._table.setCellWidget(row, self._column, self._box)
        self._box.setFocus()
        self._box.lineEdit().selectAll()
        self._box.lineEdit().connect("returnPressed()", self.onReturnPressed)
        self._box.lineEdit().connect("editingFinished()", self.onEditingFinished)
        self._box.connect("activated(int)", self.onSuggestionChosen)

    def cancel(self) -> None:
        self._close()

    def onReturnPressed(self) -> None:
        self._finish()

    def onEditingFinished(self) -> None:
        """The focus goes away; where to is known a moment later."""
        qt.QTimer.singleShot(0, self.onFocusGone)

    def onFocusGone(self) -> None:
        """Into the list of suggestions does not count."""
        if self._box is not None and not self._box.view().isVisible() and not self._box.lineEdit().hasFocus():
            self._finish()

    def onSuggestionChosen(self, _index: int) -> None:
        self._finish()

    def _finish(self) -> None:
        segmentId, name = self._segmentId, self._box.currentText.strip() if self._box is not None else ""
        self._close()
        if name:
            self.onFinished(segmentId, name)

    def _close(self) -> None:
        box, self._box = self._box, None
        if box is not None:
            self._table.removeCellWidget(self._row, self._column)
            self._table.setFocus()
