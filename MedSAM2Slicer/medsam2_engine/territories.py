"""Which slices a propagation computes, and from which sides.

An anchor is a slice whose mask is given: a prompted one, or a kept one that holds the object. A barrier is a kept slice
without the object. Between two anchors both are walked from, over the whole way; between an anchor and a barrier, or an
end of the range, only the anchor is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from medsam2_protocol.messages import DOWN, UP


@dataclass(frozen=True)
class Stretch:
    """Slices in a row of which none has a mask yet, and the anchors beside them: at least one of the two."""

    slices: range
    lower: int | None
    upper: int | None

    @property
    def walks(self) -> list[tuple[int, range]]:
        """Anchors to walk from, and the way in the order of walking."""
        from_below = [] if self.lower is None else [(self.lower, self.slices)]
        from_above = [] if self.upper is None else [(self.upper, self.slices[::-1])]
        return from_below + from_above

    @property
    def is_between_anchors(self) -> bool:
        return self.lower is not None and self.upper is not None


def stretches(
    anchors: Sequence[int],
    barriers: Collection[int],
    limits: tuple[int, int],
    corrected: int | None = None,
) -> list[Stretch]:
    """The stretches within `limits` (first and last slice), in rising order; only those beside `corrected` if given."""
    first, last = limits
    solid = set(anchors)
    ends = sorted({first - 1, *solid, *barriers, last + 1})
    found = []
    for below, above in pairwise(ends):
        lower, upper = (end if end in solid else None for end in (below, above))
        slices = range(max(below + 1, first), min(above, last + 1))
        is_wanted = corrected is None or corrected in (below, above)
        if slices and is_wanted and (lower is not None or upper is not None):
            found.append(Stretch(slices, lower, upper))
    return found


def limits_in_direction(direction: str, first: int, last: int, starts: Collection[int]) -> tuple[int, int]:
    """What of a range is computed from these slices in this direction."""
    lowest = min(starts, default=first) if direction == UP else first
    return lowest, max(starts, default=last) if direction == DOWN else last
