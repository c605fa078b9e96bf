"""The list of the segment's prompts in the panel.

A click shows the slice, the button or the Delete key removes a prompt. The views show the prompts of this list, those
of other segments are hidden; the chosen one is lighter, and a click on a prompt in a view chooses it.
"""

from __future__ import annotations

from typing import Optional

from slicer.i18n import tr as _

from MedSAM2SlicerLib.PromptKinds import kindTitle
from MedSAM2SlicerLib.PromptMarkups import axisOf, kindOf, orderOf, showOnly, sliceOf


class PromptList:
    """A row for every prompt, oldest first. `update` may be called as often as one likes."""

    def __init__(self, listWidget, removeButton, controller) -> None:
        self._list = listWidget
        self._removeButton = removeButton
        self._controller = controller
        self._nodes: list = []
        self._shown: Optional[tuple] = None
        self._chosen: Optional[tuple] = None
        self._list.connect("itemClicked(QListWidgetItem*)", lambda item: self.onClicked())
        self._list.connect("currentRowChanged(int)", lambda row: self._showChosen())
        self._removeButton.connect("clicked()", self.removeSelected)
        controller.onPromptPicked = self.choose

    def update(self) -> None:
        self._nodes = self._controller.promptNodes()
        shown = tuple((orderOf(node), _title(node)) for node in self._nodes)
        if shown != self._shown:
            self._shown = shown
            self._fill([title for _order, title in shown])
        self._list.setVisible(bool(shown))
        self._removeButton.setVisible(bool(shown))
        self._removeButton.setEnabled(bool(shown) and not self._controller.isPropagating)
        self._showChosen()

    def choose(self, node) -> None:
        """A prompt of the segment, or any other node."""
        if node in self._nodes:
            self._list.setCurrentRow(self._nodes.index(node))

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

    def _showChosen(self) -> None:
        chosen = (tuple(self._nodes), self._selected())
        if chosen != self._chosen:
            self._chosen = chosen
            showOnly(*chosen)

    def _fill(self, titles: list[str]) -> None:
        wasBlocked = self._list.blockSignals(True)
        self._list.clear()
        for title in titles:
            self._list.addItem(title)
        self._list.setCurrentRow(len(titles) - 1)
        self._list.blockSignals(wasBlocked)


def _title(node) -> str:
    index = sliceOf(node)
    if index is None:
        return _("{kind}, outside the volume").format(kind=kindTitle(kindOf(node)))
    return _("{kind}, slice {axis}{index}").format(kind=kindTitle(kindOf(node)), axis=axisOf(node), index=index)
