"""The one change of the chosen segment that is open at a time: a preview in it, or a propagation that goes on."""

from __future__ import annotations

from typing import Callable, Optional

from medsam2_protocol.messages import MaskChanged
from MedSAM2SlicerLib.News import News
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.SegmentWriter import CannotWrite, SegmentWriter
from MedSAM2SlicerLib.UnfinishedChange import clearNotes, noteBefore


class OpenChange:
    """`writer` is None while nothing is open. While one is, the segment carries a note of what it held before."""

    def __init__(self, choice: SegmentChoice, news: News) -> None:
        self.writer: Optional[SegmentWriter] = None
        self._choice = choice
        self._news = news

    def open(self, mayWrite: Callable[[str, int], bool]) -> bool:
        """Begin to write to the chosen segment, made if it is missing. Returns False, and says why, if it cannot be.

        `mayWrite(axis, index)` is asked for every slice; what it does not allow is not written.
        """
        segmentationNode = self._choice.require()
        writer = SegmentWriter(self._choice.volumeNode, segmentationNode, self._choice.segmentId)
        noteBefore(segmentationNode, writer.segmentId)
        writer.mayWrite = mayWrite
        try:
            writer.begin()
        except CannotWrite as error:
            clearNotes(segmentationNode, writer.segmentId)
            self._news.say(str(error), isError=True)
            return False
        self.writer = writer
        return True

    def write(self, event: MaskChanged) -> bool:
        """One slice. Returns False, and forgets the change, if the segment is gone."""
        if not self.writer.isPossible():
            self.forget()
            return False
        self.writer.write(event.axis, event.slice, event.region)
        return True

    def isTouched(self) -> bool:
        """Whether somebody else has changed the segment since the last slice was written."""
        return self.writer is not None and self.writer.isPossible() and self.writer.isTouched()

    def startOver(self) -> None:
        """As it was when it was opened."""
        self.writer.revert()
        self.writer.begin()

    def take(self) -> Optional[SegmentWriter]:
        """Whoever takes it ends or reverts it; here nothing is open any more."""
        writer, self.writer = self.writer, None
        if writer is not None:
            clearNotes(writer.segmentationNode, writer.segmentId)
        return writer

    def revert(self) -> None:
        writer = self.take()
        if writer is not None:
            writer.revert()

    def forget(self) -> None:
        """The segment is gone, or is another scene's; or the module goes, and its successor takes the change back."""
        self.writer = None

    def isIn(self, segmentationNode) -> bool:
        return self.writer is not None and self.writer.segmentationNode is segmentationNode
