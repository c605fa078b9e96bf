"""What a person drew, held against what the model answered to it.

A scribble speaks of one place. Models, small ones above all, answer it with a mask that differs elsewhere too, mostly
for the worse (docs/prompts.md has the figures): so of what a scribble changes, only what it touches is taken over.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from medsam2_engine.frames import Mask
from medsam2_engine.slice_prompts import Stroke


def as_drawn(before: Mask | None, after: Mask, stroke: Stroke) -> Mask:
    """The mask (rows, columns) after a scribble.

    before: the mask that it corrects, or None if it is the first that was said. after: the model's answer to it.
    """
    mask = after if before is None else _touched(before, after, stroke)
    return mask | stroke.mask if stroke.positive else mask & ~stroke.mask


def _touched(before: Mask, after: Mask, stroke: Stroke) -> Mask:
    """`before` with those pieces added (or taken away) that the scribble passes."""
    changed = after & ~before if stroke.positive else before & ~after
    pieces = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(changed.astype(np.uint8)), True))
    passed = np.isin(pieces, np.setdiff1d(pieces[stroke.mask], [0]))
    return before | passed if stroke.positive else before & ~passed
