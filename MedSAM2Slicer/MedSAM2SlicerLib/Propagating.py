"""A propagation of the chosen segment, or its corrections, written while the masks come.

They are kept at the end, and taken back if it is not reached. What is asked is `PropagationPlan`'s matter, what is
written `Propagation`'s.
"""

from __future__ import annotations

from typing import Callable, Optional

from slicer.i18n import tr as _

from medsam2_protocol.messages import Done, End, MaskChanged
from MedSAM2SlicerLib import CorrectionSentences, Sentences
from MedSAM2SlicerLib.ApprovedState import isApproved
from MedSAM2SlicerLib.EngineRuns import EngineRuns
from MedSAM2SlicerLib.History import History
from MedSAM2SlicerLib.LesionTable import PROPAGATED, setState
from MedSAM2SlicerLib.News import NO_PROGRESS, News
from MedSAM2SlicerLib.OpenChange import OpenChange
from MedSAM2SlicerLib.PackedLabelmap import NOTHING, packSegment, restoreSegment
from MedSAM2SlicerLib.PartialResult import PartialResult
from MedSAM2SlicerLib.Previewing import Previewing
from MedSAM2SlicerLib.PromptMarkups import axisOf
from MedSAM2SlicerLib.Propagation import Propagation
from MedSAM2SlicerLib.PropagationOptions import clearMarks, markHere, shownSlice
from MedSAM2SlicerLib.PropagationPlan import ANEW, RELEASE, CannotPropagate, planOf
from MedSAM2SlicerLib.Remedy import Remedy
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.SegmentStates import SegmentStates
from MedSAM2SlicerLib.SegmentTags import Texts, textsOf
from MedSAM2SlicerLib.SegmentWriter import SegmentWriter
from MedSAM2SlicerLib.SliceStates import SliceStates


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
        self.onWithdraw: Callable[[], None] = lambda: None  # the lesion's approval
        self.onRelease: Callable[[], None] = lambda: None  # all slices that are kept
        self._before = NOTHING  # the segment before the propagation
        self._textsBefore: Texts = ()
        self._propagation: Optional[Propagation] = None
        self._partial: Optional[PartialResult] = None
        self._partialRun = 0
        self._isEverything = False

    @property
    def canStart(self) -> bool:
        if self._runs.isPropagating:
            return False
        place = self._choice.place()
        return bool(self._choice.promptNodes()) or (place is not None and bool(place.now().kept))

    @property
    def announced(self) -> Optional[tuple[str, int, int]]:
        """Axis, lowest and highest slice that the run under way, or the last one, may change; None before the first."""
        plan = self._propagation.plan if self._propagation is not None else None
        return (plan.axis, *plan.slices) if plan is not None else None

    @property
    def canKeep(self) -> bool:
        """Whether a run that did not reach its end left masks that can be had still."""
        return self._partial is not None and self._partialRun == self._runs.started and not self._runs.isPropagating

    def start(self, everything: bool = False) -> None:
        """Ask for what the corrections since the last propagation change, or for all slices."""
        if self._runs.isPropagating or self._choice.volumeNode is None:
            return
        place = self._choice.place()
        if place is None:
            self._news.say(CorrectionSentences.nothingToGoFrom(), isError=True)
            return
        if isApproved(place.segment):
            remedy = Remedy(_("Withdraw the approval"), lambda: self.onWithdraw())
            self._news.say(CorrectionSentences.isApproved(), isError=True, remedy=remedy)
            return
        self._runs.drop()
        self._previewing.close()
        place.noteHandEdits()
        try:
            plan = planOf(self._choice, place, everything)
        except CannotPropagate as reason:
            self._previewing.reopen()
            self._news.say(str(reason), reason.isError, self._remedyFor(reason))
            return
        self._before = packSegment(place.segmentationNode, place.segmentId)
        self._textsBefore = textsOf(place.segment)
        self._propagation, self._isEverything = Propagation(plan, place), everything
        if self._change.open(self._propagation.mayWrite):
            self._partial = None
            self._news.progress = NO_PROGRESS
            self._propagation.begin(self._change.writer)
            self._ask()

    def startAnew(self) -> None:
        """All slices, from all prompts and whatever is kept."""
        self.start(True)

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
        texts = textsOf(self._choice.place().segment)
        restoreSegment(partial.segmentationNode, partial.segmentId, partial.came)
        self._note(self._choice.place(), partial.states)
        self._history.segmentChanged(_("part of a propagation"), partial.before, texts)
        self._news.say(CorrectionSentences.ofKept(partial.states))

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

    def _ask(self) -> None:
        propagation = self._propagation
        question = propagation.question()
        self._news.say(CorrectionSentences.ofStart(propagation.plan))
        self._runs.propagate(question, self._onMask, self._onRepeated, self._onEnd)

    def _onMask(self, event: MaskChanged) -> None:
        if self._change.isTouched():
            self._propagation.keepHandEdits()
        if self._propagation.onMask(event) and not self._change.write(event):
            self._previewing.stop()
            self._news.say(_("The segment was deleted; the computation was stopped."), isError=True)

    def _onRepeated(self) -> None:
        self._change.startOver()
        self._propagation.onRepeated(self._change.writer)

    def _onEnd(self, end: End) -> None:
        propagation = self._propagation
        if isinstance(end, Done):
            self._onStepDone(propagation, end)
        elif propagation.edited:
            self._finish(propagation)
            self._news.sayEnd(end, lambda: self.start(self._isEverything))
        else:
            self._putBack(self._change.take(), propagation)
            self._previewing.reopen()
            self._news.sayEnd(end, lambda: self.start(self._isEverything))

    def _onStepDone(self, propagation: Propagation, end: Done) -> None:
        if not propagation.hasFound and not propagation.plan.isCorrection:
            self._change.revert()
            self._previewing.reopen()
            self._news.say(Sentences.nothingFound(), isError=True)
            return
        if self._change.isTouched():
            propagation.keepHandEdits()
        propagation.onStepDone(self._change.writer, end)
        if not propagation.isDone:
            self._ask()
            return
        states = self._finish(propagation)
        self._news.say(CorrectionSentences.ofDone(propagation, end, states))

    def _finish(self, propagation: Propagation) -> SliceStates:
        writer = self._change.take()
        writer.end()
        states = propagation.statesNow()
        self._note(propagation.place, states)
        title = _("correction") if propagation.plan.isCorrection else _("propagation")
        self._history.segmentChanged(title, self._before, self._textsBefore)
        self._previewing.forget()
        return states

    def _putBack(self, writer: SegmentWriter, propagation: Propagation) -> None:
        """The segment is what it was, and what came can be had still."""
        segmentationNode, segmentId = writer.segmentationNode, writer.segmentId
        came = packSegment(segmentationNode, segmentId)
        states = propagation.statesNow()
        if writer.revert() and not came.isSame(self._before):
            place = writer.volumeNode, segmentationNode, segmentId
            texts = textsOf(propagation.place.segment)
            self._partial = PartialResult(*place, self._before, came, states, texts)
            self._partialRun = self._runs.started

    def _note(self, place: SegmentStates, states: SliceStates) -> None:
        place.put(states)
        setState(place.segmentationNode, place.segmentId, PROPAGATED)

    def _remedyFor(self, reason: CannotPropagate) -> Optional[Remedy]:
        if reason.remedy == ANEW:
            return Remedy(_("Re-propagate all"), self.startAnew)
        if reason.remedy == RELEASE:
            return Remedy(_("Release locked and edited slices"), lambda: self.onRelease())
        return None
