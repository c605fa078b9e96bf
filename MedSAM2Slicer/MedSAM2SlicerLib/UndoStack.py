"""Changes that can be taken back, newest last, and those that were taken back. Plain data: it never touches the scene.

What it may keep is bounded: beyond `limit_bytes` or `limit_changes` the oldest changes are forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Optional, Union

from MedSAM2SlicerLib.DeletedSegment import DeletedSegment
from MedSAM2SlicerLib.PackedLabelmap import PackedLabelmap
from MedSAM2SlicerLib.PromptRecords import Records
from MedSAM2SlicerLib.SegmentTags import Texts

LIMIT_BYTES = 64 << 20
LIMIT_CHANGES = 500


@dataclass(frozen=True)
class State:
    """A segment at one moment; `voxels` and `tags` are None where the change does not touch them."""

    prompts: Records
    voxels: Optional[PackedLabelmap] = None
    tags: Optional[Texts] = None

    @property
    def bytes(self) -> int:
        voxels = self.voxels.bytes if self.voxels is not None else 0
        return voxels + sum(map(len, self.tags or ()))


@dataclass(frozen=True)
class Change:
    """`title` is for people: what was done."""

    title: str
    volumeNode: object
    segmentationNode: object
    segmentId: str
    before: State
    after: State

    @property
    def slice(self) -> Optional[tuple[str, int]]:
        """Axis and index of the slice whose prompts differ; the newest of them, and None for other changes."""
        differing = sorted(set(self.before.prompts) ^ set(self.after.prompts), key=lambda record: record.order)
        return differing[-1].slice if differing else None

    @property
    def bytes(self) -> int:
        return self.before.bytes + self.after.bytes

    def without(self, node) -> Optional[Change]:
        """What is left once the node leaves the scene: nothing, if the change is about it."""
        return None if node in (self.volumeNode, self.segmentationNode) else self


Undoable = Union[Change, DeletedSegment]


class UndoStack:
    """`add` forgets what was taken back, as everywhere."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES, limit_changes: int = LIMIT_CHANGES) -> None:
        self._limit_bytes = limit_bytes
        self._limit_changes = limit_changes
        self._done: list[Undoable] = []
        self._undone: list[Undoable] = []

    @property
    def undoable(self) -> Optional[Undoable]:
        return self._done[-1] if self._done else None

    @property
    def redoable(self) -> Optional[Undoable]:
        return self._undone[-1] if self._undone else None

    @property
    def bytes(self) -> int:
        return sum(change.bytes for change in self._done + self._undone)

    def add(self, change: Undoable) -> None:
        self._undone = []
        self._done.append(change)
        while len(self._done) > 1 and (self.bytes > self._limit_bytes or len(self._done) > self._limit_changes):
            del self._done[0]

    def undone(self) -> None:
        """`undoable` was taken back."""
        self._undone.append(self._done.pop())

    def redone(self, change: Optional[Undoable] = None) -> None:
        """`redoable` was done again; `change` says how it went this time, if not as before."""
        undone = self._undone.pop()
        self._done.append(change or undone)

    def drop(self, isGone: Callable[[Undoable], bool]) -> None:
        self._done = [change for change in self._done if not isGone(change)]
        self._undone = [change for change in self._undone if not isGone(change)]

    def forget(self, node) -> None:
        """A node leaves the scene."""
        self._done = [left for left in (change.without(node) for change in self._done) if left is not None]
        self._undone = [left for left in (change.without(node) for change in self._undone) if left is not None]

    def rename(self, segmentationNode, segmentId: str, newId: str) -> None:
        """What was done to this segment is known under another id from now on."""
        self._done = [
            replace(change, segmentId=newId)
            if (change.segmentationNode, change.segmentId) == (segmentationNode, segmentId)
            else change
            for change in self._done
        ]
