"""The lesion list as a person sees and uses it."""

COLUMNS = ("eye", "color", "name", "volume", "state")


def table_of(module):
    return module.widget.lesionPanel.ui.lesionTable


def rows_of(module):
    """The texts of all rows, by column."""
    table = table_of(module)
    return [
        {name: table.item(row, column).text() for column, name in enumerate(COLUMNS)} for row in range(table.rowCount)
    ]


def cell_of(module, segment_id, column):
    ids = list(module.parameters.segmentation.GetSegmentation().GetSegmentIDs())
    return table_of(module).item(ids.index(segment_id), COLUMNS.index(column))


def chosen_row(module):
    rows = {item.row() for item in table_of(module).selectedItems()}
    return rows.pop() if len(rows) == 1 else None


def click(module, item):
    _mouse("mouseClick", module, item)


def double_click(module, item):
    _mouse("mouseClick", module, item)
    _mouse("mouseDClick", module, item)


def editor_of(module):
    """The box in which a name is edited now, or None."""
    table = table_of(module)
    boxes = [table.cellWidget(row, COLUMNS.index("name")) for row in range(table.rowCount)]
    return next((box for box in boxes if box is not None), None)


def open_editor(module, segment_id):
    double_click(module, cell_of(module, segment_id, "name"))
    return editor_of(module)


def type_name(module, text, end="Key_Return"):
    import qt
    import slicer
    from PySide6.QtTest import QTest

    line = editor_of(module).lineEdit()
    line.selectAll()
    QTest.keyClick(line, qt.Qt.Key_Delete)
    QTest.keyClicks(line, text)
    if end:
        QTest.keyClick(line, getattr(qt.Qt, end))
    slicer.app.processEvents()


def choose_suggestion(module, box, index):
    """With the arrow key: a popup of an offscreen window takes clicks that were meant for others."""
    import qt
    import slicer
    from PySide6.QtTest import QTest

    box.setCurrentIndex(index - 1)
    QTest.keyClick(box, qt.Qt.Key_Down)
    slicer.app.processEvents()


def _mouse(action, module, item):
    import qt
    import slicer
    from PySide6.QtTest import QTest

    table = table_of(module)
    table.scrollToItem(item)
    place = table.visualItemRect(item).center()
    getattr(QTest, action)(table.viewport(), qt.Qt.LeftButton, qt.Qt.NoModifier, place)
    slicer.app.processEvents()
