"""The story of a click and of a propagation.

A prompt is drawn → it becomes a markup in the scene → its slice is predicted from all prompts on it and shown as a
preview (`Previewing`) → Propagate asks for all slices with every prompt of the segment → slices arrive and are written
while they come → the segment stays, or goes back to what it was if the run is cancelled or fails (`Propagating`).

At most one run is under way (`EngineRuns`) and at most one change of a segment is open (`OpenChange`). Both are
forgotten when the scene closes or a node they need is deleted. Nothing here waits, and every outcome is a sentence in
`message`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Optional

import slicer
from slicer.i18n import tr as _

from medsam2_protocol.messages import Failed, Progress
from medsam2_protocol.prompts import BoxPrompt, MaskPrompt
from MedSAM2SlicerLib.Approval import Approval
from MedSAM2SlicerLib.CorrectionSentences import listed
from MedSAM2SlicerLib.Deleting import Deleting
from MedSAM2SlicerLib.EngineRuns import EngineRuns
from MedSAM2SlicerLib.Exporting import Exporting
from MedSAM2SlicerLib.HandEdits import HandEdits
from MedSAM2SlicerLib.History import CannotUndo, History
from MedSAM2SlicerLib.News import News, shownAfterViews, shownTogether
from MedSAM2SlicerLib.OpenChange import OpenChange
from MedSAM2SlicerLib.Previewing import Previewing
from MedSAM2SlicerLib.PromptKinds import BOX, LASSO, NEGATIVE, POSITIVE, SCRIBBLE, PlacedPrompt
from MedSAM2SlicerLib.PromptMarkups import (
    addNewest,
    allPrompts,
    axisOf,
    centreWorld,
    isEmptied,
    numberPrompts,
    sliceOf,
)
from MedSAM2SlicerLib.PromptObserver import PromptObserver
from MedSAM2SlicerLib.PromptTools import Placed, Refused
from MedSAM2SlicerLib.Propagating import Propagating
from MedSAM2SlicerLib.Readiness import Readiness
from MedSAM2SlicerLib.Remedy import Remedy
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.SegmentStates import SegmentStates
from MedSAM2SlicerLib.SegmentTags import textsOf
from MedSAM2SlicerLib.Toolbox import Toolbox
from MedSAM2SlicerLib.UndoStack import Change
from MedSAM2SlicerLib.UnfinishedChange import takeBackUnfinished
from MedSAM2SlicerLib.VolumePlane import rotateToVolumePlane


class SegmentationController:
    """Between the panel, the scene and the engine. `news.onChanged` is called whenever there is something to show."""

    def __init__(self, engine, engineVolume) -> None:
        self.news = News()
        self.choice = SegmentChoice()
        self.runs = EngineRuns(engine, engineVolume, self.choice, self.news)
        self.readiness = Readiness(engine, engineVolume, self.choice, self.runs)
        self._change = OpenChange(self.choice, self.news)
        self.previewing = Previewing(self.choice, self.runs, self._change, self.news)
        self.onPromptPicked: Callable = lambda node: None  # somebody clicked a prompt in a view
        self._toolbox = Toolbox(self.onPlaced, self.onPromptRefused, self.news.changed)
        self._prompts = PromptObserver(self.onPromptMoved, lambda node: self.onPromptPicked(node))
        self.history = History(self.choice, self._prompts.follow)
        self.propagating = Propagating(self.choice, self.runs, self._change, self.previewing, self.history, self.news)
        self.approval = Approval(self.choice, self.previewing, self.history, self.news, lambda: not self.isPropagating)
        self.deleting = Deleting(self.choice, self.previewing, self.history, self.news, lambda: not self.isPropagating)
        self.exporting = Exporting(self.choice, self.news)
        self.handEdits = HandEdits(self.choice, self.history)
        self.history.onSegmentChanged = self._noteOwnChange
        self.previewing.onWithdraw = self.propagating.onWithdraw = self.approval.withdraw
        self.deleting.onWithdraw = self.approval.withdraw
        self.previewing.onRelease = self.approval.release
        self.propagating.onRelease = self.approval.releaseAll

    # ---- what the panel shows

    @property
    def message(self) -> str:
        return self.news.message

    @property
    def isError(self) -> bool:
        return self.news.isError

    @property
    def progress(self) -> Progress:
        return self.news.progress

    @property
    def armedTool(self) -> str:
        """The kind of prompt that the mouse makes now, or empty."""
        return self._toolbox.armed

    @property
    def isArmed(self) -> bool:
        return bool(self._toolbox.armed)

    @property
    def isBusy(self) -> bool:
        return self.runs.isBusy

    @property
    def isPropagating(self) -> bool:
        return self.runs.isPropagating

    @property
    def hasPreview(self) -> bool:
        return self.previewing.isThere

    @property
    def canPropagate(self) -> bool:
        return self.propagating.canStart

    @property
    def canUndo(self) -> bool:
        return not self.isPropagating and self.history.canUndo

    @property
    def canRedo(self) -> bool:
        return not self.isPropagating and self.history.canRedo

    @property
    def canKeep(self) -> bool:
        """Whether a run that did not reach its end left masks that can be had still."""
        return self.propagating.canKeep

    # ---- a prompt

    def setToolArmed(self, kind: str, isArmed: bool) -> None:
        """One of the buttons of the tools, or its key."""
        if not isArmed:
            self._toolbox.disarm()
        elif self.choice.volumeNode is None:
            self.news.say(_("Choose a volume first."), isError=True)
        elif self.isPropagating:
            self.news.say(_("Wait for the propagation, or cancel it, before you place another prompt."))
        else:
            self._toolbox.arm(kind, self.choice.volumeNode)
            self.news.say(_HOW_TO[kind]())
            self.readiness.now(lambda failed: self._onCannotWarmUp(failed, kind))

    def toggleTool(self, kind: str) -> None:
        self.setToolArmed(kind, self.armedTool != kind)

    def setBoxArmed(self, isArmed: bool) -> None:
        self.setToolArmed(BOX, isArmed)

    def onBoxPlaced(self, box: BoxPrompt) -> None:
        self.onPromptPlaced(box, box.axis)

    def onPlaced(self, placed: Placed) -> None:
        self.onPromptPlaced(placed.prompt, placed.axis, placed.note)

    @shownAfterViews
    def onPromptPlaced(self, prompt: PlacedPrompt, axis: str, note: str = "") -> None:
        """`note` says what was left out of the prompt; it is shown with the preview."""
        with self.history.promptStep(_("new prompt")):
            nodes = self._addPrompts((prompt,), axis)
        self.previewing.predict(nodes[-1], note)

    @shownTogether
    def addMasks(self, masks: tuple[MaskPrompt, ...], note: str = "") -> None:
        """Masks of slices along one axis as prompts of the chosen segment, in one step; the last is previewed."""
        with self.history.promptStep(_("mask as prompt")):
            nodes = self._addPrompts(masks, masks[0].axis)
        self.previewing.predict(nodes[-1], note)

    def _addPrompts(self, prompts: Sequence[PlacedPrompt], axis: str) -> list:
        volumeNode, segmentationNode = self.choice.volumeNode, self.choice.require()
        nodes = addNewest(volumeNode, segmentationNode, self.choice.segmentId, prompts, axis)
        for node in nodes:
            self._prompts.follow(node)
        return nodes

    def onPromptRefused(self, refusal: Refused) -> None:
        view, remedy = refusal.obliqueView, None
        if view is not None:
            title = _("Rotate {view} to the volume plane").format(view=view.sliceNode.GetName())
            remedy = Remedy(title, lambda: self.rotateToVolumePlane(view.sliceNode))
        self.news.say(str(refusal), isError=True, remedy=remedy)

    def rotateToVolumePlane(self, sliceNode) -> None:
        """So that prompts can be drawn in that view; no other view is touched."""
        volumeNode = self.choice.volumeNode
        if volumeNode is None:
            return
        if rotateToVolumePlane(sliceNode, volumeNode):
            self.news.say(_("{view} shows a plane of the volume now. Draw again.").format(view=sliceNode.GetName()))
        else:
            sentence = _("{volume} is bent by its transform: {view} cannot show one of its planes.")
            self.news.say(sentence.format(volume=volumeNode.GetName(), view=sliceNode.GetName()), isError=True)

    @shownAfterViews
    def onPromptMoved(self, node, before: Optional[PlacedPrompt]) -> None:
        """Somebody pulled at a prompt of ours, or deleted its point in a view."""
        if node not in self.choice.promptNodes():
            return
        self.history.promptMoved(node, before)
        if isEmptied(node):
            node.GetScene().RemoveNode(node)
        elif not self.isPropagating:
            self.predict(node)

    def promptNodes(self) -> list:
        """Those of the chosen segment, oldest first."""
        return self.choice.promptNodes()

    def showPrompt(self, node) -> None:
        """Let the views go to its slice."""
        if not isEmptied(node):
            slicer.modules.markups.logic().JumpSlicesToLocation(*centreWorld(node), False)

    @shownTogether
    def removePrompt(self, node) -> None:
        """It goes, and its slice is previewed from what is left there."""
        if self.isPropagating or node not in self.promptNodes():
            return
        axis, index = axisOf(node), sliceOf(node)
        self.previewing.stop()
        with self.history.promptStep(_("deleted prompt")):
            node.GetScene().RemoveNode(node)
        if index is None or not self.previewing.predictOn(axis, index):
            self.news.say(_("The prompt was deleted. Ctrl+Z brings it back."))

    def predict(self, node) -> None:
        """Preview the slice of this prompt."""
        self.previewing.predict(node)

    # ---- undo and redo

    def undo(self) -> None:
        self._travel(self.history.undo, _("Undone: {change}."))

    def redo(self) -> None:
        self._travel(self.history.redo, _("Done again: {change}."))

    @shownTogether
    def _travel(self, go: Callable[[], Change], sentence: str) -> None:
        if self.isPropagating:
            self.news.say(_("Wait for the propagation, or cancel it, before you undo anything."))
            return
        self._prompts.onRest()
        self.previewing.stop()
        try:
            change = go()
        except CannotUndo as reason:
            self.news.say(str(reason), isError=True)
            return
        self.news.say(sentence.format(change=change.title))
        if change.slice is not None:
            self.previewing.predictOn(*change.slice)

    # ---- a propagation

    @shownTogether
    def propagate(self) -> None:
        """What the corrections since the last propagation change; without one all slices, from all prompts."""
        if self.canPropagate:
            self._toolbox.disarm()
        self.propagating.start()

    @shownTogether
    def propagateAnew(self) -> None:
        """All slices of the segment but those that are kept, whatever was propagated before."""
        if self.canPropagate:
            self._toolbox.disarm()
        self.propagating.startAnew()

    @shownTogether
    def keepWhatCame(self) -> None:
        self.propagating.keepWhatCame()

    def markSlice(self, isFirst: bool) -> None:
        self.propagating.markSlice(isFirst)

    def clearMarks(self) -> None:
        self.propagating.clearMarks()

    # ---- the segment

    def addSegment(self) -> None:
        """A new segment for the next object."""
        if self.choice.volumeNode is None:
            self.news.say(_("Choose a volume first."), isError=True)
        elif self.isPropagating:
            self.news.say(_("Wait for the propagation, or cancel it, before you begin another lesion."))
        else:
            self.previewing.stop()
            self.choice.addSegment()
            segment = self.choice.segmentationNode.GetSegmentation().GetSegment(self.choice.segmentId)
            text = _("{lesion} is new. Draw a box around the object (B), or click into it (P).")
            self.news.say(text.format(lesion=segment.GetName()))

    def chooseSegment(self, segmentId: str) -> None:
        if self.choice.parameters is not None and segmentId != self.choice.segmentId and not self.isPropagating:
            self.previewing.stop()
            self.choice.choose(segmentId)
            self.news.changed()

    # ---- ending things

    def cancel(self) -> None:
        """Whatever is going on: the drawing, the run or the preview, in this order."""
        if self.isArmed:
            self._toolbox.disarm()
            self.news.say("")
        elif self.isBusy:
            self.news.say(_("Cancelling…"))
            self.runs.cancel()
        elif self.hasPreview:
            self.previewing.discard()

    def leave(self) -> None:
        """The user goes to another module, where the segment may be edited by hand: no preview may stay in it."""
        self._toolbox.disarm()
        if not self.isPropagating:
            self.previewing.stop()
            self.handEdits.onLeft()
            self.news.say("")

    def enter(self) -> None:
        """The user is back, perhaps from the Segment Editor."""
        changed = self.handEdits.onEntered().get(self.choice.segmentId) if not self.isPropagating else None
        if changed:
            text = _("Edited by hand: {slices}. They stay as they are; Space fits their neighbours to them.")
            self.news.say(text.format(slices=listed(self.approval.axis(), changed)))

    def onNodeAboutToBeRemoved(self, node) -> None:
        if node in self.choice.promptNodes():
            self.history.promptAboutToBeRemoved(node)
        self.history.forgetNode(node)
        self._prompts.forget(node)
        self.propagating.forgetNode(node)
        if node is self.previewing.promptNode and not self.isPropagating:
            self.previewing.stop()
            self.news.say("")
        if self.runs.isOn(node):
            self._abandon(_("The volume was deleted; the computation was stopped."))
        elif self._change.isIn(node):
            self._change.forget()
            self._abandon(_("The segmentation was deleted; the computation was stopped."))
        if node is self.choice.volumeNode:
            self._toolbox.disarm()
            self.runs.forgetVolume()

    def onParametersModified(self) -> None:
        """Another volume or segmentation was chosen: a preview of the one before goes."""
        writer = self._change.writer
        if writer is not None and not self.isPropagating and not self.choice.isOf(writer):
            self.previewing.stop()
            self.news.say("")

    def setParameters(self, parameters) -> None:
        """Another scene, or none (None): what belonged to the one before is forgotten, nothing is written any more."""
        self.runs.drop()
        self._toolbox.disarm()
        self._prompts.stop()
        self.previewing.forget()
        self._change.forget()
        self.propagating.forget()
        self.handEdits.forget()
        if parameters is None:
            self.runs.forgetVolume()
            self.history.clear()
        self.choice.parameters = parameters
        self.news.say("")
        if parameters is not None:
            self._takeBackUnfinished()
        self._followPrompts()

    def onSceneImported(self, parameters) -> None:
        """Nodes were added to the scene; what is under way goes on, whatever they say is chosen."""
        self.choice.parameters = parameters
        writer = self._change.writer
        if writer is not None and writer.isPossible():
            self.choice.chooseAll(writer.volumeNode, writer.segmentationNode, writer.segmentId)
        self._takeBackUnfinished(exceptFor=writer.segmentationNode if writer is not None else None)
        self._followPrompts()

    def _takeBackUnfinished(self, exceptFor=None) -> None:
        """A hand may have edited such a segment before the module was opened: that can be had again."""
        for one in takeBackUnfinished(exceptFor):
            if self.choice.volumeNode is not None and not self.isPropagating:
                place = SegmentStates(self.choice.volumeNode, one.segmentationNode, one.segmentId)
                title = _("unfinished change")
                self.history.editedElsewhere(title, place, one.found, textsOf(place.segment))
                text = _("{lesion} was saved in the middle of a change, which was taken back. Ctrl+Z brings it back.")
                self.news.say(text.format(lesion=place.segment.GetName()))

    def _followPrompts(self) -> None:
        """Prompts that came with a scene are moved by hand like those made here."""
        if self.choice.parameters is not None:
            numberPrompts()
            for node in allPrompts():
                self._prompts.follow(node)

    def _noteOwnChange(self) -> None:
        place = self.choice.place()
        if place is not None:
            place.noteOwnChange()

    def _abandon(self, sentence: str) -> None:
        self.previewing.stop()
        self.news.say(sentence, isError=True)

    def _onCannotWarmUp(self, failed: Failed, kind: str) -> None:
        """No use to draw a box for an engine that cannot answer."""
        self._toolbox.disarm()
        self.news.sayEnd(failed, lambda: self.setToolArmed(kind, True))


_HOW_TO = {
    BOX: lambda: _("Draw a box around the object in any slice view. Esc or a right click ends it."),
    POSITIVE: lambda: _("Click into the object. Shift+click: not the object. Esc or a right click ends it."),
    NEGATIVE: lambda: _("Click where it is not the object. Shift+click: the object. Esc or a right click ends it."),
    SCRIBBLE: lambda: _("Draw a line through the object. With Shift: not the object. Esc or a right click ends it."),
    LASSO: lambda: _("Draw a line round the object in any slice view. Esc or a right click ends it."),
}
