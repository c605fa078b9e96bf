"""What a segment held before the change that is open in it, noted in the segment itself.

A scene may be saved at any time, and nobody tells before: then the file holds a preview, or half a propagation. A
module may be reloaded with a preview in the scene. The note, a tag of the segment, says what to put back. It is there
only while a change is open; names of tags are part of the saved scene and stay as they are.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from typing import Optional

import slicer
import vtk

from MedSAM2SlicerLib.PackedLabelmap import PackedLabelmap, packSegment, restoreSegment
from MedSAM2SlicerLib.SegmentLook import SegmentLook, lookOfText

BEFORE_TAG = "MedSAM2Slicer.Before"
LOOK_TAG = "MedSAM2Slicer.FillBefore"  # of an earlier version, with the fill only


def noteBefore(segmentationNode, segmentId: str) -> None:
    """The segment is about to be changed."""
    _segment(segmentationNode, segmentId).SetTag(BEFORE_TAG, _textOf(packSegment(segmentationNode, segmentId)))


def noteLook(segmentationNode, segmentId: str, look: SegmentLook) -> None:
    """A preview is about to be shown otherwise than the user wants segments to be shown."""
    _segment(segmentationNode, segmentId).SetTag(LOOK_TAG, look.toText())


def clearNotes(segmentationNode, segmentId: str) -> None:
    """The change has ended, or was taken back. The segment may be gone."""
    segment = _segment(segmentationNode, segmentId)
    if segment is not None:
        for tag in (BEFORE_TAG, LOOK_TAG):
            segment.RemoveTag(tag)


@dataclass(frozen=True)
class TakenBack:
    """A segment that was put back; `found` is what it held, which a hand may have edited since the note was made."""

    segmentationNode: object
    segmentId: str
    found: PackedLabelmap


def takeBackUnfinished(exceptFor=None) -> list[TakenBack]:
    """In all segmentations of the scene but one; returns the segments that are others now."""
    taken = []
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node is not exceptFor:
            taken += [_takeBack(node, segmentId) for segmentId in node.GetSegmentation().GetSegmentIDs()]
    return [one for one in taken if one is not None]


def _takeBack(segmentationNode, segmentId: str) -> Optional[TakenBack]:
    segment = _segment(segmentationNode, segmentId)
    before, look = _packedOf(_tagOf(segment, BEFORE_TAG)), _tagOf(segment, LOOK_TAG)
    clearNotes(segmentationNode, segmentId)
    display = segmentationNode.GetDisplayNode()
    if look and display is not None:
        lookOfText(look).putOn(display, segmentId)
    if before is None:
        return None
    found = packSegment(segmentationNode, segmentId)
    restoreSegment(segmentationNode, segmentId, before)
    return None if found.isSame(before) else TakenBack(segmentationNode, segmentId, found)


def _textOf(packed: PackedLabelmap) -> str:
    """JSON without a colon or a bar, which separate tags in the file."""
    bits = base64.b64encode(packed.bits).decode("ascii")
    return json.dumps([packed.image_to_ras, packed.extent, bits], separators=(",", " "))


def _packedOf(text: str) -> Optional[PackedLabelmap]:
    """None if there is no note, or one that cannot be read: then the segment stays as it is."""
    try:
        image_to_ras, extent, bits = json.loads(text)
        packed = PackedLabelmap(
            tuple(tuple(float(value) for value in row) for row in image_to_ras),
            tuple(int(value) for value in extent),
            base64.b64decode(bits, validate=True),
        )
        isWhole = [len(row) for row in packed.image_to_ras] == [4, 4, 4, 4] and len(packed.extent) == 6
        return packed if isWhole and _fits(packed) else None
    except (ValueError, TypeError, binascii.Error, zlib.error):
        return None


def _fits(packed: PackedLabelmap) -> bool:
    """Whether there are as many bits as the extent has voxels."""
    i0, i1, j0, j1, k0, k1 = packed.extent
    count = max(0, i1 - i0 + 1) * max(0, j1 - j0 + 1) * max(0, k1 - k0 + 1)
    return len(zlib.decompress(packed.bits)) == -(-count // 8) if packed.bits else count == 0


def _tagOf(segment, name: str) -> str:
    text = vtk.reference("")
    return str(text) if segment.GetTag(name, text) else ""


def _segment(segmentationNode, segmentId: str):
    return segmentationNode.GetSegmentation().GetSegment(segmentId)
