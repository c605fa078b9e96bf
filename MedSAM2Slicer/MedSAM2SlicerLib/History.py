"""Undo and redo of prompts and of propagations, by our own means: Slicer's scene undo stays off.

A change of prompts is kept as the prompts before and after it, a propagation as the segment before and after it, each
with what is noted at the segment (states of slices, approval); a deletion as the whole segment. A segment that somebody
else has changed since is never overwritten: then there is no way back over that point.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable, Optional

from slicer.i18n import tr as _

from MedSAM2SlicerLib.DeletedSegment import CannotBringBack, DeletedSegment, bringBack, keep, remove
from MedSAM2SlicerLib.LesionTable import neighbour
from MedSAM2SlicerLib.PackedLabelmap import PackedLabelmap, packSegment, restoreSegment
from MedSAM2SlicerLib.PromptMarkups import axisOf, orderOf
from MedSAM2SlicerLib.PromptRecords import PromptRecord, Records, recordsOf, restoreRecords
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.SegmentStates import SegmentStates
from MedSAM2SlicerLib.SegmentTags import Texts, setChangedTexts, textsOf
from MedSAM2SlicerLib.UndoStack import Change, State, Undoable, UndoStack


class CannotUndo(RuntimeError):
    """There is no way back or forth; the sentence says why and what to do."""


class History:
    """Of one scene. Changes are those of the segment that is chosen when they are recorded."""

    def __init__(self, choice: SegmentChoice, onRestored) -> None:
        """`onRestored` gets every prompt node that came back or was moved."""
        self.onSegmentChanged: Callable[[], None] = lambda: None
        self._choice = choice
        self._onRestored = onRestored
        self._stack = UndoStack()
        self._isRecording = False

    @property
    def canUndo(self) -> bool:
        return self._stack.undoable is not None

    @property
    def canRedo(self) -> bool:
        return self._stack.redoable is not None

    @contextmanager
    def promptStep(self, title: str) -> Iterator[None]:
        """Whatever happens inside to the chosen segment's prompts is one change."""
        before = self._records()
        try:
            with self._recording():
                yield
        finally:
            self._addPrompts(title, before, self._records())

    def promptMoved(self, node, promptBefore) -> None:
        """After a hand has moved it; `promptBefore` is None if it was off the voxels."""
        after = self._records()
        before = [record for record in after if record.order != orderOf(node)]
        if promptBefore is not None:
            before.append(PromptRecord(orderOf(node), axisOf(node), promptBefore))
        self._addPrompts(_("moved prompt"), tuple(sorted(before, key=lambda record: record.order)), after)

    def promptAboutToBeRemoved(self, node) -> None:
        """By whoever it may be; our own steps record themselves."""
        if not self._isRecording:
            before = self._records()
            after = tuple(record for record in before if record.order != orderOf(node))
            self._addPrompts(_("deleted prompt"), before, after)

    def segmentChanged(self, title: str, before: PackedLabelmap, tagsBefore: Optional[Texts] = None) -> None:
        """The chosen segment was `before` and is now as it is meant to be.

        Without `tagsBefore` nobody has noted anything at the segment yet; `onSegmentChanged` is called to do so.
        """
        prompts = self._records()
        after = packSegment(self._choice.segmentationNode, self._choice.segmentId)
        if tagsBefore is None:
            tagsBefore = self._tags()
            self.onSegmentChanged()
        if not after.isSame(before) or tagsBefore != self._tags():
            self._add(title, State(prompts, before, tagsBefore), State(prompts, after, self._tags()))

    def tagsChanged(self, title: str, tagsBefore: Texts) -> None:
        """What is noted at the chosen segment was `tagsBefore`."""
        if tagsBefore != self._tags():
            prompts = self._records()
            self._add(title, State(prompts, None, tagsBefore), State(prompts, None, self._tags()))

    def editedElsewhere(self, title: str, place: SegmentStates, before: PackedLabelmap, tagsBefore: Texts) -> None:
        """Any segment was changed while it was not the chosen one, or while the module was left."""
        prompts = recordsOf(place.volumeNode, place.segmentationNode, place.segmentId)
        after = packSegment(place.segmentationNode, place.segmentId)
        states = State(prompts, before, tagsBefore), State(prompts, after, textsOf(place.segment))
        self._stack.add(Change(title, place.volumeNode, place.segmentationNode, place.segmentId, *states))

    def deleteSegment(self, title: str) -> None:
        """The chosen segment goes with its prompts, on whatever volume they are; its neighbour is chosen."""
        choice = self._choice
        self._stack.add(self._delete(title, choice.volumeNode, choice.segmentationNode, choice.segmentId))

    def undo(self) -> Undoable:
        """
        Raises:
            CannotUndo: nothing to take back, or the segment is not as it was left.
        """
        change = self._stack.undoable
        if change is None:
            raise CannotUndo(_("There is nothing to undo."))
        if isinstance(change, DeletedSegment):
            self._bringBack(change)
        else:
            self._restore(change, change.after, change.before)
        self._stack.undone()
        return change

    def redo(self) -> Undoable:
        """
        Raises:
            CannotUndo: nothing to do again, or the segment is not as it was left.
        """
        change = self._stack.redoable
        if change is None:
            raise CannotUndo(_("There is nothing to redo."))
        if isinstance(change, DeletedSegment):
            self._stack.redone(self._deleteAgain(change))
        else:
            self._restore(change, change.before, change.after)
            self._stack.redone()
        return change

    def forgetNode(self, node) -> None:
        """A volume or segmentation that is about to be removed, or any other node."""
        self._stack.forget(node)

    def clear(self) -> None:
        self._stack.drop(lambda change: True)

    def _restore(self, change: Change, now: State, wanted: State) -> None:
        segmentationNode, segmentId = change.segmentationNode, change.segmentId
        self._requireUnchanged(segmentationNode, segmentId, now.voxels)
        self._choice.chooseAll(change.volumeNode, segmentationNode, segmentId)
        with self._recording():
            nodes = restoreRecords(change.volumeNode, segmentationNode, segmentId, wanted.prompts)
        for node in nodes:
            self._onRestored(node)
        if wanted.voxels is not None:
            restoreSegment(segmentationNode, segmentId, wanted.voxels)
        if wanted.tags is not None and now.tags is not None:
            setChangedTexts(segmentationNode.GetSegmentation().GetSegment(segmentId), now.tags, wanted.tags)

    def _requireUnchanged(self, segmentationNode, segmentId: str, voxels: Optional[PackedLabelmap]) -> None:
        """Still there, and holding these voxels; None for whatever it holds."""
        if segmentationNode.GetSegmentation().GetSegment(segmentId) is None:
            # What we deleted ourselves is not meant: that can come back, and a new segment may have had its id since.
            self._stack.drop(
                lambda one: (
                    (one.segmentationNode, one.segmentId) == (segmentationNode, segmentId)
                    and (not isinstance(one, DeletedSegment) or one is self._stack.redoable)
                )
            )
            raise CannotUndo(_("The segment of that change was deleted. Earlier changes of others can be undone."))
        if voxels is not None and not packSegment(segmentationNode, segmentId).isSame(voxels):
            raise CannotUndo(_("The segment was changed by other means since. Undo that first, where it was done."))

    def _delete(self, title: str, volumeNode, segmentationNode, segmentId: str) -> DeletedSegment:
        deleted = keep(title, volumeNode, segmentationNode, segmentId)
        other = neighbour(segmentationNode, segmentId, 1)
        self._choice.chooseAll(volumeNode, segmentationNode, "" if other == segmentId else other)
        with self._recording():
            remove(segmentationNode, segmentId)
        return deleted

    def _deleteAgain(self, deleted: DeletedSegment) -> DeletedSegment:
        """As it is now: its name, say, may be another one."""
        self._requireUnchanged(deleted.segmentationNode, deleted.segmentId, deleted.voxels)
        volumeNode = deleted.volumeNode or self._choice.volumeNode
        return self._delete(deleted.title, volumeNode, deleted.segmentationNode, deleted.segmentId)

    def _bringBack(self, deleted: DeletedSegment) -> None:
        segmentationNode = deleted.segmentationNode
        try:
            with self._recording():
                segmentId, nodes = bringBack(deleted)
        except CannotBringBack as reason:
            raise CannotUndo(str(reason)) from None
        if segmentId != deleted.segmentId:
            self._stack.rename(segmentationNode, deleted.segmentId, segmentId)
        for node in nodes:
            self._onRestored(node)
        self._choice.chooseAll(deleted.volumeNode or self._choice.volumeNode, segmentationNode, segmentId)

    @contextmanager
    def _recording(self) -> Iterator[None]:
        """What happens inside to prompts is recorded by us, or is our own undoing."""
        self._isRecording = True
        try:
            yield
        finally:
            self._isRecording = False

    def _tags(self) -> Texts:
        return textsOf(self._choice.segmentationNode.GetSegmentation().GetSegment(self._choice.segmentId))

    def _records(self) -> Records:
        if self._choice.volumeNode is None or self._choice.segmentationNode is None:
            return ()
        return recordsOf(self._choice.volumeNode, self._choice.segmentationNode, self._choice.segmentId)

    def _addPrompts(self, title: str, before: Records, after: Records) -> None:
        if before != after:
            self._add(title, State(before), State(after))

    def _add(self, title: str, before: State, after: State) -> None:
        choice = self._choice
        self._stack.add(Change(title, choice.volumeNode, choice.segmentationNode, choice.segmentId, before, after))
