"""The part of the panel that installs, repairs and removes the engine. It shows and passes on; it decides nothing.

A removal or an installation is confirmed in the panel itself, never in a dialog. `widget` is what another panel embeds.
"""

from __future__ import annotations

import os
from typing import Callable, Optional

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.EngineInstaller import (
    CHECKED,
    FAILED,
    INSTALLED,
    READY,
    UNFINISHED,
    WORKING,
    WRONG,
    EngineInstaller,
)
from MedSAM2SlicerLib.Environment import BESIDE_SOURCE, BY_SETTING, BY_VARIABLE, VARIABLE, enginePython
from MedSAM2SlicerLib.ErrorStyle import showError
from MedSAM2SlicerLib.InstallPlan import AUTOMATIC, CPU, CUDA, INDEX, OLDER_CUDA
from MedSAM2SlicerLib.InstallText import PlanText

_BAR_STEPS = 1000
# A path that is being typed may name a file on the way to another one.
_TYPING_MS = 700


class EnginePanel:
    """`uiFile` is Resources/UI/EnginePanel.ui. `onFinished(outcome)` is called after every run of the installer.

    `engineLog()` gives the last lines that the engine wrote.
    """

    def __init__(self, uiFile: str, installer: EngineInstaller) -> None:
        self.onFinished: Callable = lambda outcome: None
        self.engineLog: Callable[[], list[str]] = list
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._installer = installer
        self._agreed: Optional[Callable[[], None]] = None  # what the confirmation that is shown is about
        self._typing = qt.QTimer()
        self._typing.setSingleShot(True)
        self._typing.connect("timeout()", self.onExistingPythonChosen)
        for title, backend in _backends():
            self.ui.backendSelector.addItem(title, backend)
        self.ui.wheelFolderPath.filters = self.ui.folderPath.filters = ctk.ctkPathLineEdit.Dirs
        self.ui.existingPythonPath.filters = ctk.ctkPathLineEdit.Files
        self._showOptions()
        self._connect()
        self.update()

    def update(self) -> None:
        installer, ui = self._installer, self.ui
        state, isWorking, isAsking = installer.state, installer.state == WORKING, self._agreed is not None
        isIdle = not isWorking and not isAsking
        ui.installButton.setVisible(isIdle and (state != READY or installer.isOutdated))
        ui.installButton.text = _("Continue installation…") if state == UNFINISHED else _("Install engine…")
        ui.repairButton.setVisible(isIdle and state == READY and not installer.isOutdated)
        ui.repairButton.text = _("Repair…") if installer.folder().isReady else _("Install a separate one…")
        ui.checkButton.setVisible(isIdle and state == READY)
        ui.removeButton.setVisible(isIdle and installer.canRemove)
        ui.cancelButton.setVisible(isWorking)
        ui.cancelButton.setEnabled(installer.isCancellable)
        ui.confirmationFrame.setVisible(isAsking)
        ui.statusLabel.setVisible(not isAsking)
        ui.progressBar.setVisible(isWorking)
        ui.optionsGroup.setEnabled(isIdle)
        self._showStatus(state)

    # ---- slots

    def onInstallClicked(self) -> None:
        self._ask(self._installer.installText(), self._installer.install)

    def onRemoveClicked(self) -> None:
        self._ask(self._installer.removalText(), self._installer.remove)

    def onPartsAsked(self) -> None:
        self._ask(self._installer.partsText(), self._installer.addParts)

    def onAgreed(self) -> None:
        agreed, self._agreed = self._agreed, None
        if agreed is not None:
            agreed()
        self.update()

    def onDeclined(self) -> None:
        self._agreed = None
        self.update()

    def onCopyLogClicked(self) -> None:
        """What installations wrote, and what the engine wrote since it started last."""
        lines = self.engineLog()
        ofEngine = "\n".join(["", "==== engine", *lines, ""]) if lines else ""
        qt.QApplication.clipboard().setText(self._installer.logText() + ofEngine)

    def onBackendChosen(self, index: int) -> None:
        self._installer.setOption("backend", str(self.ui.backendSelector.itemData(index)))

    def onProxyEdited(self) -> None:
        self._installer.setOption("proxy", self.ui.proxyEdit.text)

    def onWheelFolderChanged(self) -> None:
        self._installer.setOption("wheelFolder", self.ui.wheelFolderPath.currentPath)

    def onFolderChanged(self) -> None:
        self._installer.setOption("folder", self.ui.folderPath.currentPath)

    def onExistingPythonEdited(self) -> None:
        self._typing.start(_TYPING_MS)

    def onExistingPythonChosen(self) -> None:
        path = self.ui.existingPythonPath.currentPath
        if path == self._shownPython():
            return
        if self._installer.state == WORKING:
            self._typing.start(_TYPING_MS)
        elif os.path.isfile(path):
            self._installer.useExisting(path)
        elif not path:
            self._installer.useOwn()

    def onProgress(self, fraction: float, text: str) -> None:
        bar = self.ui.progressBar
        bar.maximum = _BAR_STEPS if fraction >= 0 else 0
        bar.value = int(fraction * _BAR_STEPS) if fraction >= 0 else 0
        self.ui.statusLabel.styleSheet = ""
        self.ui.statusLabel.text = text

    def onInstallerChanged(self) -> None:
        self.update()

    def onInstallerFinished(self, outcome) -> None:
        self._showOptions()
        self.onFinished(outcome)

    # ---- private

    def _connect(self) -> None:
        ui, installer = self.ui, self._installer
        ui.installButton.connect("clicked()", self.onInstallClicked)
        ui.repairButton.connect("clicked()", self.onInstallClicked)
        ui.checkButton.connect("clicked()", installer.check)
        ui.removeButton.connect("clicked()", self.onRemoveClicked)
        ui.cancelButton.connect("clicked()", installer.cancel)
        ui.copyLogButton.connect("clicked()", self.onCopyLogClicked)
        ui.agreeButton.connect("clicked()", self.onAgreed)
        ui.declineButton.connect("clicked()", self.onDeclined)
        ui.backendSelector.connect("currentIndexChanged(int)", self.onBackendChosen)
        ui.proxyEdit.connect("editingFinished()", self.onProxyEdited)
        # A CTK field tells of no path that is empty, and the text in it tells of every path.
        _lineEdit(ui.wheelFolderPath).connect("textChanged(QString)", lambda text: self.onWheelFolderChanged())
        _lineEdit(ui.folderPath).connect("textChanged(QString)", lambda text: self.onFolderChanged())
        _lineEdit(ui.existingPythonPath).connect("textChanged(QString)", lambda text: self.onExistingPythonEdited())
        installer.onChanged = self.onInstallerChanged
        installer.onProgress = self.onProgress
        installer.onFinished = self.onInstallerFinished

    def _ask(self, text: PlanText, agreed: Callable[[], None]) -> None:
        self._agreed = agreed
        self.ui.confirmationTitle.text = text.title
        self.ui.confirmationText.text = "\n".join(text.lines)
        self.ui.agreeButton.text = text.accept
        self.update()

    def _showStatus(self, state: str) -> None:
        label, outcome = self.ui.statusLabel, self._installer.lastOutcome
        if state == WORKING:
            return
        isTrouble = outcome.kind == FAILED if outcome is not None else state == WRONG
        showError(label, isTrouble)
        label.text = outcome.sentence if outcome is not None else self._stateSentence(state)

    def _stateSentence(self, state: str) -> str:
        noted = self._installer.folder().record() or {}
        if state == READY and self._installer.isOutdated:
            return _("The engine was installed by another version of this extension. Install it anew if it fails.")
        python = self._installer.python
        if state == READY and python.path == str(self._installer.folder().python):
            return _("The engine is installed (PyTorch {version}).").format(version=noted.get("torch", "?"))
        if state == READY:
            return _USES[python.source]().format(path=python.path, variable=VARIABLE)
        if state == UNFINISHED:
            return _("An installation of the engine was interrupted. Continue it.")
        return self._installer.whyNot() if state == WRONG else _("The engine is not installed.")

    def _showOptions(self) -> None:
        ui, options = self.ui, self._installer.options()
        widgets = (ui.backendSelector, ui.proxyEdit)
        edits = tuple(_lineEdit(path) for path in (ui.wheelFolderPath, ui.folderPath, ui.existingPythonPath))
        wasBlocked = [widget.blockSignals(True) for widget in widgets + edits]
        ui.backendSelector.setCurrentIndex(max(0, ui.backendSelector.findData(options.backend)))
        ui.proxyEdit.text = options.proxy
        ui.wheelFolderPath.currentPath = options.wheelFolder
        ui.folderPath.currentPath = options.folder
        ui.existingPythonPath.currentPath = self._shownPython()
        for widget, blocked in zip(widgets + edits, wasBlocked):
            widget.blockSignals(blocked)

    def _shownPython(self) -> str:
        """The Python that is set, unless it is the installer's own."""
        isOwn = enginePython() == str(self._installer.folder().python)
        return "" if isOwn else enginePython()


_USES = {
    BY_SETTING: lambda: _("The engine uses an existing Python: {path}"),
    BY_VARIABLE: lambda: _("The engine uses the Python that {variable} names: {path}"),
    BESIDE_SOURCE: lambda: _("The engine uses the Python beside the extension's source: {path}"),
}


def isSuccess(outcome) -> bool:
    """Whether the engine can be started (again) after this outcome."""
    return outcome.kind in (INSTALLED, CHECKED)


def _backends() -> list[tuple[str, str]]:
    return [
        (_("Automatic"), AUTOMATIC),
        (_("CPU only"), CPU),
        (_("NVIDIA GPU (CUDA 12.8)"), CUDA),
        (_("Older NVIDIA GPU (CUDA 12.6)"), OLDER_CUDA),
        (_("As the package index has it"), INDEX),
    ]


def _lineEdit(path):
    """The text field of a ctkPathLineEdit."""
    return path.comboBox().lineEdit()
