"""The part of the panel that gets, checks and deletes models. It shows and passes on; `ModelCommands` does the work.

A download or a deletion is confirmed in the panel itself, never in a dialog; weights whose licence restricts their use
need a tick for it. The list is read when the section is opened for the first time, never before.
"""

from __future__ import annotations

from typing import Callable, Optional

import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.ErrorStyle import showError
from MedSAM2SlicerLib.InstallText import PlanText
from MedSAM2SlicerLib.ListedModel import ListedModel
from MedSAM2SlicerLib.ModelCommands import DOWNLOAD, RECOGNISE, ModelCommands, ModelOutcome, OwnModel
from MedSAM2SlicerLib.ModelForm import ModelForm
from MedSAM2SlicerLib.ModelPlaces import ModelPlaces
from MedSAM2SlicerLib.ModelText import (
    detailText,
    downloadText,
    outcomeText,
    placeText,
    progressText,
    removalText,
    rowText,
)

_BAR_STEPS = 1000


class ModelPanel:
    """`uiFile` is Resources/UI/ModelPanel.ui; the proxy is the installer's.

    `onModels(models)` is called with every list that was read; `whyNotNow()` says why no file may be touched now, or
    nothing; `onAboutToTouch()` is called before one is. `onUse(id)`: the person wants that model.
    """

    def __init__(self, uiFile: str, commands: ModelCommands, installer) -> None:
        self.onModels: Callable[[tuple[ListedModel, ...]], None] = lambda models: None
        self.whyNotNow: Callable[[], str] = lambda: ""
        self.onAboutToTouch: Callable[[], None] = lambda: None
        self.onUse: Callable[[str], None] = lambda modelId: None
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._commands = commands
        self._agreed: Optional[Callable[[], None]] = None  # what the confirmation that is shown is about
        self._shown: tuple[ListedModel, ...] = ()
        self._form = ModelForm(self.ui, commands.recognise, self.onAddAgreed)
        self.places = ModelPlaces(self.ui, installer)
        self._connect()
        self._say("")
        self.update()

    def update(self) -> None:
        commands, ui = self._commands, self.ui
        isAsking, isBusy = self._agreed is not None, commands.isBusy
        isIdle = not (isAsking or isBusy or self._form.isOpen)
        self._showModels()
        model = self._selected()
        ui.modelList.setEnabled(not isAsking and not self._form.isOpen)
        ui.detailLabel.text = detailText(model) if model is not None else ""
        ui.detailLabel.setVisible(model is not None and not isAsking and not self._form.isOpen)
        ui.downloadButton.setVisible(isIdle and _canBeDownloaded(model))
        ui.downloadButton.text = _("Continue…") if model is not None and model.isRemovable else _("Download…")
        ui.useButton.setVisible(isIdle and model is not None and model.isInstalled)
        ui.verifyButton.setVisible(isIdle and model is not None and model.isInstalled)
        ui.deleteButton.setVisible(isIdle and model is not None and model.isRemovable)
        ui.addButton.setVisible(isIdle and bool(commands.models))
        ui.cancelButton.setVisible(isBusy)
        ui.progressBar.setVisible(isBusy)
        ui.confirmationFrame.setVisible(isAsking)
        ui.addFrame.setVisible(self._form.isOpen)
        ui.addFrame.setEnabled(not isBusy)
        ui.placesGroup.setEnabled(isIdle)
        ui.folderLabel.text = placeText(commands.models)
        if commands.trouble and not isBusy:
            self._say(commands.trouble, isError=True)

    def showModel(self, modelId: str) -> None:
        """Open the section at one model."""
        self.ui.modelsGroup.collapsed = False
        rows = [row for row, model in enumerate(self._shown) if model.id == modelId]
        if rows:
            self.ui.modelList.setCurrentRow(rows[0])

    # ---- slots

    def onOpened(self) -> None:
        if not self.ui.modelsGroup.collapsed and not self._commands.models:
            self._say(_("Reading the list…"))
            self._commands.refresh()

    def onSelected(self) -> None:
        if not self._commands.isBusy:
            self._say("")
        self.update()

    def onDownloadClicked(self) -> None:
        model = self._selected()
        text = downloadText(model, self.places.mirror, self.places.proxy)
        self._ask(text, lambda: self._download(model), model.isRestricted)

    def onDeleteClicked(self) -> None:
        model = self._selected()
        self._ask(removalText(model), lambda: self._touch(lambda: self._commands.remove(model.id)))

    def onUseClicked(self) -> None:
        self.onUse(self._selected().id)
        self._say(_("{model} is used from the next prompt on.").format(model=self._selected().title))

    def onVerifyClicked(self) -> None:
        self._startShowing(_("Computing the SHA-256 of {model}…").format(model=self._selected().title))
        self._commands.verify(self._selected().id)

    def onAddClicked(self) -> None:
        self._say("")
        self._form.open(self._commands.models)
        self.update()

    def onAddAgreed(self, own: OwnModel) -> None:
        self._startShowing(_("Copying the file…"))
        self._commands.add(own)

    def onDiscarded(self) -> None:
        self._form.close()
        self.update()

    def onAgreed(self) -> None:
        agreed, self._agreed = self._agreed, None
        if agreed is not None:
            agreed()
        self.update()

    def onDeclined(self) -> None:
        self._agreed = None
        self.update()

    def onConsentToggled(self, isGiven: bool) -> None:
        self.ui.agreeButton.setEnabled(isGiven)

    def onCancelClicked(self) -> None:
        wasDownload = self._commands.action == DOWNLOAD
        self._commands.cancel()
        if wasDownload:
            self._say(_("Stopped. What has arrived is kept; the next download goes on from there."))
        else:
            self._say(_("Stopped."))

    def onFolderChanged(self) -> None:
        """Another folder has other models. The next worker is told of it."""
        if not self.whyNotNow():
            self.onAboutToTouch()
        self._commands.refresh()

    def onCommandsChanged(self) -> None:
        if self._commands.models != self._shown:
            self.onModels(self._commands.models)
        self.update()

    def onProgress(self, done: int, total: int) -> None:
        bar = self.ui.progressBar
        bar.maximum = _BAR_STEPS if total else 0
        bar.value = int(done / total * _BAR_STEPS) if total else 0
        self._say(progressText(self._title(self._commands.modelId), done, total))

    def onEnded(self, outcome: ModelOutcome) -> None:
        if outcome.action == RECOGNISE:
            self._form.onRecognised(outcome)
            return
        if outcome.hasSucceeded:
            self._form.close()
        self._say(outcomeText(outcome), isError=not outcome.hasSucceeded)

    # ---- private

    def _connect(self) -> None:
        ui, commands = self.ui, self._commands
        ui.modelsGroup.connect("toggled(bool)", lambda isOpen: self.onOpened())
        ui.modelList.connect("currentRowChanged(int)", lambda row: self.onSelected())
        ui.downloadButton.connect("clicked()", self.onDownloadClicked)
        ui.useButton.connect("clicked()", self.onUseClicked)
        ui.verifyButton.connect("clicked()", self.onVerifyClicked)
        ui.deleteButton.connect("clicked()", self.onDeleteClicked)
        ui.addButton.connect("clicked()", self.onAddClicked)
        ui.cancelButton.connect("clicked()", self.onCancelClicked)
        ui.agreeButton.connect("clicked()", self.onAgreed)
        ui.declineButton.connect("clicked()", self.onDeclined)
        ui.consentBox.connect("toggled(bool)", self.onConsentToggled)
        ui.discardButton.connect("clicked()", self.onDiscarded)
        self.places.onFolder = self.onFolderChanged
        commands.onChanged = self.onCommandsChanged
        commands.onProgress = self.onProgress
        commands.onEnded = self.onEnded

    def _ask(self, text: PlanText, agreed: Callable[[], None], needsConsent: bool = False) -> None:
        ui = self.ui
        self._agreed = agreed
        ui.confirmationTitle.text = text.title
        ui.confirmationText.text = "\n".join(text.lines)
        ui.agreeButton.text = text.accept
        ui.consentBox.setVisible(needsConsent)
        ui.consentBox.setChecked(False)
        ui.agreeButton.setEnabled(not needsConsent)
        self._say("")
        self.update()

    def _download(self, model: ListedModel) -> None:
        self._startShowing(progressText(model.title, 0, model.size))
        self._commands.download(model, self.places.mirror)

    def _touch(self, act: Callable[[], None]) -> None:
        """Files that the engine may have open are about to change."""
        why = self.whyNotNow()
        if why:
            self._say(why, isError=True)
            return
        self.onAboutToTouch()
        act()

    def _startShowing(self, text: str) -> None:
        self.ui.progressBar.maximum = 0
        self._say(text)

    def _showModels(self) -> None:
        ui, models = self.ui, self._commands.models
        if models == self._shown:
            return
        chosen = self._selected()
        self._shown = models
        wasBlocked = ui.modelList.blockSignals(True)
        ui.modelList.clear()
        for model in models:
            ui.modelList.addItem(rowText(model))
        rows = [row for row, model in enumerate(models) if chosen is not None and model.id == chosen.id]
        ui.modelList.setCurrentRow(rows[0] if rows else 0)
        ui.modelList.blockSignals(wasBlocked)
        if self.ui.statusLabel.text == _("Reading the list…"):
            self._say("")

    def _selected(self) -> Optional[ListedModel]:
        row = self.ui.modelList.currentRow
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def _title(self, modelId: str) -> str:
        return next((model.title for model in self._shown if model.id == modelId), modelId)

    def _say(self, text: str, isError: bool = False) -> None:
        label = self.ui.statusLabel
        label.text = text
        showError(label, isError)
        label.setVisible(bool(text))


def _canBeDownloaded(model: Optional[ListedModel]) -> bool:
    return model is not None and model.isDownloadable and not model.isInstalled
