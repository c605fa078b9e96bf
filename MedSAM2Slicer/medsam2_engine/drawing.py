"""What a person drew, held against what the model answered to it.

A scribble speaks of one place. Models, small ones above all, answer it with a mask that differs elsewhere too, mostly
for the worse (docs/prompts.md has the figures): so of what a scribble changes, only what it touches is taken over. The
same holds for a click that corrects the mask of a model which never learnt to be corrected.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from medsam2_engine.frames import Mask
from medsam2_engine.slice_prompts import Click, Stroke

CLICK_RADIUS = 1.5  # voxels that a click speaks of at least
LARGEST_RADIUS = 12.0  # voxels that it speaks of at most


def as_drawn(before: Mask | None, after: Mask, stroke: Stroke) -> Mask:
    """The mask (rows, columns) after a scribble.

    before: the mask that it corrects, or None if it is the first that was said. after: the model's answer to it.
    """
    mask = after if before is None else _touched(before, after, stroke)
    return mask | stroke.mask if stroke.positive else mask & ~stroke.mask


def touch_of(click: Click, before: Mask, after: Mask) -> Stroke:
    """The voxels that a correcting click speaks of.

    Where the model's answer `after` changes the mask `before` under the click, they only say which change is meant.
    Where it does not, the click stands for a disc that reaches to the border of the mask: what is wrong at a place is
    wrong from there on, and people click into the middle of it.
    """
    near = _disc(click, CLICK_RADIUS, before.shape)
    if not (near & (before != after) & (after == click.positive)).any():
        near = _disc(click, float(np.clip(_to_border(click, before), CLICK_RADIUS, LARGEST_RADIUS)), before.shape)
    return Stroke(near, click.positive, range(0), (click.x, click.y))


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


def _touched(before: Mask, after: Mask, stroke: Stroke) -> Mask:
    """`before` with those pieces added (or taken away) that the scribble passes."""
    changed = after & ~before if stroke.positive else before & ~after
    pieces = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(changed.astype(np.uint8)), True))
    passed = np.isin(pieces, np.setdiff1d(pieces[stroke.mask], [0]))
    return before | passed if stroke.positive else before & ~passed
