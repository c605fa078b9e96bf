"""The part of the panel about the chosen lesion: its name, volume and state, its neighbours, 3D, and editing by hand.

It edits the segment and goes through the controller for everything that has to do with prompts and runs. A deletion
is confirmed in the panel itself. The slices that were changed in the Segment Editor are a tag of the segment, whose
name is part of the saved scene.
"""

from __future__ import annotations

from typing import Callable, Optional

import slicer
import vtk
from slicer.i18n import tr as _

from MedSAM2SlicerLib.LesionTable import (
    EDITED,
    LesionTable,
    neighbour,
    otherColors,
    otherNames,
    setState,
    stateOf,
    stateTitle,
    volumeText,
)
from MedSAM2SlicerLib.PromptMarkups import SEGMENT_ATTRIBUTE, SEGMENTATION_ROLE, allPrompts
from MedSAM2SlicerLib.SegmentEditorHandOff import CannotHandOff, SegmentSnapshot, openSegmentEditor, snapshotOf
from MedSAM2SlicerLib.SegmentTerms import TISSUE_TERM, applyTermOfName, termOf
from MedSAM2SlicerLib.StructureNames import suggestions, violations
from MedSAM2SlicerLib.SurfaceView import SurfaceView

EDITED_TAG = "MedSAM2Slicer.EditedSlices"
EDITED_AXIS = "K"


class LesionPanel:
    """`uiFile` is Resources/UI/LesionPanel.ui. `onAboutToDelete(segmentId)` is called before a lesion goes."""

    def __init__(self, uiFile: str, controller) -> None:
        self.onAboutToDelete: Callable[[str], None] = lambda segmentId: None
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._controller = controller
        self._parameters = None
        self._table = LesionTable()
        self._surface = SurfaceView()
        self._wasPropagating = False
        self._asked = ""  # id of the segment whose deletion is to be confirmed
        self._trouble = ""
        self._snapshot: Optional[SegmentSnapshot] = None
        self._connect()
        self.update()

    def setParameters(self, parameters) -> None:
        self._parameters = parameters
        self._asked = self._trouble = ""
        self._snapshot = None
        self.update()

    def update(self) -> None:
        self._followRun()
        if self._controller.isPropagating:
            self.widget.setEnabled(False)
            return
        segment, ui = self._segment(), self.ui
        self.widget.setEnabled(segment is not None)
        ui.show3dButton.setChecked(self._surface.isShown(self._segmentation()))
        ui.confirmationWidget.setVisible(segment is not None and self._asked == self._segmentId())
        ui.summaryLabel.text = self._summary()
        self._showName(segment)
        self._showAdvice(segment)

    def showNext(self) -> None:
        self._step(1)

    def showPrevious(self) -> None:
        self._step(-1)

    def onEntered(self) -> None:
        """Back from another module: what was changed by hand meanwhile is noted."""
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is None:
            return
        changed = snapshot.changedSlices(EDITED_AXIS)
        if changed:
            segment = snapshot.segmentationNode.GetSegmentation().GetSegment(snapshot.segmentId)
            earlier = editedSlices(segment) if stateOf(segment) == EDITED else ()
            noted = sorted({*earlier, *changed})
            segment.SetTag(EDITED_TAG, ",".join(f"{EDITED_AXIS}{index}" for index in noted))
            setState(snapshot.segmentationNode, snapshot.segmentId, EDITED)
            self._restoreSurface()
        self.update()

    # ---- slots

    def onNameEdited(self) -> None:
        segment, name = self._segment(), self.ui.nameBox.currentText.strip()
        if segment is None or not name or name == segment.GetName():
            return
        segment.SetName(name)
        if termOf(name) is not TISSUE_TERM:
            applyTermOfName(segment, otherColors(self._segmentation(), self._segmentId()))
        self.update()

    def onSuggestionChosen(self, _index: int) -> None:
        self.onNameEdited()

    def onDeleteClicked(self) -> None:
        self._asked = self._segmentId()
        self.update()

    def onDeleteDeclined(self) -> None:
        self._asked = ""
        self.update()

    def onDeleteAgreed(self) -> None:
        segmentationNode, segmentId, self._asked = self._segmentation(), self._asked, ""
        if segmentId != self._segmentId() or self._segment() is None or self._controller.isPropagating:
            self.update()
            return
        self.onAboutToDelete(segmentId)
        other = neighbour(segmentationNode, segmentId, 1)
        self._controller.chooseSegment("" if other == segmentId else other)
        for node in _promptsOfSegment(segmentationNode, segmentId):
            node.GetScene().RemoveNode(node)
        segmentationNode.GetSegmentation().RemoveSegment(segmentId)
        self.update()

    def onShow3dToggled(self, isChecked: bool) -> None:
        if isChecked != self._surface.isShown(self._segmentation()):
            self._surface.setShown(self._segmentation(), isChecked)
            self.update()

    def onEditClicked(self) -> None:
        self._controller.leave()
        volumeNode, segmentationNode = self._parameters.volume, self._segmentation()
        self._snapshot = snapshotOf(volumeNode, segmentationNode, self._segmentId())
        try:
            openSegmentEditor(volumeNode, segmentationNode, self._segmentId())
            self._trouble = ""
        except CannotHandOff as error:
            self._snapshot = None
            self._trouble = str(error)
            self.update()

    # ---- private

    def _connect(self) -> None:
        ui = self.ui
        ui.nameBox.lineEdit().connect("editingFinished()", self.onNameEdited)
        ui.nameBox.connect("activated(int)", self.onSuggestionChosen)
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
        segmentationNode = self._segmentation()
        other = neighbour(segmentationNode, self._segmentId(), step)
        if not other or other == self._segmentId() or self._controller.isPropagating:
            return
        self._controller.chooseSegment(other)
        center_ras = segmentationNode.GetSegmentCenterRAS(other)
        if center_ras is not None and self._table.volumeMl(segmentationNode, other):
            slicer.modules.markups.logic().JumpSlicesToLocation(*center_ras, False)

    def _summary(self) -> str:
        rows = self._table.rows(self._segmentation())
        row = next((one for one in rows if one.segmentId == self._segmentId()), None)
        if row is None:
            return ""
        position = [one.segmentId for one in rows].index(row.segmentId) + 1
        text = _("Lesion {number} of {count}: {volume}, {state}")
        state = stateTitle(row.state)
        edited = editedSlices(self._segment())
        if row.state == EDITED and edited:
            state = _("{state} on {slices}").format(state=state, slices=_listed(edited))
        return text.format(number=position, count=len(rows), volume=volumeText(row.volume_ml), state=state)

    def _showName(self, segment) -> None:
        box, name = self.ui.nameBox, segment.GetName() if segment is not None else ""
        offered = suggestions(otherNames(self._segmentation(), self._segmentId())) if segment is not None else []
        shown = [box.itemText(index) for index in range(box.count)]
        if shown == offered and (box.currentText == name or box.lineEdit().hasFocus()):
            return
        wasBlocked = box.blockSignals(True)
        box.clear()
        box.addItems(offered)
        box.setEditText(name)
        box.blockSignals(wasBlocked)

    def _showAdvice(self, segment) -> None:
        advice = violations(segment.GetName(), otherNames(self._segmentation(), self._segmentId())) if segment else []
        self.ui.adviceLabel.text = " ".join([self._trouble, *advice]).strip()
        self.ui.adviceLabel.setVisible(bool(self.ui.adviceLabel.text))


def editedSlices(segment) -> tuple[int, ...]:
    """Slices along K that were changed by hand, as they were noted on return from the Segment Editor."""
    text = vtk.reference("")
    if not segment.GetTag(EDITED_TAG, text):
        return ()
    indices = [part[len(EDITED_AXIS) :] for part in str(text).split(",") if part.startswith(EDITED_AXIS)]
    return tuple(int(index) for index in indices if index.isdigit())


def _listed(indices: tuple[int, ...], most: int = 6) -> str:
    text = ", ".join(f"{EDITED_AXIS}{index}" for index in indices[:most])
    return text if len(indices) <= most else f"{text}, …"


def _promptsOfSegment(segmentationNode, segmentId: str) -> list:
    """On whatever volume they are."""
    return [
        node
        for node in allPrompts()
        if node.GetAttribute(SEGMENT_ATTRIBUTE) == segmentId
        and node.GetNodeReference(SEGMENTATION_ROLE) is segmentationNode
    ]
