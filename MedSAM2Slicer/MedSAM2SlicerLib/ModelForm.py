"""The part of the model panel that adds a file: the path, what the file turns out to be, and what it does not say.

The engine looks at the file as soon as there is one; what it finds decides which fields are asked for. Nothing is
copied before `Add`.
"""

from __future__ import annotations

import os
import re
from typing import Callable, Optional

import ctk
import qt
from slicer.i18n import tr as _

from MedSAM2SlicerLib.ErrorStyle import showError
from MedSAM2SlicerLib.ListedModel import ListedModel
from MedSAM2SlicerLib.ModelCommands import ModelOutcome, OwnModel
from MedSAM2SlicerLib.ModelText import outcomeText

LISTED, CHECKPOINT, ADAPTER = "listed", "checkpoint", "adapter"
SIZES = (1024, 512, 256)
# A path that is being typed may name a file on the way to another one.
_TYPING_MS = 700


class ModelForm:
    """`ui` is that of ModelPanel.ui. `onAdd(own)` is called with what to add, `onRecognise(path, size)` with a file."""

    def __init__(self, ui, onRecognise: Callable[[str, int], None], onAdd: Callable[[OwnModel], None]) -> None:
        self.isOpen = False
        self._ui = ui
        self._onRecognise = onRecognise
        self._onAdd = onAdd
        self._models: tuple[ListedModel, ...] = ()
        self._found: Optional[dict] = None  # what the engine says of the file
        self._path = ""
        self._typing = qt.QTimer()
        self._typing.setSingleShot(True)
        self._typing.connect("timeout()", self.onPathChosen)
        ui.addPath.filters = ctk.ctkPathLineEdit.Files
        for size in SIZES:
            ui.imageSizeSelector.addItem(str(size), size)
        ui.addPath.comboBox().lineEdit().connect("textChanged(QString)", lambda text: self.onPathEdited())
        ui.imageSizeSelector.connect("currentIndexChanged(int)", lambda index: self.onImageSizeChosen())
        ui.addAsSelector.connect("currentIndexChanged(int)", lambda index: self._show())
        ui.nameEdit.connect("textChanged(QString)", lambda text: self._show())
        ui.addNowButton.connect("clicked()", self.onAddClicked)

    def open(self, models: tuple[ListedModel, ...]) -> None:
        self.isOpen, self._models = True, models
        self._forget()
        self._fill(self._ui.addAsSelector, [(_("a model of my own"), ""), *_unpublished(models)])
        self._fill(self._ui.baseSelector, [(one.title, one.id) for one in models if _canBeBase(one)])
        self._ui.addPath.setCurrentPath("")
        self._say("")
        self._show()

    def close(self) -> None:
        self.isOpen = False
        self._typing.stop()
        self._forget()

    # ---- slots

    def onPathEdited(self) -> None:
        if self.isOpen:
            self._forget()
            self._show()
            self._typing.start(_TYPING_MS)

    def onPathChosen(self) -> None:
        path = self._ui.addPath.currentPath
        if os.path.exists(path):
            self._path = path
            self._ui.nameEdit.text = os.path.splitext(os.path.basename(path.rstrip("/\\")))[0]
            self._say(_("Looking at the file…"))
            self._onRecognise(path, self._imageSize())
        elif path:
            self._say(_("There is no such file."), isError=True)

    def onImageSizeChosen(self) -> None:
        """No other size changes what the file is, but a wrong one may not fit it."""
        if self._path and self._asksForSize():
            self._onRecognise(self._path, self._imageSize())

    def onRecognised(self, outcome: ModelOutcome) -> None:
        self._found = dict(outcome.facts) if outcome.hasSucceeded else None
        self._say(outcomeText(outcome), isError=not outcome.hasSucceeded)
        self._show()

    def onAddClicked(self) -> None:
        found, chosen = self._found, self._chosenListed()
        if found is None:
            return
        if found["kind"] == LISTED or chosen:
            self._onAdd(OwnModel(self._path, str(found.get("id") or chosen)))
            return
        title = self._ui.nameEdit.text.strip()
        size = self._imageSize() if self._asksForSize() else 0
        base = str(self._ui.baseSelector.currentData or "") if found["kind"] == ADAPTER else ""
        self._onAdd(OwnModel(self._path, self._newId(title), title, size, base))

    # ---- private

    def _forget(self) -> None:
        self._found, self._path = None, ""

    def _imageSize(self) -> int:
        return int(self._ui.imageSizeSelector.currentData or SIZES[0])

    def _asksForSize(self) -> bool:
        """A folder says itself which size it was trained on; no file does."""
        return self._found is not None and self._found["kind"] == CHECKPOINT and not self._found["says_size"]

    def _chosenListed(self) -> str:
        """The listed model that the person says this is."""
        isCheckpoint = self._found is not None and self._found["kind"] == CHECKPOINT
        return str(self._ui.addAsSelector.currentData or "") if isCheckpoint else ""

    def _newId(self, title: str) -> str:
        """An id that is not taken; the title is what people see."""
        stem = re.sub(r"[^a-z0-9._-]+", "-", title.lower()).strip("-._")[:50] or "model"
        taken = {model.id for model in self._models}
        names = [stem] + [f"{stem}-{number}" for number in range(2, len(taken) + 3)]
        return next(name for name in names if name not in taken)

    def _show(self) -> None:
        ui, kind = self._ui, self._found["kind"] if self._found is not None else ""
        isOwn = kind in (CHECKPOINT, ADAPTER) and not self._chosenListed()
        for widgets, isShown in (
            ((ui.addAsLabel, ui.addAsSelector), kind == CHECKPOINT and ui.addAsSelector.count > 1),
            ((ui.nameLabel, ui.nameEdit), isOwn),
            ((ui.imageSizeLabel, ui.imageSizeSelector), isOwn and self._asksForSize()),
            ((ui.baseLabel, ui.baseSelector), kind == ADAPTER),
        ):
            for widget in widgets:
                widget.setVisible(isShown)
        hasBase = kind != ADAPTER or ui.baseSelector.count > 0
        ui.addNowButton.setEnabled(bool(kind) and hasBase and (not isOwn or bool(ui.nameEdit.text.strip())))

    def _say(self, text: str, isError: bool = False) -> None:
        self._ui.recognisedLabel.text = text
        showError(self._ui.recognisedLabel, isError)
        self._ui.recognisedLabel.setVisible(bool(text))

    def _fill(self, selector, titlesAndIds) -> None:
        wasBlocked = selector.blockSignals(True)
        selector.clear()
        for title, one_id in titlesAndIds:
            selector.addItem(title, one_id)
        selector.blockSignals(wasBlocked)


def _unpublished(models: tuple[ListedModel, ...]) -> list[tuple[str, str]]:
    """Those that cannot be told by their SHA-256, and are not there yet."""
    return [(one.title, one.id) for one in models if not (one.hasChecksum or one.isOwn or one.isInstalled)]


def _canBeBase(model: ListedModel) -> bool:
    return model.takesAdapters and model.isInstalled
