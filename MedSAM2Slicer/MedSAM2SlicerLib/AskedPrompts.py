"""What the engine is told of the prompts on each slice: the prompts, and the mask that a correction starts from.

A click or a scribble on a slice that was propagated corrects the mask that is there: the mask goes first, as a prompt,
and the click refines it. That mask is kept with the slice's state, so that the same prompts give the same answer later.
A box, a lasso or a mask says where the object is and starts anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from medsam2_protocol.masks import MaskRegion
from medsam2_protocol.prompts import MaskPrompt, PointPrompt, Prompt, ScribblePrompt, slice_of_prompt
from MedSAM2SlicerLib.SegmentSlices import SegmentSlices
from MedSAM2SlicerLib.SliceStates import SliceStates, digestOf

BySlice = dict[int, tuple[Prompt, ...]]


def bySlice(prompts: tuple[Prompt, ...], axis: str) -> BySlice:
    """Prompts along one axis, in their order."""
    found: dict[int, list[Prompt]] = {}
    for prompt in prompts:
        found.setdefault(slice_of_prompt(prompt, axis), []).append(prompt)
    return {index: tuple(found[index]) for index in sorted(found)}


def digests(prompts: BySlice) -> dict[int, int]:
    return {index: digestOf(those) for index, those in prompts.items()}


def bases(states: SliceStates, prompts: BySlice, masks: SegmentSlices) -> dict[int, MaskRegion]:
    """The masks to start from. No preview may be in the segment."""
    found = {}
    for index, those in prompts.items():
        if not all(isinstance(prompt, (PointPrompt, ScribblePrompt)) for prompt in those):
            continue
        region = states.bases.get(index)
        if region is None and index in states.propagated and index not in states.answered:
            region = masks.region(states.axis, index)
        if region is not None and not region.is_empty:
            found[index] = region
    return found


def withBases(prompts: BySlice, starts: Mapping[int, MaskRegion], axis: str) -> tuple[Prompt, ...]:
    """All prompts as they are sent, slice by slice."""
    sent: list[Prompt] = []
    for index, those in prompts.items():
        if index in starts:
            sent.append(MaskPrompt(axis, index, starts[index]))
        sent.extend(those)
    return tuple(sent)
