"""What a propagation has to do for one segment, known before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from medsam2_engine.errors import BadRequest
from medsam2_engine.frames import Mask, SliceStack
from medsam2_engine.kept_slices import kept_by_slice
from medsam2_engine.slice_prompts import SlicePrompts, prompts_by_slice
from medsam2_engine.territories import Stretch, limits_in_direction, stretches
from medsam2_protocol.messages import BOTH
from medsam2_protocol.prompts import SegmentPrompts, slice_of_prompt


@dataclass(frozen=True)
class Work:
    """One segment's part of a propagation.

    Attributes:
        prompts: of the slices that are answered, in rising order.
        kept: masks that stand; empty ones too.
        sent: of the answered slices those whose masks are news.
    """

    segment_id: str
    prompts: dict[int, SlicePrompts]
    kept: dict[int, Mask]
    sent: frozenset[int]
    stretches: tuple[Stretch, ...]

    @property
    def most_masks(self) -> int:
        """Masks that come of it if the object does not end."""
        return len(self.sent) + sum(len(path) for stretch in self.stretches for _, path in stretch.walks)

    @property
    def kept_starts(self) -> list[int]:
        """Kept slices that are walked from."""
        return [index for index in self.kept if any(index in (one.lower, one.upper) for one in self.stretches)]


def work_of(
    segment: SegmentPrompts,
    slices: SliceStack,
    slice_range: tuple[int, int] | None = None,
    direction: str = BOTH,
    corrected: int | None = None,
) -> Work:
    """The work that a propagation has with a segment; the arguments are those of `Session.propagate`.

    Raises:
        BadRequest: prompts that make no sense, a prompted slice outside the range, a range outside the volume, a
            corrected slice without a prompt.
    """
    kept = kept_by_slice(segment, slices)
    open_prompts = tuple(one for one in segment.prompts if slice_of_prompt(one, slices.axis) not in kept)
    prompts = {}
    if open_prompts or not kept:
        prompts = prompts_by_slice(replace(segment, prompts=open_prompts), slices)
    first, last = _checked_range(slice_range, slices, list(prompts))
    kept = {index: mask for index, mask in kept.items() if first <= index <= last}
    _check_corrected(corrected, segment.segment_id, (*prompts, *kept))
    starts = [*prompts, *kept] if corrected is None else [corrected]
    limits = limits_in_direction(direction, first, last, starts)
    solid = sorted([*prompts, *(index for index, mask in kept.items() if mask.any())])
    barriers = [index for index, mask in kept.items() if not mask.any()]
    ways = stretches(solid, barriers, limits, corrected)
    sent = frozenset(prompts) if corrected is None else frozenset(prompts) & {corrected}
    return Work(segment.segment_id, prompts, kept, sent, tuple(ways))


def _check_corrected(corrected: int | None, segment_id: str, given: Sequence[int]) -> None:
    if corrected is not None and corrected not in given:
        raise BadRequest(
            f"Slice {corrected} has no prompt of segment {segment_id}, so there is nothing to correct it by. "
            "Click a point on it, or propagate anew."
        )


def _checked_range(slice_range: tuple[int, int] | None, slices: SliceStack, prompted: Sequence[int]) -> tuple[int, int]:
    if slice_range is None:
        return 0, slices.count - 1
    first, last = slice_range
    if not 0 <= first <= last < slices.count:
        raise BadRequest(
            f"The range {first} to {last} does not lie in the volume, which has slices 0 to {slices.count - 1} on axis "
            f"{slices.axis}."
        )
    outside = [index for index in prompted if not first <= index <= last]
    if outside:
        raise BadRequest(f"The prompt on slice {outside[0]} lies outside the range {first} to {last}. Widen the range.")
    return first, last
