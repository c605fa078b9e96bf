"""The slice strip as a picture: from top to bottom marks of doubt, areas, confidence, states.

No state is told by its colour alone: where there is room each has a letter, and the heights of the bars of the bottom
row differ. The colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart by colour-blind
people. Many slices share a column of pixels; it shows what most needs to be seen of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

import qt

from MedSAM2SlicerLib.SliceStates import EDITED, KEY, LOCKED, NOTHING, PROPAGATED, PROVISIONAL
from MedSAM2SlicerLib.StripCells import StripCell

HEIGHT = 92
DOUBT_TOP, DOUBT_HEIGHT = 0, 12
AREA_TOP, AREA_HEIGHT = 14, 36
CONFIDENCE_TOP, CONFIDENCE_HEIGHT = 53, 14
STATE_TOP, STATE_HEIGHT = 70, 14
LETTER_WIDTH = 9  # pixels that a letter needs
SKY, ORANGE, GREEN, BLUE, VERMILION, PURPLE = "#56b4e9", "#e69f00", "#009e73", "#0072b2", "#d55e00", "#cc79a7"
COLOURS = {PROPAGATED: SKY, PROVISIONAL: PURPLE, KEY: ORANGE, EDITED: GREEN, LOCKED: BLUE}
LETTERS = {PROPAGATED: "", PROVISIONAL: "~", KEY: "P", EDITED: "E", LOCKED: "L"}
HEIGHTS = {PROPAGATED: 4, PROVISIONAL: 2, KEY: 8, EDITED: 11, LOCKED: STATE_HEIGHT}
RANKS = (NOTHING, PROPAGATED, PROVISIONAL, KEY, EDITED, LOCKED)


@dataclass(frozen=True)
class Column:
    """Pixels of the picture from `left` to `right` (not included), and the cell that they show."""

    left: int
    right: int
    cell: StripCell


def columnsOf(cells: Sequence[StripCell], width: int) -> list[Column]:
    """Every cell is in a column; a column of one pixel may show several."""
    count = len(cells)
    if count <= width:
        return [Column(n * width // count, (n + 1) * width // count, cell) for n, cell in enumerate(cells)]
    ends = [(x * count // width, (x + 1) * count // width) for x in range(width)]
    return [Column(x, x + 1, _together(cells[first:last])) for x, (first, last) in enumerate(ends)]


def cellAt(cells: Sequence[StripCell], x: int, width: int) -> Optional[StripCell]:
    """The slice under a pixel; where there are several, one that is doubtful or else the first."""
    if not cells or not 0 <= x < width:
        return None
    return next(column.cell for column in columnsOf(cells, width) if column.left <= x < column.right)


def paint(cells: Sequence[StripCell], shown: Optional[int], width: int, ratio: float, palette):
    """A QPixmap of `width` x `HEIGHT`, on a screen that has `ratio` pixels for one. `shown`: the slice in the views."""
    pixmap = qt.QPixmap(int(width * ratio), int(HEIGHT * ratio))
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(palette.color(qt.QPalette.Base))
    painter = qt.QPainter()
    painter.begin(pixmap)
    ink = palette.color(qt.QPalette.Text)
    columns = columnsOf(cells, width) if cells else []
    largest = max((cell.area for cell in cells), default=0)
    for column in columns:
        _paintColumn(painter, column, largest, ink)
    _paintShown(painter, columns, cells, shown, ink)
    painter.end()
    return pixmap


def _together(cells: Sequence[StripCell]) -> StripCell:
    first = next((cell for cell in cells if cell.isDoubtful), cells[0])
    values = [cell.confidence for cell in cells if cell.confidence is not None]
    return replace(
        first,
        state=max((cell.state for cell in cells), key=RANKS.index),
        area=max(cell.area for cell in cells),
        confidence=min(values) if values else None,
        isWaiting=any(cell.isWaiting for cell in cells),
    )


def _paintColumn(painter, column: Column, largest: int, ink) -> None:
    cell, wide = column.cell, column.right - column.left
    gap = 1 if wide >= 4 else 0
    left, width = column.left, max(1, wide - gap)
    colour = qt.QColor(COLOURS.get(cell.state, SKY))
    if cell.area and largest:
        height = max(1, round(AREA_HEIGHT * cell.area / largest))
        painter.fillRect(left, AREA_TOP + AREA_HEIGHT - height, width, height, colour)
    if cell.confidence is not None:
        height = max(1, round(CONFIDENCE_HEIGHT * cell.confidence))
        tone = qt.QColor(VERMILION if cell.isDoubtful else "#8c8c8c")
        painter.fillRect(left, CONFIDENCE_TOP + CONFIDENCE_HEIGHT - height, width, height, tone)
    if cell.state != NOTHING:
        letter = LETTERS[cell.state] if width >= LETTER_WIDTH else ""
        height = STATE_HEIGHT if letter else HEIGHTS[cell.state]
        painter.fillRect(left, STATE_TOP + STATE_HEIGHT - height, width, height, colour)
        tone = qt.QColor("#ffffff" if cell.state == LOCKED else "#000000")
        _letter(painter, letter, left, width, STATE_TOP + STATE_HEIGHT - 3, tone)
    if cell.isDoubtful or cell.isWaiting:
        _paintMark(painter, cell, left, width)
    painter.fillRect(column.left, STATE_TOP + STATE_HEIGHT, wide, 1, ink)


def _paintMark(painter, cell: StripCell, left: int, width: int) -> None:
    """At the top: a question mark where to look, dots where a correction waits."""
    colour = qt.QColor(VERMILION if cell.isDoubtful else ORANGE)
    painter.fillRect(left, DOUBT_TOP + DOUBT_HEIGHT - 2, width, 2, colour)
    if width >= LETTER_WIDTH:
        _letter(painter, "?" if cell.isDoubtful else "…", left, width, DOUBT_TOP + DOUBT_HEIGHT - 3, colour)
    elif cell.isDoubtful:
        painter.fillRect(left, DOUBT_TOP + 2, width, DOUBT_HEIGHT - 2, colour)


def _letter(painter, letter: str, left: int, width: int, baseline: int, colour) -> None:
    if not letter or width < LETTER_WIDTH:
        return
    font = qt.QFont()
    font.setPixelSize(10)
    font.setBold(True)
    painter.setFont(font)
    painter.setPen(qt.QPen(colour))
    painter.drawText(left + (width - 7) // 2, baseline, letter)


def _paintShown(painter, columns: Sequence[Column], cells, shown: Optional[int], ink) -> None:
    """A line through the slice in the views, which leaves letters free; at the edge, if it lies outside the strip."""
    if shown is None or not columns:
        return
    number = min(max(shown - cells[0].index, 0), len(cells) - 1)
    column = columns[min(number * len(columns) // len(cells), len(columns) - 1)]
    x = (column.left + column.right - 1) // 2
    hasLetters = column.right - column.left > LETTER_WIDTH
    ends = STATE_TOP + STATE_HEIGHT
    for top, bottom in ((AREA_TOP, STATE_TOP - 2), (ends, HEIGHT)) if hasLetters else ((0, HEIGHT),):
        painter.fillRect(x, top, 2, bottom - top, ink)
    for row in range(6):
        painter.fillRect(x - 5 + row, HEIGHT - 1 - row, 12 - 2 * row, 1, ink)
