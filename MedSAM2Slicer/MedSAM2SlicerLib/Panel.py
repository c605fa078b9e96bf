"""The panel: .ui ↔ parameter node ↔ controller. It shows and passes on; it decides nothing.

The two node selectors are tied to the parameter node by its own GUI connection. Everything else is written by `update`,
which may be called at any time and as often as one likes.
"""

from __future__ import annotations

from typing import Optional

from slicer.i18n import tr as _

from MedSAM2SlicerLib.EngineLists import AUTOMATIC
from MedSAM2SlicerLib.EngineStatus import engineStatus
from MedSAM2SlicerLib.ErrorStyle import showError
from MedSAM2SlicerLib.FromSegment import FromSegment
from MedSAM2SlicerLib.PromptKinds import BOX, LASSO, NEGATIVE, POSITIVE, SCRIBBLE
from MedSAM2SlicerLib.PromptList import PromptList
from MedSAM2SlicerLib.PropagationPanel import PropagationPanel
from MedSAM2SlicerLib.Remedy import RemedyButton


class Panel:
    """Connected once; `setParameters` gives it what it edits, or None while there is no scene to speak of."""

    def __init__(self, ui, controller, engine) -> None:
        self._ui = ui
        self._controller = controller
        self._engine = engine
        self._parameters = None
        self._guiTag: Optional[int] = None
        self._prompts = PromptList(ui.promptList, ui.removePromptButton, controller)
        self._fromSegment = FromSegment(ui.fromSegmentButton, controller)
        self._propagation = PropagationPanel(ui, controller)
        self._remedy = RemedyButton(ui.remedyButton)
        self._ui.engineButton.collapsed = True
        self._connect()

    def setParameters(self, parameters) -> None:
        if self._parameters is not None:
            self._parameters.disconnectGui(self._guiTag)
        self._parameters = parameters
        self._propagation.setParameters(parameters)
        if parameters is not None:
            # connectGui would return no tag in Slicer 5.8, and nothing could ever be disconnected.
            selectors = {"volume": self._ui.volumeSelector, "segmentation": self._ui.segmentationSelector}
            self._guiTag = parameters.connectParametersToGui(selectors)
        self.update()

    def update(self) -> None:
        controller, ui = self._controller, self._ui
        hasParameters = self._parameters is not None
        for selector in (ui.volumeSelector, ui.segmentationSelector, ui.addSegmentButton):
            selector.setEnabled(hasParameters and not controller.isPropagating)
        for kind, button in self._toolButtons():
            button.setEnabled(hasParameters and not controller.isPropagating)
            button.setChecked(controller.armedTool == kind)
        ui.fromSegmentButton.setEnabled(hasParameters and not controller.isPropagating)
        ui.propagateButton.setEnabled(controller.canPropagate)
        ui.undoButton.setEnabled(controller.canUndo)
        ui.redoButton.setEnabled(controller.canRedo)
        ui.cancelButton.setEnabled(controller.isBusy or controller.hasPreview or controller.isArmed)
        ui.messageLabel.text = controller.message
        showError(ui.messageLabel, controller.isError)
        self._remedy.show(controller.news.remedy)
        self._prompts.update()
        self._propagation.update()
        self._showProgress()
        self._showEngine()

    def onToolToggled(self, kind: str, isChecked: bool) -> None:
        if isChecked != (self._controller.armedTool == kind):
            self._controller.setToolArmed(kind, isChecked)
            self.update()

    def removeSelectedPrompt(self) -> None:
        self._prompts.removeSelected()

    def _connect(self) -> None:
        ui, controller = self._ui, self._controller
        for kind, button in self._toolButtons():
            self._connectTool(kind, button)
        ui.propagateButton.connect("clicked()", controller.propagate)
        ui.cancelButton.connect("clicked()", controller.cancel)
        ui.undoButton.connect("clicked()", controller.undo)
        ui.redoButton.connect("clicked()", controller.redo)
        ui.addSegmentButton.connect("clicked()", controller.addSegment)

    def _connectTool(self, kind: str, button) -> None:
        button.connect("toggled(bool)", lambda isChecked: self.onToolToggled(kind, isChecked))

    def _toolButtons(self):
        ui = self._ui
        return (
            (BOX, ui.boxButton),
            (LASSO, ui.lassoButton),
            (SCRIBBLE, ui.scribbleButton),
            (POSITIVE, ui.positiveButton),
            (NEGATIVE, ui.negativeButton),
        )

    def _showProgress(self) -> None:
        bar, progress = self._ui.progressBar, self._controller.progress
        bar.setVisible(self._controller.isBusy)
        bar.maximum = progress.total if self._controller.isPropagating else 0
        bar.value = progress.done
        bar.setFormat(progress.text or _("%v of %m slices"))

    def _showEngine(self) -> None:
        controller = self._controller
        self._ui.engineStatusLabel.text = engineStatus(
            self._engine, controller.isBusy, self._chosenDevice(), controller.readiness.isAboutToStart
        )

    def _chosenDevice(self) -> str:
        return self._parameters.device if self._parameters is not None else AUTOMATIC
