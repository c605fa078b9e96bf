"""The part of the panel that chooses the window, with one line that says what the choice comes to.

It edits the parameter node's `window` and nothing else. `update` may be called as often as one likes; the voxels are
looked at only when something it depends on has changed.
"""

from __future__ import annotations

from typing import Callable, Optional

import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.ErrorStyle import showError
from MedSAM2SlicerLib.IntensityWindow import PERCENTILE, SUV, NoWindow, sentence, windowOf
from MedSAM2SlicerLib.IntensityWindow import choices as choicesFor
from MedSAM2SlicerLib.WindowChoice import choiceFor, seenWindow
from MedSAM2SlicerLib.WindowPresets import PERCENTILES, SUV_RANGE, parsedRange

RANGES = {PERCENTILE: PERCENTILES, SUV: SUV_RANGE}
LARGEST = {PERCENTILE: 100.0, SUV: 200.0}


class WindowPanel:
    """`uiFile` is Resources/UI/WindowPanel.ui. `onChosen` is called after the person has chosen something else."""

    def __init__(self, uiFile: str) -> None:
        self.onChosen: Callable[[], None] = lambda: None
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._parameters = None
        self._shown: tuple = ()
        self._offered: list[tuple[str, str]] = []
        self._observed: Optional[tuple[object, int]] = None  # volume node, tag
        self.ui.windowSelector.connect("currentIndexChanged(int)", self.onSelected)
        for box in (self.ui.lowerBox, self.ui.upperBox):
            box.connect("valueChanged(double)", self.onRangeEdited)
        self.update()

    def setParameters(self, parameters) -> None:
        self._parameters = parameters
        self.update()

    def update(self) -> None:
        volumeNode = self._volume()
        self._follow(volumeNode)
        self.widget.setEnabled(volumeNode is not None)
        state = self._state(volumeNode)
        if state == self._shown:
            return
        self._shown = state
        if volumeNode is None:
            self.ui.rangeWidget.setVisible(False)
            self._say("")
            return
        choice = choiceFor(volumeNode, self._saved())
        self._showChoices(volumeNode, choice)
        self._showRange(choice)
        self._showSentence(volumeNode, choice)

    # ---- slots

    def onSelected(self, index: int) -> None:
        if index >= 0:
            self._choose(str(self.ui.windowSelector.itemData(index)))

    def onRangeEdited(self, _value: float) -> None:
        name = str(self.ui.windowSelector.itemData(self.ui.windowSelector.currentIndex))
        lower, upper = self.ui.lowerBox.value, self.ui.upperBox.value
        if lower < upper:
            self._choose(f"{name}:{lower:g}:{upper:g}")
        else:
            self._say(_("The first number must be smaller than the second."), isError=True)

    def onVolumeDisplayed(self, _caller, _event) -> None:
        self.update()

    # ---- private

    def _choose(self, choice: str) -> None:
        if self._parameters is not None:
            self._parameters.window = choice
            self.update()
            self.onChosen()

    def _volume(self):
        """The chosen volume, if it has voxels of one value each."""
        volumeNode = self._parameters.volume if self._parameters is not None else None
        image = volumeNode.GetImageData() if volumeNode is not None else None
        return volumeNode if image is not None and image.GetNumberOfScalarComponents() == 1 else None

    def _saved(self) -> str:
        return self._parameters.window if self._parameters is not None else ""

    def _state(self, volumeNode) -> tuple:
        """Everything that the line depends on."""
        if volumeNode is None:
            return (None,)
        image, display, seen = volumeNode.GetImageData(), volumeNode.GetDisplayNode(), seenWindow(self._parameters)
        stamps = tuple(part.GetMTime() if part is not None else 0 for part in (volumeNode, image, display))
        return (volumeNode.GetID(), stamps, self._saved(), seen)

    def _follow(self, volumeNode) -> None:
        """The display of the volume, for "as displayed"."""
        if self._observed is not None and self._observed[0] is volumeNode:
            return
        if self._observed is not None:
            self._observed[0].RemoveObserver(self._observed[1])
            self._observed = None
        if volumeNode is not None:
            tag = volumeNode.AddObserver(volumeNode.DisplayModifiedEvent, self.onVolumeDisplayed)
            self._observed = (volumeNode, tag)

    def _showChoices(self, volumeNode, choice: str) -> None:
        selector, offered = self.ui.windowSelector, choicesFor(volumeNode)
        wasBlocked = selector.blockSignals(True)
        if offered != self._offered:
            self._offered = offered
            selector.clear()
            for name, title in offered:
                selector.addItem(title, name)
        selector.setCurrentIndex([name for name, _title in offered].index(choice.partition(":")[0]))
        selector.blockSignals(wasBlocked)

    def _showRange(self, choice: str) -> None:
        name, _colon, numbers = choice.partition(":")
        self.ui.rangeWidget.setVisible(name in RANGES)
        if name not in RANGES:
            return
        for box, value in zip((self.ui.lowerBox, self.ui.upperBox), parsedRange(numbers) or RANGES[name]):
            wasBlocked = box.blockSignals(True)
            box.maximum = LARGEST[name]
            box.value = value
            box.blockSignals(wasBlocked)

    def _showSentence(self, volumeNode, choice: str) -> None:
        try:
            self._say(sentence(windowOf(volumeNode, choice), volumeNode))
        except NoWindow as error:
            self._say(_("{why} Until then the engine chooses.").format(why=error), isError=True)

    def _say(self, text: str, isError: bool = False) -> None:
        self.ui.windowLabel.text = text
        showError(self.ui.windowLabel, isError)
