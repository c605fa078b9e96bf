"""The buttons that tidy up the chosen lesion. Nothing happens without a click, and Ctrl+Z takes each back."""

from __future__ import annotations

import slicer

from MedSAM2SlicerLib.PostProcessing import PostProcessing


class PostProcessPanel:
    """`uiFile` is Resources/UI/PostProcessPanel.ui. `keptSlices()` gives the slices that no button may change."""

    def __init__(self, uiFile: str, controller) -> None:
        self.keptSlices = lambda: ()
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._processing = PostProcessing(controller)
        self.ui.postProcessButton.collapsed = True
        self.ui.fillButton.connect("clicked()", self.onFillClicked)
        self.ui.keepPromptedButton.connect("clicked()", self.onKeepPromptedClicked)
        self.ui.islandsButton.connect("clicked()", self.onIslandsClicked)
        self.ui.smoothButton.connect("clicked()", self.onSmoothClicked)

    def onFillClicked(self) -> None:
        self._processing.fillHoles(self.keptSlices())

    def onKeepPromptedClicked(self) -> None:
        self._processing.keepPrompted(self.keptSlices())

    def onIslandsClicked(self) -> None:
        self._processing.removeIslands(self.ui.islandsBox.value, self.keptSlices())

    def onSmoothClicked(self) -> None:
        self._processing.smooth(self.ui.smoothBox.value, self.keptSlices())
