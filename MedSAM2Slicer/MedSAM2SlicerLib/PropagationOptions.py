"""How far a propagation goes: both ways, up or down, until the object ends or between two slices that a person marked.

The choice is saved with the scene. Marks belong to the slice axis that they were set on; along another axis they say
nothing. A range tells the engine that the object is there, so it goes on to its ends whatever it sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
from slicer.i18n import tr as _

from medsam2_protocol.messages import BOTH
from medsam2_protocol.prompts import axis_ijk
from MedSAM2SlicerLib.Geometry import VolumeFrame, viewNormal
from MedSAM2SlicerLib.SliceViews import sliceViewNodes

NOT_SET = -1


class NoSuchRange(ValueError):
    """The marks and the prompts do not go together; the sentence says why and what to do."""


@dataclass(frozen=True)
class Reach:
    """`first` and `last` are both set or both None."""

    direction: str = BOTH
    first: Optional[int] = None
    last: Optional[int] = None


EVERYWHERE = Reach()


def reachAlong(parameters, axis: str, prompted: list[int], count: int) -> Reach:
    """How far to go from these slices of a volume that has `count` along the axis.

    Raises:
        NoSuchRange: a prompt lies outside the marks, or the first mark is behind the last.
    """
    marks = (parameters.firstSlice, parameters.lastSlice)
    if parameters.markedAxis != axis or marks == (NOT_SET, NOT_SET):
        return Reach(parameters.direction)
    first = 0 if marks[0] == NOT_SET else marks[0]
    last = count - 1 if marks[1] == NOT_SET else min(marks[1], count - 1)
    if first > last:
        raise NoSuchRange(_("The first slice is behind the last. Set them again, or clear them."))
    outside = [index for index in prompted if not first <= index <= last]
    if outside:
        text = _("The prompt on slice {axis}{index} lies outside the marked range. Widen the range, or clear it.")
        raise NoSuchRange(text.format(axis=axis, index=outside[0]))
    return Reach(parameters.direction, first, last)


def markHere(parameters, axis: str, index: int, isFirst: bool) -> None:
    """Marks on another axis are forgotten."""
    if parameters.markedAxis != axis:
        clearMarks(parameters)
        parameters.markedAxis = axis
    if isFirst:
        parameters.firstSlice = index
    else:
        parameters.lastSlice = index


def clearMarks(parameters) -> None:
    parameters.markedAxis = ""
    parameters.firstSlice = parameters.lastSlice = NOT_SET


def marksText(parameters) -> str:
    axis, first, last = parameters.markedAxis, parameters.firstSlice, parameters.lastSlice
    if (first, last) == (NOT_SET, NOT_SET):
        return _("Until the object ends")
    if last == NOT_SET:
        return _("From {axis}{first} to the end of the volume").format(axis=axis, first=first)
    if first == NOT_SET:
        return _("From the start of the volume to {axis}{last}").format(axis=axis, last=last)
    return _("From {axis}{first} to {axis}{last}").format(axis=axis, first=first, last=last)


def shownSlice(volumeNode, axis: str) -> Optional[int]:
    """The slice of the volume that a view shows along this axis; None if no view does."""
    for sliceNode in sliceViewNodes():
        shown = sliceShownBy(sliceNode, volumeNode)
        if shown is not None and shown[0] == axis:
            index = shown[1]
            return index if 0 <= index < volumeNode.GetImageData().GetDimensions()[axis_ijk(axis)] else None
    return None


def sliceShownBy(sliceNode, volumeNode) -> Optional[tuple[str, int]]:
    """Axis and index of the plane of the volume that a view shows, which may lie beyond its last slice.

    A volume has no voxels yet while the scene that it comes with is read.
    """
    if volumeNode.GetImageData() is None:
        return None
    frame, matrix = VolumeFrame(volumeNode), sliceNode.GetSliceToRAS()
    centre_world = np.array([[matrix.GetElement(row, 3) for row in range(3)]])
    axis = frame.sliceAxisAlong(viewNormal(sliceNode), centre_world[0])
    if axis is None:
        return None
    return axis, int(np.floor(frame.ijkFromWorld(centre_world)[0][axis_ijk(axis)] + 0.5))
