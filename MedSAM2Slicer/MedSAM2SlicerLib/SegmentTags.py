"""What the module notes at a segment, as tags that are saved with it. Names of tags are part of the saved scene."""

from __future__ import annotations

import vtk

SLICES_TAG = "MedSAM2Slicer.SliceStates"
STATE_TAG = "MedSAM2Slicer.State"
TERM_TAG = "MedSAM2Slicer.TermOfName"
UNDOABLE = (SLICES_TAG, STATE_TAG)
Texts = tuple[str, ...]


def tagOf(segment, name: str) -> str:
    """The text, or "" if there is none."""
    text = vtk.reference("")
    return str(text) if segment.GetTag(name, text) else ""


def setTag(segment, name: str, text: str) -> None:
    """Nothing is written where nothing changes; an empty text removes the tag."""
    if tagOf(segment, name) == text:
        return
    if text:
        segment.SetTag(name, text)
    else:
        segment.RemoveTag(name)


def textsOf(segment) -> Texts:
    """All that undo has to put back."""
    return tuple(tagOf(segment, name) for name in UNDOABLE)


def setChangedTexts(segment, now: Texts, wanted: Texts) -> None:
    """Those that differ; what somebody else has noted meanwhile under another name stays."""
    for name, old, text in zip(UNDOABLE, now, wanted):
        if old != text:
            setTag(segment, name, text)
