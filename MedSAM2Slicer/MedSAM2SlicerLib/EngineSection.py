"""The section Engine of the panel: model and device, the models, the installation, and what to do when a run fails.

It puts these parts together and lets each know of the others; what each does is said in its own file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Optional

from slicer.i18n import tr as _

from medsam2_protocol.messages import Failed
from MedSAM2SlicerLib.EngineInstaller import WORKING, EngineInstaller
from MedSAM2SlicerLib.EngineLists import EngineLists
from MedSAM2SlicerLib.EnginePanel import EnginePanel
from MedSAM2SlicerLib.Environment import EngineEnvironment
from MedSAM2SlicerLib.FailureRemedies import FailureRemedies
from MedSAM2SlicerLib.ImprovePanel import ImprovePanel
from MedSAM2SlicerLib.ModelChoice import ModelChoice
from MedSAM2SlicerLib.ModelCommands import ModelCommands
from MedSAM2SlicerLib.ModelPanel import ModelPanel
from MedSAM2SlicerLib.Remedy import Remedy
from MedSAM2SlicerLib.TrainingCommand import TrainingCommand
from MedSAM2SlicerLib.ZoomChoice import ZoomChoice

MODELS_ROW = 5


class EngineSection:
    """`ui` is that of MedSAM2Slicer.ui, `resourcePath` the widget's own. `update` may be called at any time."""

    def __init__(self, ui, controller, engine, packageFolder: Path, resourcePath: Callable[[str], str]) -> None:
        self._ui = ui
        self._controller = controller
        self._engine = engine
        self.lists = EngineLists()
        self.choice = ModelChoice(ui, self.lists)
        self.zoom = ZoomChoice(ui)
        self.installer = EngineInstaller(packageFolder)
        self.installer.onAboutToChange = self.onAboutToChange
        self.enginePanel = EnginePanel(resourcePath("UI/EnginePanel.ui"), self.installer)
        self.enginePanel.onFinished = self.onInstallerFinished
        self.enginePanel.engineLog = engine.log
        self.commands = ModelCommands(EngineEnvironment(packageFolder), packageFolder, self._proxy)
        self.modelPanel = ModelPanel(resourcePath("UI/ModelPanel.ui"), self.commands, self.installer)
        self.modelPanel.onModels = self.onModelsRead
        self.modelPanel.whyNotNow = self._whyNotNow
        self.modelPanel.onAboutToTouch = engine.stop
        self.modelPanel.onUse = self.choice.choose
        self.remedies = FailureRemedies(
            self.choice, self.lists, self._isUsable, self.askToInstall, self.check, self.enginePanel.onCopyLogClicked
        )
        controller.news.remedyFor = self._remedyFor
        controller.readiness.isAllowed = self._isAtRest
        self.improvePanel = self._newImprovePanel(packageFolder, resourcePath("UI/ImprovePanel.ui"))
        ui.engineButton.layout().insertRow(MODELS_ROW, self.modelPanel.widget)
        ui.engineButton.layout().insertRow(MODELS_ROW + 1, self.improvePanel.widget)
        ui.engineButton.layout().addRow(self.enginePanel.widget)

    def setParameters(self, parameters) -> None:
        self.choice.setParameters(parameters)
        self.zoom.setParameters(parameters)

    def update(self) -> None:
        self.lists.takeHello(self._engine.hello)
        self.choice.update()
        self.zoom.update()

    def stop(self) -> None:
        """The module is about to go."""
        self.installer.stop()
        self.commands.stop()
        self.improvePanel.stop()

    def askToInstall(self) -> None:
        """Open the section at the question whether to install; nothing is installed without an answer."""
        self._ui.engineButton.collapsed = False
        self.enginePanel.onInstallClicked()

    def askForParts(self) -> None:
        """Open the section at the question whether to get what training needs beside the engine."""
        self._ui.engineButton.collapsed = False
        self.enginePanel.onPartsAsked()

    def check(self) -> None:
        self._ui.engineButton.collapsed = False
        self.installer.check()

    # ---- slots

    def onAboutToChange(self) -> None:
        """The engine's own files: nothing may run from them."""
        self._engine.stop()
        self.improvePanel.stop()

    def onModelsRead(self, models) -> None:
        """A model came or went: it can be chosen at once, or no more."""
        self.lists.takeModels(tuple(model.info() for model in models))
        self.choice.update()

    def onInstallerFinished(self, _outcome) -> None:
        """Another engine may have other models."""
        self._controller.news.changed()
        self._controller.readiness.later()
        self.modelPanel.places.update()
        self.modelPanel.onOpened()

    # ---- private

    def _newImprovePanel(self, packageFolder: Path, uiFile: str) -> ImprovePanel:
        command = TrainingCommand(EngineEnvironment(packageFolder), packageFolder)
        panel = ImprovePanel(uiFile, command, self._controller.choice, self.choice, self.lists.titleOf)
        panel.onListed = self.commands.refresh
        panel.onUse = self.choice.choose
        panel.askToInstall = self.askToInstall
        panel.askForParts = self.askForParts
        return panel

    def _remedyFor(self, failed: Failed, again: Callable[[], None]) -> Optional[Remedy]:
        """From what the worker offers that failed; it may have told so a moment ago."""
        self.lists.takeHello(self._engine.hello)
        return self.remedies.remedyFor(failed, again)

    def _proxy(self) -> str:
        return self.installer.options().proxy

    def _isAtRest(self) -> bool:
        """Nothing of the engine's files is being changed."""
        return self.installer.state != WORKING and not self.commands.isBusy

    def _isUsable(self) -> bool:
        return not self.installer.whyNot()

    def _whyNotNow(self) -> str:
        isBusy = self._controller.isBusy
        return _("Wait for the propagation, or cancel it, before you delete a model.") if isBusy else ""
