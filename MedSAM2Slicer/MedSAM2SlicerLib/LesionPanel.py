"""The part of the panel about lesions: the list of all, and 3D, deletion and editing by hand of the chosen one.

It edits the segment and goes through the controller for everything that has to do with prompts and runs. A deletion
is confirmed in the panel itself, and can be undone.
"""

from __future__ import annotations

import os
from typing import Optional

import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.CorrectionSentences import listed
from MedSAM2SlicerLib.LesionList import LesionList
from MedSAM2SlicerLib.LesionTable import (
    EDITED,
    LesionTable,
    neighbour,
    otherColors,
    otherNames,
    stateTitle,
    volumeText,
)
from MedSAM2SlicerLib.MeasuresPanel import MeasuresPanel
from MedSAM2SlicerLib.PostProcessPanel import PostProcessPanel
from MedSAM2SlicerLib.RecistPanel import RecistPanel
from MedSAM2SlicerLib.SegmentationObserver import SegmentationObserver
from MedSAM2SlicerLib.SegmentEditorHandOff import CannotHandOff, openSegmentEditor
from MedSAM2SlicerLib.SegmentSlices import stampOf
from MedSAM2SlicerLib.SegmentTerms import followName
from MedSAM2SlicerLib.SliceStates import SliceStates
from MedSAM2SlicerLib.StructureNames import suggestions, violations
from MedSAM2SlicerLib.SurfaceView import SurfaceView


class LesionPanel:
    """`uiFile` is Resources/UI/LesionPanel.ui."""

    def __init__(self, uiFile: str, controller) -> None:
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._controller = controller
        self._parameters = None
        self._table = LesionTable()
        self.measures = MeasuresPanel(os.path.join(os.path.dirname(uiFile), "MeasuresPanel.ui"), controller)
        self.ui.measuresLayout.addWidget(self.measures.widget)
        self.recist = RecistPanel(os.path.join(os.path.dirname(uiFile), "RecistPanel.ui"), controller)
        self.ui.recistLayout.addWidget(self.recist.widget)
        self.tidying = PostProcessPanel(os.path.join(os.path.dirname(uiFile), "PostProcessPanel.ui"), controller)
        self.ui.tidyingLayout.addWidget(self.tidying.widget)
        self._list = LesionList(self.ui.lesionTable, os.path.join(os.path.dirname(uiFile), "..", "Icons"))
        self._surface = SurfaceView()
        self._wasPropagating = False
        self._asked = ""  # id of the segment whose deletion is to be confirmed
        self._trouble = ""
        self._handedOff: Optional[tuple] = None  # id and stamp of the segment that the Segment Editor was given
        self._observer = SegmentationObserver(self.onListChanged, self.onVoxelsChanged)
        self._connect()
        self.update()

    @property
    def isEditingName(self) -> bool:
        return self._list.isEditing

    def setParameters(self, parameters) -> None:
        self._parameters = parameters
        self._asked = self._trouble = ""
        self._handedOff = None
        self._list.closeEditors()
        self.measures.setParameters(parameters)
        self.recist.setParameters(parameters)
        self.update()

    def update(self) -> None:
        """While a propagation writes, the rows follow it at the pace of the observer, not slice by slice."""
        self._observer.follow(self._segmentation())
        self._followRun()
        self.measures.update()
        if self._controller.isPropagating:
            self.widget.setEnabled(False)
            return
        segment, ui = self._segment(), self.ui
        self.widget.setEnabled(self._parameters is not None)
        for button in (ui.previousButton, ui.nextButton, ui.show3dButton, ui.editButton, ui.deleteButton):
            button.setEnabled(segment is not None)
        self.tidying.widget.setEnabled(segment is not None)
        ui.show3dButton.setChecked(self._surface.isShown(self._segmentation()))
        ui.confirmationWidget.setVisible(segment is not None and self._asked == self._segmentId())
        self._showRows()
        self._showAdvice(segment)

    def showNext(self) -> None:
        self._step(1)

    def showPrevious(self) -> None:
        self._step(-1)

    def rename(self) -> None:
        """Edit the name of the chosen lesion in its row."""
        if not self._controller.isPropagating:
            self._list.editName()

    def cancelEditing(self) -> None:
        self._list.closeEditors()

    def onEntered(self) -> None:
        """Back from the Segment Editor: a surface that was lost by an edit there comes back."""
        before, self._handedOff = self._handedOff, None
        if before is not None and before != self._stamp():
            self._restoreSurface()
        self.update()

    # ---- slots

    def onListChanged(self) -> None:
        if self._controller.isPropagating:
            self._showRows()
        else:
            self.update()

    def onVoxelsChanged(self) -> None:
        self._showRows()

    def onLesionChosen(self, segmentId: str) -> None:
        self._show(segmentId)

    def onNameEdited(self, segmentId: str, name: str) -> None:
        segmentationNode, name = self._segmentation(), name.strip()
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId) if segmentationNode is not None else None
        if segment is None or not name or name == segment.GetName():
            return
        segment.SetName(name)
        followName(segment, otherColors(segmentationNode, segmentId))
        self.update()

    def onDeleteClicked(self) -> None:
        self._asked = self._segmentId() if self._controller.deleting.mayDelete() else ""
        self.update()

    def onDeleteDeclined(self) -> None:
        self._asked = ""
        self.update()

    def onDeleteAgreed(self) -> None:
        segmentId, self._asked = self._asked, ""
        if segmentId == self._segmentId():
            self._controller.deleting.delete()
        self.update()

    def onShow3dToggled(self, isChecked: bool) -> None:
        if isChecked != self._surface.isShown(self._segmentation()):
            self._surface.setShown(self._segmentation(), isChecked)
            self.update()

    def onEditClicked(self) -> None:
        self._controller.leave()
        volumeNode, segmentationNode = self._parameters.volume, self._segmentation()
        self._handedOff = self._stamp()
        try:
            openSegmentEditor(volumeNode, segmentationNode, self._segmentId())
            self._trouble = ""
        except CannotHandOff as error:
            self._handedOff = None
            self._trouble = str(error)
            self.update()

    # ---- private

    def _connect(self) -> None:
        ui = self.ui
        self._list.onChosen = self.onLesionChosen
        self._list.onRenamed = self.onNameEdited
        self._list.suggestedNames = lambda segmentId: suggestions(otherNames(self._segmentation(), segmentId))
        ui.previousButton.connect("clicked()", self.showPrevious)
        ui.nextButton.connect("clicked()", self.showNext)
        ui.deleteButton.connect("clicked()", self.onDeleteClicked)
        ui.agreeButton.connect("clicked()", self.onDeleteAgreed)
        ui.declineButton.connect("clicked()", self.onDeleteDeclined)
        ui.show3dButton.connect("toggled(bool)", self.onShow3dToggled)
        ui.editButton.connect("clicked()", self.onEditClicked)

    def _segmentation(self):
        return self._parameters.segmentation if self._parameters is not None else None

    def _segmentId(self) -> str:
        return self._parameters.segmentId if self._parameters is not None else ""

    def _segment(self):
        segmentationNode = self._segmentation()
        return (
            segmentationNode.GetSegmentation().GetSegment(self._segmentId()) if segmentationNode is not None else None
        )

    def _stamp(self) -> Optional[tuple]:
        """By which it is seen that the chosen segment was changed."""
        if self._segment() is None:
            return None
        return (self._segmentId(), *stampOf(self._segmentation(), self._segmentId()))

    def _followRun(self) -> None:
        """No surface is computed while a propagation writes."""
        isPropagating = self._controller.isPropagating
        if isPropagating and not self._wasPropagating:
            self._surface.beginWriting()
        elif self._wasPropagating and not isPropagating:
            self._surface.endWriting(self._segmentation())
            self._restoreSurface()
        self._wasPropagating = isPropagating

    def _restoreSurface(self) -> None:
        """Some ways of changing a labelmap throw its surface away."""
        if not self._surface.isShown(self._segmentation()):
            self._surface.refresh(self._segmentation())

    def _step(self, step: int) -> None:
        other = neighbour(self._segmentation(), self._segmentId(), step)
        if other and other != self._segmentId():
            self._show(other)

    def _show(self, segmentId: str) -> None:
        """Choose a lesion, and let the views go to its middle."""
        if self._controller.isPropagating:
            return
        segmentationNode = self._segmentation()
        self._controller.chooseSegment(segmentId)
        if self._table.volumeMl(segmentationNode, segmentId):
            center_ras = segmentationNode.GetSegmentCenterRAS(segmentId)
            slicer.modules.markups.logic().JumpSlicesToLocation(*center_ras, False)

    def _showRows(self) -> None:
        rows = self._table.rows(self._segmentation())
        self._list.update(self._segmentation(), rows, self._segmentId())
        self.ui.summaryLabel.text = self._summary(rows)

    def _summary(self, rows) -> str:
        row = next((one for one in rows if one.segmentId == self._segmentId()), None)
        if row is None:
            return ""
        text = _("Lesion {number} of {count}: {volume}, {state}")
        state = stateTitle(row.state)
        place = self._controller.choice.place()
        states = place.now() if place is not None else SliceStates()
        if row.state == EDITED and states.edited:
            state = _("{state} on {slices}").format(state=state, slices=listed(states.axis, states.edited))
        number = rows.index(row) + 1
        return text.format(number=number, count=len(rows), volume=volumeText(row.volume_ml), state=state)

    def _showAdvice(self, segment) -> None:
        advice = violations(segment.GetName(), otherNames(self._segmentation(), self._segmentId())) if segment else []
        self.ui.adviceLabel.text = " ".join([self._trouble, *advice]).strip()
        self.ui.adviceLabel.setVisible(bool(self.ui.adviceLabel.text))
