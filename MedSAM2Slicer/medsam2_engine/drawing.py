"""What a person drew, held against what the model answered to it.

A scribble speaks of one place. Models, small ones above all, answer it with a mask that differs elsewhere too, mostly
for the worse (docs/prompts.md has the figures): so of what a scribble changes, only what it touches is taken over. The
same holds for a click that corrects the mask of a small model.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from medsam2_engine.frames import Mask
from medsam2_engine.slice_prompts import Click, Stroke

NEAR = 1.5  # voxels from a click to a change that is meant by it
LARGEST_RADIUS = 12.0  # voxels that a click speaks of at most, where the model does not follow it
FARTHEST = 6.0  # that a change reaches from the click, in units of the click's way to the mask's border


def as_drawn(before: Mask | None, after: Mask, stroke: Stroke) -> Mask:
    """The mask (rows, columns) after a scribble.

    before: the mask that it corrects, or None if it is the first that was said. after: the model's answer to it.
    """
    mask = after if before is None else _touched(before, after, stroke.mask, stroke.positive)
    return mask | stroke.mask if stroke.positive else mask & ~stroke.mask


def as_clicked(before: Mask, after: Mask, click: Click) -> Mask:
    """The mask (rows, columns) after a click that corrects `before`; `after` is the model's answer to it.

    Where the model changes something under the click, that piece of the change is taken over, as far as it lies around
    the click: people click into the middle of what is wrong, so a piece that reaches many times farther than to the
    mask's border is more than they meant. Where it changes nothing, the click stands for a disc up to the border.
    """
    way = _to_border(click, before)
    if way > 0:
        after = np.where(_disc(click, FARTHEST * way, before.shape), after, before)
    near = _disc(click, NEAR, before.shape)
    is_followed = (near & (before != after) & (after == click.positive)).any()
    mask = _touched(before, after, near, click.positive) if is_followed else before
    meant = _disc(click, 0.0 if is_followed else min(way, LARGEST_RADIUS), before.shape)
    return mask | meant if click.positive else mask & ~meant


def _disc(click: Click, radius: float, shape: tuple[int, ...]) -> Mask:
    """The voxels within `radius` of the one that was clicked."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    row, column = _voxel_of(click, shape)
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


def _to_border(click: Click, mask: Mask) -> float:
    """Voxels from a click to the nearest one on the other side of the mask's border; infinite if there is none."""
    other = np.argwhere(mask == click.positive)
    return float(np.hypot(*(other - _voxel_of(click, mask.shape)).T).min(initial=np.inf))


def _voxel_of(click: Click, shape: tuple[int, ...]) -> tuple[int, int]:
    row, column = np.clip(np.floor([click.y + 0.5, click.x + 0.5]), 0, np.array(shape) - 1).astype(int)
    return int(row), int(column)


def _touched(before: Mask, after: Mask, place: Mask, positive: bool) -> Mask:
    """`before` with those pieces added (or taken away) that lie at a place."""
    changed = after & ~before if positive else before & ~after
    pieces = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(changed.astype(np.uint8)), True))
    passed = np.isin(pieces, np.setdiff1d(pieces[place], [0]))
    return before | passed if positive else before & ~passed
