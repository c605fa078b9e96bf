"""Approval: a person says that a slice, a range of slices or a whole lesion is right.

An approved slice is a locked one. An approved lesion is not propagated until the approval is withdrawn, and says so in
the list of lesions. All of it can be undone.
"""

from __future__ import annotations

from typing import Callable, Optional

from slicer.i18n import tr as _

from MedSAM2SlicerLib import CorrectionSentences
from MedSAM2SlicerLib.ApprovedState import isApproved
from MedSAM2SlicerLib.History import History
from MedSAM2SlicerLib.LesionTable import APPROVED, EDITED, PROMPTED, PROPAGATED, setState
from MedSAM2SlicerLib.News import News
from MedSAM2SlicerLib.Previewing import Previewing
from MedSAM2SlicerLib.PromptMarkups import axisOf
from MedSAM2SlicerLib.PropagationOptions import NOT_SET, shownSlice
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.SegmentStates import SegmentStates
from MedSAM2SlicerLib.SegmentTags import textsOf
from MedSAM2SlicerLib.Sentences import sliceName
from MedSAM2SlicerLib.SliceStates import LOCKED, SliceStates

Change = Callable[[SliceStates], SliceStates]


class Approval:
    """Of the chosen segment. `isFree` says whether no run is under way."""

    def __init__(
        self,
        choice: SegmentChoice,
        previewing: Previewing,
        history: History,
        news: News,
        isFree: Callable[[], bool],
    ) -> None:
        self._choice = choice
        self._previewing = previewing
        self._history = history
        self._news = news
        self._isFree = isFree

    @property
    def isApproved(self) -> bool:
        place = self._choice.place()
        return place is not None and isApproved(place.segment)

    def keptSlices(self) -> tuple[tuple[str, int], ...]:
        """Axis and index of the slices that nothing but a hand may change."""
        place = self._choice.place()
        states = place.now() if place is not None else SliceStates()
        return tuple((states.axis, index) for index in sorted(states.kept))

    def axis(self) -> str:
        """Along which slices are spoken of: that of the states, or else of the newest prompt; "" if there is none."""
        place = self._choice.place()
        nodes = self._choice.promptNodes()
        return (place.now().axis if place is not None else "") or (axisOf(nodes[-1]) if nodes else "")

    def shown(self) -> Optional[int]:
        """The slice that a view shows along that axis."""
        axis = self.axis()
        return shownSlice(self._choice.volumeNode, axis) if axis else None

    def toggleLock(self) -> None:
        """The slice that is shown: a free or an edited one is locked, a locked one is released."""
        index = self.shown()
        if index is None:
            self._news.say(_("No view shows a slice of this segment along its axis."), isError=True)
            return
        place = self._choice.place()
        if place is not None and place.now().of(index) == LOCKED:
            self.release([index])
        else:
            self.lock(index)

    def lock(self, index: int) -> None:
        """One slice, also an empty one: the object is not there."""
        if self._previewing.isOn(self.axis(), index):
            self._news.say(_("A preview cannot be locked. Propagate first (Space)."), isError=True)
        elif self._change(_("locked slice"), lambda states: states.withLocked([index])):
            text = _("Slice {slice} is locked: no propagation changes it. K releases it.")
            self._news.say(text.format(slice=sliceName(self.axis(), index)))

    def release(self, indices: list[int]) -> None:
        """Locked slices, and such as were edited by hand: the next propagation may change them."""
        if self._change(_("released slice"), lambda states: states.withReleased(indices)):
            text = _("The next propagation may change {slices}.")
            self._news.say(text.format(slices=CorrectionSentences.listed(self.axis(), indices)))

    def releaseAll(self) -> None:
        place = self._choice.place()
        if place is not None:
            kept = place.saved().kept
            if place.now().axis:
                self.release(sorted(kept))
            elif self._isFree():
                self._forgetStates(place)

    def lockRange(self) -> None:
        """The slices between the marks, as far as the segment holds something there."""
        place, parameters = self._choice.place(), self._choice.parameters
        axis = self.axis()
        marks = (parameters.firstSlice, parameters.lastSlice) if parameters is not None else (NOT_SET, NOT_SET)
        if place is None or not axis or parameters.markedAxis != axis or marks == (NOT_SET, NOT_SET):
            self._news.say(_("Mark the first and the last slice first (From here, To here)."), isError=True)
            return
        self._previewing.stop()
        first, last = marks
        indices = [
            index for index in place.masks().slices(axis) if first <= index and (last == NOT_SET or index <= last)
        ]
        if self._change(_("locked range"), lambda states: states.withLocked(indices)):
            self._news.say(_("{count} slices are locked.").format(count=len(indices)))

    def approve(self) -> None:
        """The whole lesion."""
        place = self._choice.place()
        if place is None or not self._isFree() or self.isApproved:
            return
        self._previewing.stop()
        if not place.masks().voxels.size:
            self._news.say(_("There is nothing to approve yet. Propagate first (Space)."), isError=True)
            return
        texts = textsOf(place.segment)
        setState(place.segmentationNode, place.segmentId, APPROVED)
        self._history.tagsChanged(_("approved lesion"), texts)
        text = _("{lesion} is approved. Nothing in it changes until the approval is withdrawn.")
        self._news.say(text.format(lesion=place.segment.GetName()))

    def withdraw(self) -> None:
        place = self._choice.place()
        if place is None or not self._isFree() or not self.isApproved:
            return
        texts, states = textsOf(place.segment), place.now()
        state = EDITED if states.edited else PROPAGATED if states.isPropagated else PROMPTED
        setState(place.segmentationNode, place.segmentId, state)
        self._history.tagsChanged(_("withdrawn approval"), texts)
        self._news.say(_("The approval of {lesion} is withdrawn.").format(lesion=place.segment.GetName()))

    def _change(self, title: str, change: Change) -> bool:
        """Returns whether the states are others now; an approved lesion keeps its own."""
        place = self._choice.place()
        if place is None or not self._isFree():
            return False
        if not self.axis():
            self._news.say(CorrectionSentences.nothingToGoFrom(), isError=True)
            return False
        if self.isApproved:
            self._news.say(CorrectionSentences.isApproved(), isError=True)
            return False
        texts = textsOf(place.segment)
        self._previewing.close()
        place.put(change(place.begun(self.axis())))
        self._previewing.reopen()
        self._history.tagsChanged(title, texts)
        return textsOf(place.segment) != texts

    def _forgetStates(self, place: SegmentStates) -> None:
        texts = textsOf(place.segment)
        place.put(SliceStates())
        self._history.tagsChanged(_("released slices"), texts)
        self._news.say(_("The next propagation may change all slices."))
