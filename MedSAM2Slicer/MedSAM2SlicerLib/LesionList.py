"""The list of all lesions: a row for each with visibility, colour, name, volume and state.

A click on the eye hides or shows, a click on the colour opens a colour dialog that waits for nobody, a double click on
the name edits it in place; a click on anything else chooses the lesion. `update` may be called as often as one likes:
only cells that differ are written, so the scroll position and the selection stay.
"""

from __future__ import annotations

import os
from typing import Callable

import qt
from slicer.i18n import tr as _

from MedSAM2SlicerLib.LesionColor import LesionColor
from MedSAM2SlicerLib.LesionNameEditor import LesionNameEditor
from MedSAM2SlicerLib.LesionTable import Lesion, stateTitle, volumeText

EYE, COLOR, NAME, VOLUME, STATE = range(5)
SWATCH_PIXELS = 14
ROW_MARGIN_PIXELS = 8


class LesionList:
    """`table` is a QTableWidget, `iconFolder` holds the two eyes.

    `onChosen(segmentId)` and `onRenamed(segmentId, name)` are called for what a person did; `suggestedNames(segmentId)`
    is what the name editor offers.
    """

    def __init__(self, table, iconFolder: str) -> None:
        self.onChosen: Callable[[str], None] = lambda segmentId: None
        self.onRenamed: Callable[[str, str], None] = lambda segmentId, name: None
        self.suggestedNames: Callable[[str], list[str]] = lambda segmentId: []
        self._table = table
        self._eyes = {
            True: qt.QIcon(os.path.join(iconFolder, "LesionVisible.png")),
            False: qt.QIcon(os.path.join(iconFolder, "LesionHidden.png")),
        }
        self._segmentationNode = None
        self._shown: tuple[Lesion, ...] = ()
        self._chosen = ""
        self._color = LesionColor()
        self._editor = LesionNameEditor(table, NAME)
        self._editor.onFinished = self.onNameFinished
        self._lay()
        table.connect("cellClicked(int,int)", self.onCellClicked)
        table.connect("cellDoubleClicked(int,int)", self.onCellDoubleClicked)
        table.connect("itemSelectionChanged()", self.onSelectionChanged)

    @property
    def isEditing(self) -> bool:
        """Whether a name is being edited in place."""
        return self._editor.isOpen

    def update(self, segmentationNode, rows: tuple[Lesion, ...], chosen: str) -> None:
        """Show these rows of this segmentation (None: nothing), with one of them selected."""
        if segmentationNode is not self._segmentationNode or self._ids() != [row.segmentId for row in rows]:
            self.closeEditors()
        self._segmentationNode = segmentationNode
        if rows != self._shown:
            wasBlocked = self._table.blockSignals(True)
            self._write(rows)
            self._table.blockSignals(wasBlocked)
        self._select(chosen)

    def editName(self) -> None:
        """Edit the name of the chosen lesion in its row."""
        if self._chosen in self._ids():
            self._openEditor(self._ids().index(self._chosen))

    def closeEditors(self) -> None:
        """What was begun and not finished is forgotten."""
        self._editor.cancel()
        self._color.close()

    # ---- slots

    def onCellClicked(self, row: int, column: int) -> None:
        if not 0 <= row < len(self._shown):
            return
        lesion = self._shown[row]
        if column == EYE:
            self._segmentationNode.CreateDefaultDisplayNodes()
            self._segmentationNode.GetDisplayNode().SetSegmentVisibility(lesion.segmentId, not lesion.isVisible)
        elif column == COLOR:
            self._color.open(self._segmentationNode, lesion.segmentId)

    def onCellDoubleClicked(self, row: int, column: int) -> None:
        if column == NAME and 0 <= row < len(self._shown):
            self._openEditor(row)

    def onSelectionChanged(self) -> None:
        rows = {item.row() for item in self._table.selectedItems()}
        chosen = self._shown[min(rows)].segmentId if rows and min(rows) < len(self._shown) else ""
        if chosen and chosen != self._chosen:
            self.onChosen(chosen)

    def onNameFinished(self, segmentId: str, name: str) -> None:
        self.onRenamed(segmentId, name)

    # ---- private

    def _ids(self) -> list[str]:
        return [row.segmentId for row in self._shown]

    def _lay(self) -> None:
        table, header = self._table, self._table.horizontalHeader()
        table.setColumnCount(STATE + 1)
        table.setHorizontalHeaderLabels(["", "", _("Lesion"), _("Volume"), _("State")])
        for column in (EYE, COLOR, VOLUME, STATE):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(NAME, qt.QHeaderView.Stretch)
        header.setMinimumSectionSize(SWATCH_PIXELS + ROW_MARGIN_PIXELS)
        header.setHighlightSections(False)
        table.verticalHeader().hide()
        # Not table.fontMetrics(): PythonQt cannot return what that gives.
        table.verticalHeader().setDefaultSectionSize(qt.QFontMetrics(table.font).height() + ROW_MARGIN_PIXELS)

    def _openEditor(self, row: int) -> None:
        lesion = self._shown[row]
        self._editor.open(row, lesion.segmentId, lesion.name, self.suggestedNames(lesion.segmentId))

    def _write(self, rows: tuple[Lesion, ...]) -> None:
        self._table.setRowCount(len(rows))
        for number, lesion in enumerate(rows):
            before = self._shown[number] if number < len(self._shown) else None
            if lesion != before:
                self._writeRow(number, before, lesion)
        self._shown = rows

    def _writeRow(self, number: int, before, lesion: Lesion) -> None:
        cells = self._cells(number)
        if before is None or before.isVisible != lesion.isVisible:
            cells[EYE].setIcon(self._eyes[lesion.isVisible])
            cells[EYE].setToolTip(_("Shown; click to hide it.") if lesion.isVisible else _("Hidden; click to show it."))
        if before is None or before.color != lesion.color:
            cells[COLOR].setIcon(swatch(lesion.color))
            cells[COLOR].setToolTip(_("Click to choose a colour."))
        cells[NAME].setText(lesion.name)
        cells[NAME].setToolTip(_("{name}\nDouble click to rename it.").format(name=lesion.name))
        cells[VOLUME].setText(volumeText(lesion.volume_ml))
        cells[STATE].setText(stateTitle(lesion.state))

    def _cells(self, number: int) -> list:
        """The items of a row, made if they are missing. Eye and colour take clicks without choosing the lesion."""
        if self._table.item(number, EYE) is None:
            for column in range(STATE + 1):
                item = qt.QTableWidgetItem("")
                isChoice = column not in (EYE, COLOR)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable if isChoice else qt.Qt.ItemIsEnabled)
                if column == VOLUME:
                    item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
                self._table.setItem(number, column, item)
        return [self._table.item(number, column) for column in range(STATE + 1)]

    def _select(self, chosen: str) -> None:
        ids = self._ids()
        row = ids.index(chosen) if chosen in ids else -1
        selected = {item.row() for item in self._table.selectedItems()}
        if chosen == self._chosen and selected == ({row} if row >= 0 else set()):
            return
        self._chosen = chosen
        wasBlocked = self._table.blockSignals(True)
        self._table.clearSelection()
        if row >= 0:
            self._table.selectRow(row)
            self._table.scrollToItem(self._table.item(row, NAME))
        self._table.blockSignals(wasBlocked)


def swatch(color: tuple[float, float, float]):
    """An icon of one colour; `color` is 0 to 1."""
    pixmap = qt.QPixmap(SWATCH_PIXELS, SWATCH_PIXELS)
    pixmap.fill(qt.QColor(*[round(255 * value) for value in color]))
    return qt.QIcon(pixmap)
