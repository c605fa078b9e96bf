"""Which slices have to be computed again after a correction, and which stand.

Prompted and kept slices cut the slice axis into stretches. A correction is a prompted slice whose prompts were not
answered yet, a kept slice that changed, or one whose prompts were deleted. It touches the stretches beside it and, if
it is not kept, the slice itself; everything else stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from medsam2_protocol.messages import BOTH, DOWN, UP
from MedSAM2SlicerLib.PropagationOptions import Reach
from MedSAM2SlicerLib.SliceStates import Slices, SliceStates

Stretch = tuple[int, int]  # the two ends; the slices are those between them


@dataclass(frozen=True)
class Correction:
    """One request. `slices` may change, nothing else may.

    Attributes:
        index: the slice that the request corrects.
        slices: from the lowest to the highest slice that may change; `index` is among them unless it is kept.
        fence: a slice that is sent as kept only to hold the request back on that side; None if there is none.
    """

    index: int
    direction: str
    slices: range
    fence: Optional[int] = None


def waiting(states: SliceStates, prompted: Mapping[int, int]) -> Slices:
    """Slices with a correction that was not propagated yet. `prompted` has the digests of the prompts there are."""
    asked = {index for index, digest in prompted.items() if states.answered.get(index) != digest}
    forgotten = set(states.answered) - set(prompted)
    return frozenset((asked | forgotten) - states.kept) | (states.pending & states.kept)


def corrections(
    states: SliceStates, prompted: Mapping[int, int], emptyKept: Slices, reach: Reach, count: int
) -> list[Correction]:
    """What to ask for, one after the other. `emptyKept` are kept slices without a voxel, `count` slices in all."""
    low, high = (0, count - 1) if reach.first is None else (reach.first, reach.last)
    fixed = {index for index in {*prompted, *states.kept} if low <= index <= high}
    ends = sorted({low - 1, *fixed, high + 1})
    stretches = list(zip(ends, ends[1:]))
    found, done = [], set()
    for index in sorted(waiting(states, prompted)):
        if index in fixed:
            beside = [one for one in stretches if index in one and one[1] - one[0] > 1]
            if index in states.kept and done.issuperset(beside):
                continue
            found.append(_correction(states, index, stretches, fixed, reach))
            done.update(beside)
    for index in sorted(set(states.answered) - fixed):
        stretch = next((one for one in stretches if one[0] < index < one[1]), None)
        if stretch is not None and stretch not in done:
            found += _afterDeletion(stretch, fixed - emptyKept, (low, high), reach)
            done.add(stretch)
    return found


def _correction(states: SliceStates, index: int, stretches: list[Stretch], fixed: set[int], reach: Reach) -> Correction:
    direction = _directionAt(index, fixed, reach)
    first = next((below + 1 for below, above in stretches if above == index), index)
    last = next((above - 1 for below, above in stretches if below == index), index)
    if direction == UP:
        first = index
    if direction == DOWN:
        last = index
    return Correction(index, direction, range(first, last + 1))


def _afterDeletion(stretch: Stretch, solid: set[int], limits: Stretch, reach: Reach) -> list[Correction]:
    """From one of the two ends, held back on its other side."""
    (below, above), (low, high) = stretch, limits
    slices = range(below + 1, above)
    if below in solid and _directionAt(below, solid, reach) != DOWN:
        return [Correction(below, BOTH, slices, below - 1 if below > low else None)]
    if above in solid and _directionAt(above, solid, reach) != UP:
        return [Correction(above, BOTH, slices, above + 1 if above < high else None)]
    return []


def _directionAt(index: int, fixed: set[int], reach: Reach) -> str:
    """One way only holds at the outermost slice; between two slices that stand both ways are wanted."""
    if reach.direction == UP and index == min(fixed):
        return UP
    if reach.direction == DOWN and index == max(fixed):
        return DOWN
    return BOTH
