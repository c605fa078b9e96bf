"""How a segment looks in the views: what of it a preview changes, and what is put back after it."""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields
from typing import Optional

MAGENTA = (1.0, 0.25, 1.0)  # no grey value, no tissue of Slicer's colours and no kind of prompt has it
CYAN = (0.0, 1.0, 1.0)  # for a lesion that is magenta itself
ALIKE = 0.6  # the sum of the differences of colours that cannot be told apart at a glance
FAINTER = 0.5  # the fill of a preview, of what the user has chosen
FILL, OUTLINE = 0.3, 1.0  # opacities that a preview has at least, of what is shown in the end
WIDER_PIXELS = 2
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class SegmentLook:
    """None: not known. `fill` and `outline` are the segment's own opacities, by which the display node's are
    multiplied; `thickness` is that of outlines in pixels, which all segments of the segmentation have in common;
    `colour` is shown instead of the segment's own, unless it is negative.
    """

    fill: Optional[float] = None
    outline: Optional[float] = None
    thickness: Optional[int] = None
    colour: Optional[Colour] = None

    def asPreview(self, displayNode, own: Colour) -> SegmentLook:
        """A fainter fill within a wide opaque outline, both in another colour than the segment's own.

        What the user has made invisible stays so.
        """
        overall = displayNode.GetOpacity()
        fill = _atLeast(FAINTER * self.fill, FILL, overall * displayNode.GetOpacity2DFill())
        outline = _atLeast(self.outline, OUTLINE, overall * displayNode.GetOpacity2DOutline())
        return SegmentLook(fill, outline, self.thickness + WIDER_PIXELS, CYAN if _isMagenta(own) else MAGENTA)

    def putOn(self, displayNode, segmentId: str) -> None:
        if self.fill is not None:
            displayNode.SetSegmentOpacity2DFill(segmentId, self.fill)
        if self.outline is not None:
            displayNode.SetSegmentOpacity2DOutline(segmentId, self.outline)
        if self.thickness is not None:
            displayNode.SetSliceIntersectionThickness(self.thickness)
        if self.colour is not None:
            displayNode.SetSegmentOverrideColor(segmentId, *self.colour)

    def where(self, now: SegmentLook, expected: SegmentLook) -> SegmentLook:
        """Only what is as expected: the rest has somebody else changed."""
        return SegmentLook(
            **{
                one.name: getattr(self, one.name)
                for one in fields(self)
                if getattr(now, one.name) == getattr(expected, one.name)
            }
        )

    def toText(self) -> str:
        """Of a look that is known."""
        fill, outline, thickness, colour = astuple(self)
        return " ".join(map(repr, (fill, outline, thickness, *colour)))


def lookOf(displayNode, segmentId: str) -> SegmentLook:
    fill = displayNode.GetSegmentOpacity2DFill(segmentId)  # first: it makes the properties of a new segment
    outline = displayNode.GetSegmentOpacity2DOutline(segmentId)
    colour = displayNode.GetSegmentOverrideColor(segmentId)
    thickness = displayNode.GetSliceIntersectionThickness()
    return SegmentLook(fill, outline, thickness, (colour.GetX(), colour.GetY(), colour.GetZ()))


def lookOfText(text: str) -> SegmentLook:
    """What `toText` wrote; earlier versions wrote the fill only. Where it cannot be read, nothing is known."""
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return SegmentLook()
    if len(numbers) not in (1, 6) or not all(map(math.isfinite, numbers)):
        return SegmentLook()
    fill = _within(numbers[0], 0.0, 1.0)
    if len(numbers) == 1:
        return SegmentLook(fill)
    colour = tuple(_within(one, -1.0, 1.0) for one in numbers[3:])
    return SegmentLook(fill, _within(numbers[1], 0.0, 1.0), int(_within(numbers[2], 0, 100)), colour)


def _isMagenta(colour: Colour) -> bool:
    return sum(abs(one - other) for one, other in zip(colour, MAGENTA)) < ALIKE


def _atLeast(opacity: float, least: float, factor: float) -> float:
    """An opacity that is multiplied by the factor before it is seen."""
    return max(opacity, least / factor) if factor > 0 else opacity


def _within(number: float, least: float, most: float) -> float:
    return min(most, max(least, number))
