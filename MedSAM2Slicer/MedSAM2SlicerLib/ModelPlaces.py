"""Where models come from and where they are kept: folder, mirror and proxy, in Slicer's settings."""

from __future__ import annotations

import os
from typing import Callable

import ctk
import qt
import slicer

from MedSAM2SlicerLib.Environment import modelsFolder, setModelsFolder

MIRROR_SETTING = "MedSAM2Slicer/ModelMirror"
# A path that is being typed may name a folder on the way to another one.
_TYPING_MS = 700


class ModelPlaces:
    """`ui` is that of ModelPanel.ui; the proxy is the installer's. `onFolder` is called when the folder has changed."""

    def __init__(self, ui, installer) -> None:
        self.onFolder: Callable[[], None] = lambda: None
        self._ui = ui
        self._installer = installer
        self._typing = qt.QTimer()
        self._typing.setSingleShot(True)
        self._typing.connect("timeout()", self.onFolderChosen)
        self._folderEdit = ui.modelsFolderPath.comboBox().lineEdit()
        ui.modelsFolderPath.filters = ctk.ctkPathLineEdit.Dirs
        self.update()
        self._folderEdit.connect("textChanged(QString)", lambda text: self._typing.start(_TYPING_MS))
        ui.mirrorEdit.connect("editingFinished()", self.onMirrorEdited)
        ui.proxyEdit.connect("editingFinished()", self.onProxyEdited)

    @property
    def mirror(self) -> str:
        return str(slicer.app.settings().value(MIRROR_SETTING, "") or "")

    @property
    def proxy(self) -> str:
        return self._installer.options().proxy

    def update(self) -> None:
        """Somebody else may have changed a setting."""
        wasBlocked = self._folderEdit.blockSignals(True)
        self._ui.modelsFolderPath.currentPath = modelsFolder()
        self._folderEdit.blockSignals(wasBlocked)
        self._ui.mirrorEdit.text = self.mirror
        self._ui.proxyEdit.text = self.proxy

    # ---- slots

    def onFolderChosen(self) -> None:
        folder = self._ui.modelsFolderPath.currentPath
        if folder != modelsFolder() and (not folder or os.path.isdir(folder)):
            setModelsFolder(folder)
            self.onFolder()

    def onMirrorEdited(self) -> None:
        slicer.app.settings().setValue(MIRROR_SETTING, self._ui.mirrorEdit.text.strip())

    def onProxyEdited(self) -> None:
        self._installer.setOption("proxy", self._ui.proxyEdit.text)
