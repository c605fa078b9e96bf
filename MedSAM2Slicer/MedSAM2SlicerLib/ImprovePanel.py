"""The part of the panel that trains the chosen model further on approved lesions. It shows and passes on; the work is
that of `CaseExport` and `TrainingCommand`.

A training goes on while other modules are used; it is stopped with Slicer, and goes on from where its state was written
last. Nothing is started before the person has seen from what it would learn.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Callable, Optional

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.CaseExport import CaseExport, ExportEnd, NothingApproved, NothingToExport
from MedSAM2SlicerLib.CaseFolder import CaseFolder, caseFolder, casesText, chooseFolder, chosenFolder
from MedSAM2SlicerLib.ErrorStyle import showError
from MedSAM2SlicerLib.ImproveText import (
    defaultTitle,
    durations,
    exportText,
    learners,
    phaseText,
    recordText,
    startText,
    stepText,
    whyNot,
)
from MedSAM2SlicerLib.TrainingCommand import DONE as TRAINED
from MedSAM2SlicerLib.TrainingCommand import INTERRUPTED, NOT_INSTALLED, TrainingCommand, TrainingEnd
from MedSAM2SlicerLib.TrainingRecord import DONE, UNFINISHED, TrainingRecord, latestTraining

MISSING_PACKAGES = "missing_packages"
# A path that is being typed may name a folder on the way to another one.
_TYPING_MS = 700


class ImprovePanel:
    """`uiFile` is Resources/UI/ImprovePanel.ui. `chosen` knows volume and segmentation (`SegmentChoice`), `models` the
    chosen model and device (`ModelChoice`), `titleOf(id)` what a model is called.

    `onListed()`: there is another model; `onUse(id)`: the person wants that one. `askToInstall` and `askForParts` lead
    to the installation. `openPage(path)` shows a file or folder.
    """

    def __init__(self, uiFile: str, command: TrainingCommand, chosen, models, titleOf: Callable[[str], str]) -> None:
        self.onListed: Callable[[], None] = lambda: None
        self.onUse: Callable[[str], None] = lambda modelId: None
        self.askToInstall: Callable[[], None] = lambda: None
        self.askForParts: Callable[[], None] = lambda: None
        self.openPage: Callable[[str], None] = _openPage
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._title = self.ui.improveGroup.title
        self._command = command
        self._chosen = chosen
        self._models = models
        self._titleOf = titleOf
        self._export: Optional[CaseExport] = None
        self._asked: Optional[TrainingRecord] = None
        self._record: Optional[TrainingRecord] = None
        self._needsParts = False
        self._memory = 0
        self._typing = qt.QTimer()
        self._typing.setSingleShot(True)
        self._typing.connect("timeout()", self.onFolderChosen)
        self._fill()
        self._connect()
        self._say("")
        self.update()

    @property
    def folder(self) -> CaseFolder:
        return caseFolder()

    def update(self) -> None:
        ui, record = self.ui, self._record
        isTraining, isAsking = self._command.isRunning, self._asked is not None
        isIdle = not (isTraining or isAsking or self._export is not None)
        for button in (ui.addButton, ui.improveButton, ui.choicesWidget):
            button.setVisible(not isTraining and not isAsking)
            button.setEnabled(isIdle)
        ui.confirmationFrame.setVisible(isAsking)
        ui.progressBar.setVisible(isTraining or self._export is not None)
        ui.cancelButton.setVisible(isTraining)
        ui.cancelButton.text = _("Stop at once") if self._command.isStopping else _("Cancel")
        ui.goOnButton.setVisible(isIdle and record is not None and record.state == UNFINISHED)
        isDone = isIdle and record is not None and record.state == DONE
        ui.useButton.setVisible(isDone)
        ui.reportButton.setVisible(isDone and os.path.isfile(str(record.facts.get("report", ""))))
        ui.partsButton.setVisible(isIdle and self._needsParts)
        ui.folderGroup.setEnabled(isIdle)
        if not isTraining:
            ui.improveGroup.title = self._title

    def stop(self) -> None:
        """The module is about to go, or the engine's files are about to change."""
        if self._export is not None:
            self._export.stop()
            self._export = None
        if self._command.isRunning:
            self._command.stop()
            self._showRecord()
        self.update()

    # ---- slots

    def onOpened(self) -> None:
        if not self.ui.improveGroup.collapsed:
            self._readFolder()

    def onAddClicked(self) -> None:
        self._startExport(lambda end: None)

    def onImproveClicked(self) -> None:
        """With what this scene has to add, if it has something."""
        self._startExport(lambda end: self._ask(end.sentence) if not end.isError else None, self._ask)

    def onExported(self, end: ExportEnd) -> None:
        self._export = None
        self._readFolder()
        self._say(exportText(end), end.isError)
        self.update()

    def onAgreed(self) -> None:
        record, self._asked = self._asked, None
        if record is not None:
            self._train(record)

    def onDeclined(self) -> None:
        self._asked = None
        self._showRecord()
        self.update()

    def onGoOnClicked(self) -> None:
        if self._record is not None:
            self._train(self._record)

    def onCancelClicked(self) -> None:
        if self._command.isStopping:
            self._command.stop()
            self._showRecord()
        else:
            self._say(_("Stopping after this step; what was learnt is kept…"))
            self._command.askToStop()
        self.update()

    def onTold(self, told: dict) -> None:
        bar, ui = self.ui.progressBar, self.ui
        if "memory" in told:
            self._memory = int(told["memory"])
        elif "phase" in told:
            bar.maximum, bar.value = int(told["total"]), int(told["done"])
            self._say(phaseText(str(told["phase"]), int(told["done"]), int(told["total"])))
        elif "step" in told:
            self._record = self._record.at(int(told["step"]))
            bar.maximum, bar.value = int(told["steps"]), int(told["step"])
            share = 100 * bar.value // max(1, bar.maximum)
            ui.improveGroup.title = _("{title} ({percent} %)").format(title=self._title, percent=share)
            if not self._command.isStopping:
                self._say(stepText(told, self._memory))

    def onEnded(self, end: TrainingEnd) -> None:
        record = self._record
        if end.kind == TRAINED:
            record = record.ended(DONE, end.facts)
            self._needsParts = not end.facts.get("pictures", True)
        elif end.kind == INTERRUPTED:
            record = record.at(int(end.facts.get("step", record.step)))
        elif end.kind == MISSING_PACKAGES:
            self._needsParts = True
        isKept = self._keep(record)
        if end.kind == TRAINED:
            self.onListed()
        if isKept:
            self._showRecord()
        if end.sentence:
            self._say(end.sentence, isError=True)
        self.update()
        if end.kind == NOT_INSTALLED:
            self.askToInstall()

    def onUseClicked(self) -> None:
        self.onListed()
        self.onUse(self._record.id)
        self._say(_("“{title}” is used from the next prompt on.").format(title=self._record.title))

    def onReportClicked(self) -> None:
        self.openPage(str(self._record.facts["report"]))

    def onOpenFolderClicked(self) -> None:
        with contextlib.suppress(OSError):
            self.folder.cases.mkdir(parents=True, exist_ok=True)
        self.openPage(str(self.folder.cases))

    def onFolderChosen(self) -> None:
        path = self.ui.folderPath.currentPath
        if path != chosenFolder() and (not path or os.path.isdir(path)):
            chooseFolder(path)
            self._readFolder()

    def onPartsClicked(self) -> None:
        self._needsParts = False
        self.update()
        self.askForParts()

    # ---- private

    def _fill(self) -> None:
        ui = self.ui
        for title, steps in durations():
            ui.durationSelector.addItem(title, steps)
        ui.durationSelector.setCurrentIndex(1)
        for title, choice in learners():
            ui.learnsSelector.addItem(title, choice)
        ui.folderPath.filters = ctk.ctkPathLineEdit.Dirs
        ui.folderPath.currentPath = chosenFolder()

    def _connect(self) -> None:
        ui, command = self.ui, self._command
        ui.improveGroup.connect("toggled(bool)", lambda isOpen: self.onOpened())
        ui.addButton.connect("clicked()", self.onAddClicked)
        ui.improveButton.connect("clicked()", self.onImproveClicked)
        ui.agreeButton.connect("clicked()", self.onAgreed)
        ui.declineButton.connect("clicked()", self.onDeclined)
        ui.goOnButton.connect("clicked()", self.onGoOnClicked)
        ui.cancelButton.connect("clicked()", self.onCancelClicked)
        ui.useButton.connect("clicked()", self.onUseClicked)
        ui.reportButton.connect("clicked()", self.onReportClicked)
        ui.partsButton.connect("clicked()", self.onPartsClicked)
        ui.openFolderButton.connect("clicked()", self.onOpenFolderClicked)
        ui.folderPath.comboBox().lineEdit().connect("textChanged(QString)", lambda text: self._typing.start(_TYPING_MS))
        command.onTold = self.onTold
        command.onEnded = self.onEnded

    def _startExport(self, then: Callable[[ExportEnd], None], without: Optional[Callable[[str], None]] = None) -> None:
        """`without` is what to do in a scene that has nothing to add, if that is no mistake.

        It hears what was left out, as a sentence.
        """

        def ended(end: ExportEnd) -> None:
            self.onExported(end)
            then(end)

        export = CaseExport(self.folder, self._chosen, ended)
        try:
            self._export = export
            export.start()
        except NothingToExport as reason:
            self._export = None
            if without is not None and isinstance(reason, NothingApproved) and self.folder.read():
                without(reason.leftOut)
            else:
                self._say(str(reason), isError=True)
        if self._export is not None:
            self.ui.progressBar.maximum = 0
            self._say(_("Copying the approved lesions and their volumes…"))
        self.update()

    def _ask(self, said: str = "") -> None:
        """`said` stays to be read beside the question."""
        cases = self.folder.read()
        why = whyNot(cases)
        if why:
            self._say(why, isError=True)
            return
        self._asked = record = self._newRecord(tuple(case.id for case in cases))
        text = startText(record.title, self._titleOf(record.base), cases, str(self.folder.trainings / record.id))
        self.ui.confirmationTitle.text = text.title
        self.ui.confirmationText.text = "\n".join(text.lines)
        self.ui.agreeButton.text = text.accept
        self._say(said)
        self.update()

    def _newRecord(self, cases: tuple[str, ...]) -> TrainingRecord:
        ui, base = self.ui, self._models.model
        title = ui.nameEdit.text.strip() or defaultTitle(len(cases))
        return TrainingRecord(
            id=time.strftime("improved-%Y%m%d-%H%M%S"),
            title=title,
            base=base,
            learns=str(ui.learnsSelector.currentData),
            steps=int(ui.durationSelector.currentData),
            device=self._models.device,
            cases=cases,
        )

    def _train(self, record: TrainingRecord) -> None:
        self._record, self._memory = record, 0
        if not self._keep(record):
            return
        self.ui.progressBar.maximum = 0
        self._say(_("Reading the cases…"))
        self._command.start(record, self.folder)
        self.update()

    def _keep(self, record: TrainingRecord) -> bool:
        self._record = record
        try:
            record.write(self.folder.trainings)
        except OSError as error:
            text = _("Nothing can be written into {folder} ({why}). Choose another folder, or free some space.")
            self._say(text.format(folder=self.folder.root, why=error.strerror or error), isError=True)
            self.update()
            return False
        return True

    def _readFolder(self) -> None:
        folder = self.folder
        cases = folder.read()
        self.ui.casesLabel.text = casesText(cases)
        self.ui.nameEdit.placeholderText = defaultTitle(len(cases))
        self.ui.folderLabel.text = _("Now in {folder}").format(folder=folder.root)
        if not self._command.isRunning and self._asked is None:
            self._record = latestTraining(folder.trainings)
            self._showRecord()
        self.update()

    def _showRecord(self) -> None:
        self._say(recordText(self._record) if self._record is not None else "")

    def _say(self, text: str, isError: bool = False) -> None:
        label = self.ui.statusLabel
        label.text = text
        showError(label, isError)
        label.setVisible(bool(text))


def _openPage(path: str) -> None:
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(path))
