"""Connected pieces of masks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

Mask = npt.NDArray[np.bool_]


def pieces(mask: Mask) -> npt.NDArray[np.integer]:
    """Number of the connected piece of each voxel, 0 outside; faces connect, edges do not."""
    return sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8))))


def with_largest_on_first(masks: Mask) -> Mask:
    """Of (T, rows, columns), the piece of the stack that holds the largest piece of slice 0, which is not empty."""
    flat = pieces(masks[0])
    count = int(flat.max())
    if count == 1 and not masks[1:].any():
        return masks
    first = flat == 1 + int(np.bincount(flat.ravel())[1:].argmax())
    stack = pieces(masks)
    wanted = np.unique(stack[0][first])
    return np.asarray(np.isin(stack, wanted[wanted > 0]))
