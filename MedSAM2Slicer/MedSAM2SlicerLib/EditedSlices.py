"""Which slices of a segment were changed by hand: a tag of the segment, whose name is part of the saved scene."""

from __future__ import annotations

from collections.abc import Iterable

import vtk

EDITED_TAG = "MedSAM2Slicer.EditedSlices"
EDITED_AXIS = "K"


def editedSlices(segment) -> tuple[int, ...]:
    """Slices along K that were changed by hand, as they were noted on return from the Segment Editor."""
    text = vtk.reference("")
    if not segment.GetTag(EDITED_TAG, text):
        return ()
    indices = [part[len(EDITED_AXIS) :] for part in str(text).split(",") if part.startswith(EDITED_AXIS)]
    return tuple(int(index) for index in indices if index.isdigit())


def noteEditedSlices(segment, indices: Iterable[int]) -> None:
    segment.SetTag(EDITED_TAG, ",".join(f"{EDITED_AXIS}{index}" for index in sorted(set(indices))))


def listed(indices: tuple[int, ...], most: int = 6) -> str:
    text = ", ".join(f"{EDITED_AXIS}{index}" for index in indices[:most])
    return text if len(indices) <= most else f"{text}, …"
