"""What other modules did to segments while this one was left: noted as edited by hand, and one step of undo."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from MedSAM2SlicerLib.History import History
from MedSAM2SlicerLib.LesionTable import EDITED, setState
from MedSAM2SlicerLib.PackedLabelmap import PackedLabelmap, packSegment
from MedSAM2SlicerLib.PromptMarkups import axisOf
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.SegmentStates import SegmentStates
from MedSAM2SlicerLib.SegmentTags import Texts, textsOf

USUAL_AXIS = "K"


@dataclass(frozen=True)
class Left:
    """A segment as it was when the module was left; `axis` and `marks` are those of its slices."""

    place: SegmentStates
    voxels: PackedLabelmap
    texts: Texts
    axis: str
    marks: dict[int, int]


class HandEdits:
    """Of the segments of the chosen segmentation: the chosen one, and all that have slice states."""

    def __init__(self, choice: SegmentChoice, history: History) -> None:
        self._choice = choice
        self._history = history
        self._left: list[Left] = []

    def onLeft(self) -> None:
        """No preview may be in the segment any more."""
        self._left = [_leave(place, self._axisOf(place)) for place in self._places()]

    def onEntered(self) -> dict[str, tuple[int, ...]]:
        """Returns slices that were changed by hand, by segment id."""
        left, self._left = self._left, []
        found = {}
        for one in left:
            changed = _noted(one) if one.place.isThere() else ()
            if changed:
                setState(one.place.segmentationNode, one.place.segmentId, EDITED)
                self._history.editedElsewhere(_("edit by hand"), one.place, one.voxels, one.texts)
                found[one.place.segmentId] = changed
        for place in self._places():
            if place.noteHandEdits():
                setState(place.segmentationNode, place.segmentId, EDITED)
        return found

    def forget(self) -> None:
        self._left = []

    def _places(self) -> list[SegmentStates]:
        choice = self._choice
        if choice.volumeNode is None or choice.volumeNode.GetImageData() is None or choice.segmentationNode is None:
            return []
        ids = choice.segmentationNode.GetSegmentation().GetSegmentIDs()
        places = [SegmentStates(choice.volumeNode, choice.segmentationNode, segmentId) for segmentId in ids]
        return [place for place in places if place.segmentId == choice.segmentId or place.now().axis]

    def _axisOf(self, place: SegmentStates) -> str:
        nodes = self._choice.promptNodes() if place.segmentId == self._choice.segmentId else []
        return place.now().axis or (axisOf(nodes[-1]) if nodes else USUAL_AXIS)


def _leave(place: SegmentStates, axis: str) -> Left:
    voxels = packSegment(place.segmentationNode, place.segmentId)
    return Left(place, voxels, textsOf(place.segment), axis, place.masks().marks(axis))


def _noted(left: Left) -> tuple[int, ...]:
    """The slices that differ from what they were, noted at the segment."""
    place = left.place
    marks = place.masks().marks(left.axis)
    changed = [index for index in {*marks, *left.marks} if marks.get(index) != left.marks.get(index)]
    if changed:
        place.put(place.begun(left.axis).withHandEdits(changed, marks))
    return tuple(sorted(changed))
