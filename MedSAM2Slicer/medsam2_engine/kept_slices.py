"""The slices of a segment whose masks stand, as arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medsam2_engine.errors import BadRequest
from medsam2_engine.frames import Mask, SliceStack
from medsam2_engine.slice_prompts import prompts_by_slice
from medsam2_protocol.prompts import MaskPrompt, SegmentPrompts


def kept_by_slice(segment: SegmentPrompts, slices: SliceStack) -> dict[int, Mask]:
    """The kept masks (rows, columns) of a segment, by slice index in rising order. They may be empty.

    Raises:
        BadRequest: a mask outside the volume or on a slice of another axis.
    """
    drawn = tuple(mask for mask in segment.kept if not mask.region.is_empty)
    found: dict[int, Mask] = {_checked(mask, slices): np.zeros(slices.shape, bool) for mask in segment.kept}
    if drawn:
        for index, prompts in prompts_by_slice(replace(segment, prompts=drawn, kept=()), slices).items():
            assert prompts.mask is not None, "only masks went in"
            found[index] = prompts.mask
    return dict(sorted(found.items()))


def _checked(mask: MaskPrompt, slices: SliceStack) -> int:
    if mask.axis != slices.axis:
        raise BadRequest(
            f"Slice {mask.slice} of axis {mask.axis} is kept, but the request is along axis {slices.axis}. "
            f"Work along axis {mask.axis}."
        )
    if mask.slice >= slices.count:
        raise BadRequest(
            f"There is no slice {mask.slice} to keep on axis {slices.axis}: the volume has {slices.count} "
            f"(0 to {slices.count - 1})."
        )
    return mask.slice
