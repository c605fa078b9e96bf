"""The story of a click and of a propagation.

A box is drawn → it becomes a markup in the scene → its slice is predicted and shown as a preview → Propagate asks for
all slices with every box of the segment → slices arrive and are written while they come → the segment stays, or goes
back to what it was if the run is cancelled or fails.

At most one run is under way and at most one change of a segment is open. Both are forgotten when the scene closes or a
node they need is deleted. Nothing here waits, and every outcome is a sentence in `message`.
"""

from __future__ import annotations

from typing import Callable, Optional

import slicer
from slicer.i18n import tr as _

from medsam2_protocol.messages import Cancelled, Done, End, Failed, MaskChanged, Progress
from medsam2_protocol.prompts import BoxPrompt
from MedSAM2SlicerLib.PreviewLook import PreviewLook
from MedSAM2SlicerLib.PromptMarkups import addBox, allBoxes, boxesOf, readBox
from MedSAM2SlicerLib.PromptObserver import PromptObserver
from MedSAM2SlicerLib.PromptTools import BoxTool
from MedSAM2SlicerLib.SegmentWriter import CannotWrite, SegmentWriter, addSegment, prepareSegmentation
from MedSAM2SlicerLib.TaskRun import Task, TaskListener, TaskRun


class SegmentationController:
    """Between the panel, the scene and the engine. `onChanged` is called whenever something to show has changed."""

    def __init__(self, engine, engineVolume) -> None:
        self.onChanged: Callable[[], None] = lambda: None
        self.message = ""
        self.isError = False
        self.progress = Progress("", 0, 0, "")
        self._engine = engine
        self._engineVolume = engineVolume
        self._parameters = None
        self._tool = BoxTool(self.onBoxPlaced, self.onBoxRefused, self._changed)
        self._prompts = PromptObserver(self.onPromptMoved)
        self._run: Optional[TaskRun] = None
        self._writer: Optional[SegmentWriter] = None
        self._look: Optional[PreviewLook] = None
        self._previewBox = None  # the ROI node of the slice that is shown as a preview
        self._previewMask: Optional[MaskChanged] = None

    # ---- what the panel shows

    @property
    def isArmed(self) -> bool:
        return self._tool.isArmed

    @property
    def isBusy(self) -> bool:
        return self._run is not None

    @property
    def isPropagating(self) -> bool:
        return self._run is not None and self._run.task.slice is None

    @property
    def hasPreview(self) -> bool:
        return self._previewMask is not None

    @property
    def canPropagate(self) -> bool:
        return not self.isPropagating and bool(self._boxes())

    # ---- a box

    def setBoxArmed(self, isArmed: bool) -> None:
        """The Box button, or its key."""
        if not isArmed:
            self._tool.disarm()
        elif self._volume() is None:
            self._say(_("Choose a volume first."), isError=True)
        elif self.isPropagating:
            self._say(_("Wait for the propagation, or cancel it, before you draw another box."))
        else:
            self._tool.arm(self._volume())
            self._say(_("Draw a box around the object in any slice view. Esc or a right click ends it."))
            self._warmUp()

    def onBoxPlaced(self, box: BoxPrompt) -> None:
        volumeNode = self._volume()
        segmentationNode = self._requireSegment()
        roiNode = addBox(volumeNode, segmentationNode, self._parameters.segmentId, box)
        self._prompts.follow(roiNode)
        self.predict(roiNode)

    def onBoxRefused(self, sentence: str) -> None:
        self._say(sentence, isError=True)

    def onPromptMoved(self, roiNode) -> None:
        """Somebody pulled at a box of ours."""
        if not self.isPropagating and roiNode in self._boxes():
            self.predict(roiNode)

    def predict(self, roiNode) -> None:
        """Show the mask of one box's slice, as a preview."""
        self._dropRun()
        self._removePreview()
        box = readBox(roiNode)
        if box is None:
            self._say(_("The box lies outside the volume. Move it back or draw another one."), isError=True)
        elif self._openWriter():
            self._previewBox = roiNode
            self._say(_("Computing the preview of slice {slice}…").format(slice=_sliceName(box.axis, box.slice)))
            self._start(self._task((box,), box.axis, box.slice), self._onPreviewMask, self._onPreviewEnd)

    def _onPreviewMask(self, event: MaskChanged) -> None:
        self._previewMask = event
        self._write(event)

    def _onPreviewEnd(self, end: End) -> None:
        self._run = None
        if isinstance(end, Done) and self._previewMask is not None:
            self._showAsPreview()
        else:
            self._removePreview()
            self._sayEnd(end)

    def _showAsPreview(self) -> None:
        self._look = PreviewLook(self._writer.segmentationNode, self._writer.segmentId)
        self._look.show()
        if self._previewMask.region.is_empty:
            self._say(_("Nothing was found in this box. Move its edges or draw another one."), isError=True)
        else:
            name = _sliceName(self._previewMask.axis, self._previewMask.slice)
            self._say(_("Preview of slice {slice}. Space propagates it, Esc discards it.").format(slice=name))

    # ---- a propagation

    def propagate(self) -> None:
        """Ask for all slices of the segment, from all its boxes along the axis of the newest."""
        if self.isPropagating:
            return
        boxes = [box for box in (readBox(roiNode) for roiNode in self._boxes()) if box is not None]
        if not boxes:
            self._say(_("Draw a box around the object first (B)."), isError=True)
            return
        self._tool.disarm()
        self._dropRun()
        self._closePreview()
        if not self._openWriter():
            return
        axis = boxes[-1].axis
        prompts = tuple(box for box in boxes if box.axis == axis)
        self.progress = Progress("", 0, 0, "")
        self._say(_propagating(len(prompts), len(boxes)))
        self._start(self._task(prompts, axis, None), self._write, self._onPropagationEnd)

    def _onPropagationEnd(self, end: End) -> None:
        self._run = None
        writer, self._writer = self._writer, None
        if isinstance(end, Done):
            writer.end()
            self._previewBox = self._previewMask = None
        else:
            writer.revert()
            self._reopenPreview()
        self._sayEnd(end)

    # ---- ending things

    def cancel(self) -> None:
        """Whatever is going on: the drawing, the run or the preview, in this order."""
        if self._tool.isArmed:
            self._tool.disarm()
            self._say("")
        elif self._run is not None:
            self._say(_("Cancelling…"))
            self._run.cancel()
        elif self.hasPreview:
            self.discardPreview()

    def discardPreview(self) -> None:
        """The preview goes, and the box that it came from."""
        roiNode = self._previewBox
        self._removePreview()
        if roiNode is not None and roiNode.GetScene() is not None:
            roiNode.GetScene().RemoveNode(roiNode)
        self._say("")

    def leave(self) -> None:
        """The user goes to another module, where the segment may be edited by hand: no preview may stay in it."""
        self._tool.disarm()
        if not self.isPropagating:
            self._dropRun()
            self._removePreview()
            self._say("")

    def onNodeAboutToBeRemoved(self, node) -> None:
        self._prompts.forget(node)
        if node is self._previewBox and not self.isPropagating:
            self._dropRun()
            self._removePreview()
            self._say("")
        if self._run is not None and node is self._run.volumeNode:
            self._abandon(_("The volume was deleted; the computation was stopped."))
        elif self._writer is not None and node is self._writer.segmentationNode:
            self._writer = None
            self._abandon(_("The segmentation was deleted; the computation was stopped."))
        if node is self._volume():
            self._tool.disarm()
            self._engineVolume.forget()

    def onParametersModified(self) -> None:
        """Another volume or segmentation was chosen: a preview of the one before goes."""
        writer = self._writer
        if writer is not None and not self.isPropagating and not self._isOfChoice(writer):
            self._dropRun()
            self._removePreview()
            self._say("")

    def setParameters(self, parameters) -> None:
        """Another scene, or none (None): what belonged to the one before is forgotten, nothing is written any more."""
        self._dropRun()
        self._tool.disarm()
        self._prompts.stop()
        self._forgetPreview()
        self._writer = None
        if parameters is None:
            self._engineVolume.forget()
        self._parameters = parameters
        self._followBoxes()
        self._say("")

    def onSceneImported(self, parameters) -> None:
        """Nodes were added to the scene; what is under way goes on."""
        self._parameters = parameters
        self._followBoxes()

    def _followBoxes(self) -> None:
        """Boxes that came with a scene are moved by hand like those drawn here."""
        for roiNode in allBoxes() if self._parameters is not None else []:
            self._prompts.follow(roiNode)

    # ---- runs

    def _task(self, prompts, axis: str, index: Optional[int]) -> Task:
        parameters = self._parameters
        return Task(parameters.segmentId, prompts, axis, index, parameters.model, parameters.device)

    def _start(self, task: Task, onMask, onEnd) -> None:
        listener = TaskListener(onMask, self._onProgress, self._onRepeated, onEnd)
        self._run = TaskRun(task, self._volume(), self._engine, self._engineVolume, listener)
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
            self._engineVolume.open(self._volume(), lambda volume_id: None, self._onCannotWarmUp)

    def _onCannotWarmUp(self, failed: Failed) -> None:
        """No use to draw a box for an engine that cannot answer."""
        self._tool.disarm()
        self._sayEnd(failed)

    # ---- the segment

    def _volume(self):
        return self._parameters.volume if self._parameters is not None else None

    def _boxes(self):
        if self._volume() is None or self._parameters.segmentation is None:
            return []
        return boxesOf(self._volume(), self._parameters.segmentation, self._parameters.segmentId)

    def _requireSegment(self):
        """The chosen segmentation, holding the chosen segment; both are made if they are missing."""
        parameters, volumeNode = self._parameters, self._parameters.volume
        if parameters.segmentation is None:
            name = _("{volume} segmentation").format(volume=volumeNode.GetName())
            parameters.segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        segmentationNode = parameters.segmentation
        prepareSegmentation(segmentationNode, volumeNode)
        if segmentationNode.GetSegmentation().GetSegment(parameters.segmentId) is None:
            parameters.segmentId = addSegment(segmentationNode)
        return segmentationNode

    def addSegment(self) -> None:
        """A new segment for the next object."""
        if self._volume() is None:
            self._say(_("Choose a volume first."), isError=True)
            return
        self._removePreview()
        self._parameters.segmentId = ""
        self._requireSegment()
        self._changed()

    def chooseSegment(self, segmentId: str) -> None:
        if self._parameters is not None and segmentId != self._parameters.segmentId and not self.isPropagating:
            self._dropRun()
            self._removePreview()
            self._parameters.segmentId = segmentId
            self._changed()

    def _isOfChoice(self, writer: SegmentWriter) -> bool:
        chosen = (self._parameters.volume, self._parameters.segmentation, self._parameters.segmentId)
        return chosen == (writer.volumeNode, writer.segmentationNode, writer.segmentId)

    def _openWriter(self) -> bool:
        self._requireSegment()
        writer = SegmentWriter(self._volume(), self._parameters.segmentation, self._parameters.segmentId)
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

    # ---- the preview

    def _closePreview(self) -> None:
        """Out of the segment, but known still."""
        look, self._look = self._look, None
        if look is not None:
            look.hide()
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.revert()

    def _removePreview(self) -> None:
        self._closePreview()
        self._forgetPreview()

    def _forgetPreview(self) -> None:
        self._look = self._previewBox = self._previewMask = None

    def _reopenPreview(self) -> None:
        """After a run that left nothing, what was there before it."""
        if self._previewMask is not None and self._openWriter():
            self._writer.write(self._previewMask.axis, self._previewMask.slice, self._previewMask.region)
            self._showAsPreview()

    # ---- words

    def _sayEnd(self, end: End) -> None:
        if isinstance(end, Done):
            text = _("Done: {slices} slices in {seconds:.1f} s. Check the first and the last slices.")
            self._say(text.format(slices=end.slices, seconds=end.seconds))
        elif isinstance(end, Cancelled):
            self._say(_("Cancelled. The segment is as it was before."))
        elif isinstance(end, Failed):
            self._say(end.message, isError=True)

    def _say(self, sentence: str, isError: bool = False) -> None:
        self.message, self.isError = sentence, isError
        self._changed()

    def _changed(self) -> None:
        self.onChanged()


def _sliceName(axis: str, index: int) -> str:
    return f"{axis}{index}"


def _propagating(used: int, drawn: int) -> str:
    if used == drawn:
        return _("Propagating…")
    return _("Propagating from {used} of {drawn} boxes: the others lie along another direction.").format(
        used=used, drawn=drawn
    )
