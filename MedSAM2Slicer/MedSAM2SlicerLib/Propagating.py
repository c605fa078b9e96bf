"""All slices of the chosen segment, written while they come: kept at the end, taken back if it is not reached."""

from __future__ import annotations

from typing import Optional

from slicer.i18n import tr as _

from medsam2_protocol.messages import Done, End, MaskChanged
from medsam2_protocol.prompts import axis_ijk, slice_of_prompt
from MedSAM2SlicerLib import Sentences
from MedSAM2SlicerLib.EngineRuns import EngineRuns
from MedSAM2SlicerLib.History import History
from MedSAM2SlicerLib.LesionTable import PROPAGATED, setState
from MedSAM2SlicerLib.News import NO_PROGRESS, News
from MedSAM2SlicerLib.OpenChange import OpenChange
from MedSAM2SlicerLib.PackedLabelmap import NOTHING, packSegment, restoreSegment
from MedSAM2SlicerLib.PartialResult import PartialResult
from MedSAM2SlicerLib.Previewing import Previewing
from MedSAM2SlicerLib.PromptMarkups import axisOf, readPrompt
from MedSAM2SlicerLib.PropagationOptions import NoSuchRange, Reach, clearMarks, markHere, reachAlong, shownSlice
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.SegmentWriter import SegmentWriter


class Propagating:
    """Before a propagation the preview is closed; after one that left nothing it is there again."""

    def __init__(
        self,
        choice: SegmentChoice,
        runs: EngineRuns,
        change: OpenChange,
        previewing: Previewing,
        history: History,
        news: News,
    ) -> None:
        self._choice = choice
        self._runs = runs
        self._change = change
        self._previewing = previewing
        self._history = history
        self._news = news
        self._before = NOTHING  # the segment before the propagation
        self._partial: Optional[PartialResult] = None
        self._partialRun = 0
        self._hasFound = False

    @property
    def canStart(self) -> bool:
        return not self._runs.isPropagating and bool(self._choice.promptNodes())

    @property
    def canKeep(self) -> bool:
        """Whether a run that did not reach its end left masks that can be had still."""
        return self._partial is not None and self._partialRun == self._runs.started and not self._runs.isPropagating

    def start(self) -> None:
        """Ask for all slices of the segment, from all its prompts along the axis of the newest."""
        if self._runs.isPropagating:
            return
        nodes = [node for node in self._choice.promptNodes() if readPrompt(node) is not None]
        if not nodes:
            self._news.say(_("Draw a box around the object first (B), or click into it (P)."), isError=True)
            return
        axis = axisOf(nodes[-1])
        try:
            reach = self._reachAlong(axis)
        except NoSuchRange as reason:
            self._news.say(str(reason), isError=True)
            return
        self._runs.drop()
        self._previewing.close()
        self._choice.require()
        self._before = packSegment(self._choice.segmentationNode, self._choice.segmentId)
        if not self._change.open():
            return
        self._partial, self._hasFound = None, False
        prompts = self._choice.promptsAlong(axis)
        self._news.progress = NO_PROGRESS
        self._news.say(Sentences.ofPropagation(len(prompts), len(nodes)))
        self._runs.propagate(prompts, axis, reach, self._onMask, self._change.startOver, self._onEnd)

    def keepWhatCame(self) -> None:
        """The masks of the run that was cancelled or failed become the segment after all."""
        partial, self._partial = self._partial, None
        if partial is None or self._runs.isPropagating:
            return
        self._previewing.stop()
        if not partial.isPossible():
            self._news.say(_("The segment was changed meanwhile. Propagate again."), isError=True)
            return
        self._choice.chooseAll(partial.volumeNode, partial.segmentationNode, partial.segmentId)
        restoreSegment(partial.segmentationNode, partial.segmentId, partial.came)
        self._history.segmentChanged(_("part of a propagation"), partial.before)
        self._news.say(_("What came was kept. Ctrl+Z takes it back."))

    def markSlice(self, isFirst: bool) -> None:
        """The slice that is shown becomes the first or the last of the range."""
        nodes = self._choice.promptNodes()
        if not nodes:
            self._news.say(
                _("Draw a box or click a point first: its view is the one whose slices are marked."), isError=True
            )
            return
        axis = axisOf(nodes[-1])
        index = shownSlice(self._choice.volumeNode, axis)
        if index is None:
            self._news.say(_("No view shows a slice of the volume along the prompt's axis."), isError=True)
            return
        markHere(self._choice.parameters, axis, index, isFirst)
        self._news.changed()

    def clearMarks(self) -> None:
        if self._choice.parameters is not None:
            clearMarks(self._choice.parameters)
            self._news.changed()

    def forgetNode(self, node) -> None:
        """A volume or segmentation that is about to be removed, or any other node."""
        if self._partial is not None and node in (self._partial.volumeNode, self._partial.segmentationNode):
            self._partial = None

    def forget(self) -> None:
        self._partial = None

    def _onMask(self, event: MaskChanged) -> None:
        self._hasFound = self._hasFound or not event.region.is_empty
        if not self._change.write(event):
            self._previewing.stop()
            self._news.say(_("The segment was deleted; the computation was stopped."), isError=True)

    def _onEnd(self, end: End) -> None:
        writer = self._change.take()
        if isinstance(end, Done) and self._hasFound:
            writer.end()
            self._history.segmentChanged(_("propagation"), self._before)
            setState(writer.segmentationNode, writer.segmentId, PROPAGATED)
            self._previewing.forget()
        else:
            self._putBack(writer)
            self._previewing.reopen()
        if isinstance(end, Done) and not self._hasFound:
            self._news.say(Sentences.nothingFound(), isError=True)
        else:
            self._news.sayEnd(end, self.start)

    def _putBack(self, writer: SegmentWriter) -> None:
        """The segment is what it was, and what came can be had still."""
        segmentationNode, segmentId = writer.segmentationNode, writer.segmentId
        came = packSegment(segmentationNode, segmentId)
        if writer.revert() and not came.isSame(self._before):
            self._partial = PartialResult(writer.volumeNode, segmentationNode, segmentId, self._before, came)
            self._partialRun = self._runs.started

    def _reachAlong(self, axis: str) -> Reach:
        prompted = [slice_of_prompt(prompt, axis) for prompt in self._choice.promptsAlong(axis)]
        count = self._choice.volumeNode.GetImageData().GetDimensions()[axis_ijk(axis)]
        return reachAlong(self._choice.parameters, axis, prompted, count)
