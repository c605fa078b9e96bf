"""The story of a click and of a propagation.

A prompt is drawn → it becomes a markup in the scene → its slice is predicted from all prompts on it and shown as a
preview → Propagate asks for all slices with every prompt of the segment → slices arrive and are written while they
come → the segment stays, or goes back to what it was if the run is cancelled or fails.

At most one run is under way and at most one change of a segment is open. Both are forgotten when the scene closes or a
node they need is deleted. Nothing here waits, and every outcome is a sentence in `message`.
"""

from __future__ import annotations

from typing import Callable, Optional

import slicer
from slicer.i18n import tr as _

from medsam2_protocol.messages import Done, End, Failed, MaskChanged, Progress
from medsam2_protocol.prompts import BoxPrompt, axis_ijk, slice_of_prompt
from MedSAM2SlicerLib import Sentences
from MedSAM2SlicerLib.History import CannotUndo, History
from MedSAM2SlicerLib.LesionTable import PROPAGATED, setState
from MedSAM2SlicerLib.PackedLabelmap import NOTHING, packSegment, restoreSegment
from MedSAM2SlicerLib.PartialResult import PartialResult
from MedSAM2SlicerLib.Preview import Preview
from MedSAM2SlicerLib.PromptMarkups import (
    BOX,
    NEGATIVE,
    POSITIVE,
    PlacedPrompt,
    addBox,
    addPrompt,
    allPrompts,
    axisOf,
    centreWorld,
    isEmptied,
    numberPrompts,
    readPrompt,
    sliceOf,
)
from MedSAM2SlicerLib.PromptObserver import PromptObserver
from MedSAM2SlicerLib.PropagationOptions import (
    EVERYWHERE,
    NoSuchRange,
    Reach,
    clearMarks,
    markHere,
    reachAlong,
    shownSlice,
)
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.SegmentWriter import CannotWrite, SegmentWriter
from MedSAM2SlicerLib.TaskRun import Task, TaskListener, TaskRun
from MedSAM2SlicerLib.Toolbox import Toolbox
from MedSAM2SlicerLib.UndoStack import Change


class SegmentationController:
    """Between the panel, the scene and the engine. `onChanged` is called whenever something to show has changed.

    `windowFor(prompts, slice)` gives the window of a request (slice None: a propagation); None leaves it to the model.
    """

    def __init__(self, engine, engineVolume) -> None:
        self.onChanged: Callable[[], None] = lambda: None
        self.windowFor: Callable = lambda prompts, index: None
        self.message = ""
        self.isError = False
        self.progress = Progress("", 0, 0, "")
        self._engine = engine
        self._engineVolume = engineVolume
        self._choice = SegmentChoice()
        self._toolbox = Toolbox(self.onPromptPlaced, self.onPromptRefused, self._changed)
        self._prompts = PromptObserver(self.onPromptMoved)
        self._history = History(self._choice, self._prompts.follow)
        self._run: Optional[TaskRun] = None
        self._writer: Optional[SegmentWriter] = None
        self._before = NOTHING  # the segment before the propagation
        self._partial: Optional[PartialResult] = None
        self._preview = Preview()

    # ---- what the panel shows

    @property
    def armedTool(self) -> str:
        """The kind of prompt that the mouse makes now, or empty."""
        return self._toolbox.armed

    @property
    def isArmed(self) -> bool:
        return bool(self._toolbox.armed)

    @property
    def isBusy(self) -> bool:
        return self._run is not None

    @property
    def isPropagating(self) -> bool:
        return self._run is not None and self._run.task.slice is None

    @property
    def hasPreview(self) -> bool:
        return self._preview.isThere

    @property
    def canPropagate(self) -> bool:
        return not self.isPropagating and bool(self._choice.promptNodes())

    @property
    def canUndo(self) -> bool:
        return not self.isPropagating and self._history.canUndo

    @property
    def canRedo(self) -> bool:
        return not self.isPropagating and self._history.canRedo

    @property
    def canKeep(self) -> bool:
        """Whether a run that did not reach its end left masks that can be had still."""
        return self._partial is not None and not self.isPropagating

    # ---- a prompt

    def setToolArmed(self, kind: str, isArmed: bool) -> None:
        """One of the buttons of the tools, or its key."""
        if not isArmed:
            self._toolbox.disarm()
        elif self._choice.volumeNode is None:
            self._say(_("Choose a volume first."), isError=True)
        elif self.isPropagating:
            self._say(_("Wait for the propagation, or cancel it, before you place another prompt."))
        else:
            self._toolbox.arm(kind, self._choice.volumeNode)
            self._say(_HOW_TO[kind]())
            self._warmUp()

    def toggleTool(self, kind: str) -> None:
        self.setToolArmed(kind, self.armedTool != kind)

    def setBoxArmed(self, isArmed: bool) -> None:
        self.setToolArmed(BOX, isArmed)

    def onBoxPlaced(self, box: BoxPrompt) -> None:
        self.onPromptPlaced(box, box.axis)

    def onPromptPlaced(self, prompt: PlacedPrompt, axis: str) -> None:
        volumeNode, segmentationNode = self._choice.volumeNode, self._choice.require()
        with self._history.promptStep(_("new prompt")):
            if isinstance(prompt, BoxPrompt):
                node = addBox(volumeNode, segmentationNode, self._choice.segmentId, prompt)
            else:
                node = addPrompt(volumeNode, segmentationNode, self._choice.segmentId, prompt, axis)
        self._prompts.follow(node)
        self.predict(node)

    def onPromptRefused(self, sentence: str) -> None:
        self._say(sentence, isError=True)

    def onPromptMoved(self, node, before: Optional[PlacedPrompt]) -> None:
        """Somebody pulled at a prompt of ours, or deleted its point in a view."""
        if node not in self._choice.promptNodes():
            return
        self._history.promptMoved(node, before)
        if isEmptied(node):
            node.GetScene().RemoveNode(node)
        elif not self.isPropagating:
            self.predict(node)

    def promptNodes(self) -> list:
        """Those of the chosen segment, oldest first."""
        return self._choice.promptNodes()

    def showPrompt(self, node) -> None:
        """Let the views go to its slice."""
        if not isEmptied(node):
            slicer.modules.markups.logic().JumpSlicesToLocation(*centreWorld(node), False)

    def removePrompt(self, node) -> None:
        """It goes, and its slice is previewed from what is left there."""
        if self.isPropagating or node not in self.promptNodes():
            return
        axis, index = axisOf(node), sliceOf(node)
        self._dropRun()
        self._removePreview()
        with self._history.promptStep(_("deleted prompt")):
            node.GetScene().RemoveNode(node)
        if index is None or not self._predictOn(axis, index):
            self._say(_("The prompt was deleted. Ctrl+Z brings it back."))

    def _predictOn(self, axis: str, index: int) -> bool:
        """Preview that slice, if there are prompts on it; returns whether there are."""
        for node in reversed(self._choice.promptNodes()):
            if (axisOf(node), sliceOf(node)) == (axis, index):
                self.predict(node)
                return True
        return False

    # ---- undo and redo

    def undo(self) -> None:
        self._travel(self._history.undo, _("Undone: {change}."))

    def redo(self) -> None:
        self._travel(self._history.redo, _("Done again: {change}."))

    def _travel(self, go: Callable[[], Change], sentence: str) -> None:
        if self.isPropagating:
            self._say(_("Wait for the propagation, or cancel it, before you undo anything."))
            return
        self._prompts.onRest()
        self._dropRun()
        self._removePreview()
        try:
            change = go()
        except CannotUndo as reason:
            self._say(str(reason), isError=True)
            return
        self._say(sentence.format(change=change.title))
        if change.slice is not None:
            self._predictOn(*change.slice)

    # ---- a preview

    def predict(self, node) -> None:
        """Show the mask of one prompt's slice, from all prompts on it, as a preview."""
        self._dropRun()
        self._removePreview()
        prompt = readPrompt(node)
        if prompt is None:
            self._say(_("The prompt lies outside the volume. Move it back or make another one."), isError=True)
            return
        axis, index = axisOf(node), slice_of_prompt(prompt, axisOf(node))
        prompts = self._promptsAlong(axis, index)
        if not any(isinstance(one, BoxPrompt) or one.positive for one in prompts):
            self._say(_("Click into the object first (P), or draw a box (B): here it is only said what it is not."))
        elif self._openWriter():
            self._preview.promptNode = node
            self._say(_("Computing the preview of slice {slice}…").format(slice=Sentences.sliceName(axis, index)))
            self._start(self._task(prompts, axis, index), self._onPreviewMask, self._onPreviewEnd)

    def _onPreviewMask(self, event: MaskChanged) -> None:
        self._preview.mask = event
        self._write(event)

    def _onPreviewEnd(self, end: End) -> None:
        self._run = None
        if isinstance(end, Done) and self._preview.isThere:
            self._showAsPreview()
        else:
            self._removePreview()
            self._sayEnd(end)

    def _showAsPreview(self) -> None:
        self._preview.show(self._writer)
        self._say(Sentences.ofPreview(self._preview.mask), isError=self._preview.mask.region.is_empty)

    def _closePreview(self) -> None:
        """Out of the segment, but known still."""
        self._preview.hide()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.revert()

    def _removePreview(self) -> None:
        self._closePreview()
        self._preview.forget()

    def _reopenPreview(self) -> None:
        """After a run that left nothing, what was there before it."""
        mask = self._preview.mask
        if mask is not None and self._openWriter():
            self._writer.write(mask.axis, mask.slice, mask.region)
            self._showAsPreview()

    def discardPreview(self) -> None:
        """The preview goes, and the prompt that it came from."""
        node = self._preview.promptNode
        self._removePreview()
        if node is not None and node.GetScene() is not None:
            node.GetScene().RemoveNode(node)
        self._say("")

    # ---- a propagation

    def propagate(self) -> None:
        """Ask for all slices of the segment, from all its prompts along the axis of the newest."""
        if self.isPropagating:
            return
        nodes = [node for node in self._choice.promptNodes() if readPrompt(node) is not None]
        if not nodes:
            self._say(_("Draw a box around the object first (B), or click into it (P)."), isError=True)
            return
        axis = axisOf(nodes[-1])
        try:
            reach = self._reachAlong(axis)
        except NoSuchRange as reason:
            self._say(str(reason), isError=True)
            return
        self._toolbox.disarm()
        self._dropRun()
        self._closePreview()
        self._choice.require()
        self._before = packSegment(self._choice.segmentationNode, self._choice.segmentId)
        if not self._openWriter():
            return
        prompts = self._promptsAlong(axis)
        self.progress = Progress("", 0, 0, "")
        self._say(Sentences.ofPropagation(len(prompts), len(nodes)))
        self._start(self._task(prompts, axis, None, reach), self._write, self._onPropagationEnd)

    def _onPropagationEnd(self, end: End) -> None:
        self._run = None
        writer, self._writer = self._writer, None
        if isinstance(end, Done):
            writer.end()
            self._history.segmentChanged(_("propagation"), self._before)
            setState(writer.segmentationNode, writer.segmentId, PROPAGATED)
            self._preview.forget()
        else:
            self._putBack(writer)
            self._reopenPreview()
        self._sayEnd(end)

    def _putBack(self, writer: SegmentWriter) -> None:
        """The segment is what it was, and what came can be had still."""
        segmentationNode, segmentId = writer.segmentationNode, writer.segmentId
        came = packSegment(segmentationNode, segmentId)
        if writer.revert() and not came.isSame(self._before):
            self._partial = PartialResult(writer.volumeNode, segmentationNode, segmentId, self._before, came)

    def keepWhatCame(self) -> None:
        """The masks of the run that was cancelled or failed become the segment after all."""
        partial, self._partial = self._partial, None
        if partial is None or self.isPropagating:
            return
        self._dropRun()
        self._removePreview()
        if not partial.isPossible():
            self._say(_("The segment was changed meanwhile. Propagate again."), isError=True)
            return
        self._choice.chooseAll(partial.volumeNode, partial.segmentationNode, partial.segmentId)
        restoreSegment(partial.segmentationNode, partial.segmentId, partial.came)
        self._history.segmentChanged(_("part of a propagation"), partial.before)
        self._say(_("What came was kept. Ctrl+Z takes it back."))

    def _reachAlong(self, axis: str) -> Reach:
        prompted = [slice_of_prompt(prompt, axis) for prompt in self._promptsAlong(axis)]
        count = self._choice.volumeNode.GetImageData().GetDimensions()[axis_ijk(axis)]
        return reachAlong(self._choice.parameters, axis, prompted, count)

    def markSlice(self, isFirst: bool) -> None:
        """The slice that is shown becomes the first or the last of the range."""
        nodes = self.promptNodes()
        if not nodes:
            self._say(
                _("Draw a box or click a point first: its view is the one whose slices are marked."), isError=True
            )
            return
        axis = axisOf(nodes[-1])
        index = shownSlice(self._choice.volumeNode, axis)
        if index is None:
            self._say(_("No view shows a slice of the volume along the prompt's axis."), isError=True)
            return
        markHere(self._choice.parameters, axis, index, isFirst)
        self._changed()

    def clearMarks(self) -> None:
        if self._choice.parameters is not None:
            clearMarks(self._choice.parameters)
            self._changed()

    # ---- ending things

    def cancel(self) -> None:
        """Whatever is going on: the drawing, the run or the preview, in this order."""
        if self.isArmed:
            self._toolbox.disarm()
            self._say("")
        elif self._run is not None:
            self._say(_("Cancelling…"))
            self._run.cancel()
        elif self.hasPreview:
            self.discardPreview()

    def leave(self) -> None:
        """The user goes to another module, where the segment may be edited by hand: no preview may stay in it."""
        self._toolbox.disarm()
        if not self.isPropagating:
            self._dropRun()
            self._removePreview()
            self._say("")

    def onNodeAboutToBeRemoved(self, node) -> None:
        if node in self._choice.promptNodes():
            self._history.promptAboutToBeRemoved(node)
        self._history.forgetNode(node)
        self._prompts.forget(node)
        if node is self._preview.promptNode and not self.isPropagating:
            self._dropRun()
            self._removePreview()
            self._say("")
        if self._partial is not None and node in (self._partial.volumeNode, self._partial.segmentationNode):
            self._partial = None
        if self._run is not None and node is self._run.volumeNode:
            self._abandon(_("The volume was deleted; the computation was stopped."))
        elif self._writer is not None and node is self._writer.segmentationNode:
            self._writer = None
            self._abandon(_("The segmentation was deleted; the computation was stopped."))
        if node is self._choice.volumeNode:
            self._toolbox.disarm()
            self._engineVolume.forget()

    def onParametersModified(self) -> None:
        """Another volume or segmentation was chosen: a preview of the one before goes."""
        writer = self._writer
        if writer is not None and not self.isPropagating and not self._choice.isOf(writer):
            self._dropRun()
            self._removePreview()
            self._say("")

    def setParameters(self, parameters) -> None:
        """Another scene, or none (None): what belonged to the one before is forgotten, nothing is written any more."""
        self._dropRun()
        self._toolbox.disarm()
        self._prompts.stop()
        self._preview.forget()
        self._writer = None
        self._partial = None
        if parameters is None:
            self._engineVolume.forget()
            self._history.clear()
        self._choice.parameters = parameters
        self._followPrompts()
        self._say("")

    def onSceneImported(self, parameters) -> None:
        """Nodes were added to the scene; what is under way goes on."""
        self._choice.parameters = parameters
        self._followPrompts()

    def _followPrompts(self) -> None:
        """Prompts that came with a scene are moved by hand like those made here."""
        if self._choice.parameters is not None:
            numberPrompts()
            for node in allPrompts():
                self._prompts.follow(node)

    # ---- runs

    def _task(self, prompts, axis: str, index: Optional[int], reach: Reach = EVERYWHERE) -> Task:
        window = self.windowFor(prompts, index)
        parameters = self._choice.parameters
        return Task(parameters.segmentId, prompts, axis, index, parameters.model, parameters.device, window, reach)

    def _start(self, task: Task, onMask, onEnd) -> None:
        listener = TaskListener(onMask, self._onProgress, self._onRepeated, onEnd)
        self._partial = None
        self._run = TaskRun(task, self._choice.volumeNode, self._engine, self._engineVolume, listener)
        self._run.start()
        self._changed()

    def _onProgress(self, progress: Progress) -> None:
        self.progress = progress
        self._changed()

    def _onRepeated(self, reason: str) -> None:
        self._writer.revert()
        self._writer.begin()
        self.progress = Progress("", 0, 0, "")
        self._say(_("{reason} It is started again and the request is repeated.").format(reason=reason), isError=True)

    def _dropRun(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.drop()

    def _abandon(self, sentence: str) -> None:
        self._dropRun()
        self._removePreview()
        self._say(sentence, isError=True)

    def _warmUp(self) -> None:
        """While the user draws, the engine can start and get the voxels."""
        if self._run is None:
            self._engineVolume.open(self._choice.volumeNode, lambda volume_id: None, self._onCannotWarmUp)

    def _onCannotWarmUp(self, failed: Failed) -> None:
        """No use to draw a box for an engine that cannot answer."""
        self._toolbox.disarm()
        self._sayEnd(failed)

    # ---- the segment

    def addSegment(self) -> None:
        """A new segment for the next object."""
        if self._choice.volumeNode is None:
            self._say(_("Choose a volume first."), isError=True)
            return
        self._removePreview()
        self._choice.addSegment()
        self._changed()

    def chooseSegment(self, segmentId: str) -> None:
        if self._choice.parameters is not None and segmentId != self._choice.segmentId and not self.isPropagating:
            self._dropRun()
            self._removePreview()
            self._choice.choose(segmentId)
            self._changed()

    def _promptsAlong(self, axis: str, index: Optional[int] = None) -> tuple[PlacedPrompt, ...]:
        """The segment's prompts made on slices of this axis, on one of them or all, oldest first."""
        nodes = [node for node in self._choice.promptNodes() if axisOf(node) == axis]
        prompts = [prompt for prompt in map(readPrompt, nodes) if prompt is not None]
        return tuple(one for one in prompts if index is None or slice_of_prompt(one, axis) == index)

    def _openWriter(self) -> bool:
        segmentationNode = self._choice.require()
        writer = SegmentWriter(self._choice.volumeNode, segmentationNode, self._choice.segmentId)
        try:
            writer.begin()
        except CannotWrite as error:
            self._say(str(error), isError=True)
            return False
        self._writer = writer
        return True

    def _write(self, event: MaskChanged) -> None:
        if self._writer.isPossible():
            self._writer.write(event.axis, event.slice, event.region)
        else:
            self._writer = None
            self._abandon(_("The segment was deleted; the computation was stopped."))

    # ---- words

    def _sayEnd(self, end: End) -> None:
        self._say(Sentences.ofEnd(end), isError=isinstance(end, Failed))

    def _say(self, sentence: str, isError: bool = False) -> None:
        self.message, self.isError = sentence, isError
        self._changed()

    def _changed(self) -> None:
        self.onChanged()


_HOW_TO = {
    BOX: lambda: _("Draw a box around the object in any slice view. Esc or a right click ends it."),
    POSITIVE: lambda: _("Click into the object. Shift+click: not the object. Esc or a right click ends it."),
    NEGATIVE: lambda: _("Click where it is not the object. Shift+click: the object. Esc or a right click ends it."),
}
