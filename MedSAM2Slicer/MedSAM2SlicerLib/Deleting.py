"""Deletion of the chosen lesion with its prompts: one change, which undo takes back. An approved one is not deleted."""

from __future__ import annotations

from typing import Callable

from slicer.i18n import tr as _

from MedSAM2SlicerLib.ApprovedState import isApproved
from MedSAM2SlicerLib.History import History
from MedSAM2SlicerLib.News import News
from MedSAM2SlicerLib.Previewing import Previewing
from MedSAM2SlicerLib.Remedy import Remedy
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice


class Deleting:
    """`isFree` says whether no run is under way; `onWithdraw` takes the approval of the chosen lesion back."""

    def __init__(
        self, choice: SegmentChoice, previewing: Previewing, history: History, news: News, isFree: Callable[[], bool]
    ) -> None:
        self.onWithdraw: Callable[[], None] = lambda: None
        self._choice = choice
        self._previewing = previewing
        self._history = history
        self._news = news
        self._isFree = isFree

    def mayDelete(self) -> bool:
        """Whether there is a chosen lesion that can go; says so if its approval is in the way."""
        segment = self._segment()
        if segment is None or not self._isFree():
            return False
        if isApproved(segment):
            text = _("{lesion} is approved, so it is not deleted. Withdraw the approval first.")
            remedy = Remedy(_("Withdraw the approval"), lambda: self.onWithdraw())
            self._news.say(text.format(lesion=segment.GetName()), isError=True, remedy=remedy)
            return False
        return True

    def delete(self) -> None:
        """The next lesion of the list is chosen then."""
        if not self.mayDelete():
            return
        with self._news.together():
            self._previewing.stop()
            name = self._segment().GetName()
            self._history.deleteSegment(_("deleted {lesion}").format(lesion=name))
            self._news.say(_("{lesion} was deleted. Ctrl+Z brings it back.").format(lesion=name))

    def _segment(self):
        node = self._choice.segmentationNode
        return node.GetSegmentation().GetSegment(self._choice.segmentId) if node is not None else None
