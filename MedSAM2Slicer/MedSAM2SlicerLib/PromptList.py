"""The list of the segment's prompts in the panel: a click shows the slice, the button or the Delete key removes one."""

from __future__ import annotations

from typing import Optional

from slicer.i18n import tr as _

from MedSAM2SlicerLib.PromptMarkups import axisOf, kindOf, kindTitle, orderOf, sliceOf


class PromptList:
    """A row for every prompt, oldest first. `update` may be called as often as one likes."""

    def __init__(self, listWidget, removeButton, controller) -> None:
        self._list = listWidget
        self._removeButton = removeButton
        self._controller = controller
        self._nodes: list = []
        self._shown: Optional[tuple] = None
        self._list.connect("itemClicked(QListWidgetItem*)", lambda item: self.onClicked())
        self._removeButton.connect("clicked()", self.removeSelected)

    def update(self) -> None:
        self._nodes = self._controller.promptNodes()
        shown = tuple((orderOf(node), _title(node)) for node in self._nodes)
        if shown != self._shown:
            self._shown = shown
            self._fill([title for _order, title in shown])
        self._list.setVisible(bool(shown))
        self._removeButton.setVisible(bool(shown))
        self._removeButton.setEnabled(bool(shown) and not self._controller.isPropagating)

    def onClicked(self) -> None:
        node = self._selected()
        if node is not None:
            self._controller.showPrompt(node)

    def removeSelected(self) -> None:
        """The selected prompt: without a click on another one, that is the newest."""
        node = self._selected()
        if node is not None:
            self._controller.removePrompt(node)

    def _selected(self):
        row = self._list.currentRow
        return self._nodes[row] if 0 <= row < len(self._nodes) else None

    def _fill(self, titles: list[str]) -> None:
        self._list.clear()
        for title in titles:
            self._list.addItem(title)
        self._list.setCurrentRow(len(titles) - 1)


def _title(node) -> str:
    index = sliceOf(node)
    if index is None:
        return _("{kind}, outside the volume").format(kind=kindTitle(kindOf(node)))
    return _("{kind}, slice {axis}{index}").format(kind=kindTitle(kindOf(node)), axis=axisOf(node), index=index)
