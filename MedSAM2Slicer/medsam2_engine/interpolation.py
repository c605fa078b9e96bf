"""The outline of an object between two slices on which it is known.

Shape-based interpolation (Raya and Udupa, IEEE Transactions on Medical Imaging 9(1), 1990, 32-42; Herman, Zheng and
Bucholtz, IEEE Computer Graphics and Applications 12(3), 1992, 69-79), here with Euclidean distances: the signed
distance to the outline, positive inside, is interpolated linearly from one slice to the other, and the object is where
it is positive.

An object that is on one of the two slices only is taken to end half way: on the other one the distance is everywhere
that of the object's innermost voxel, with the opposite sign, so that it shrinks to that voxel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from medsam2_engine.frames import Mask


def interpolated(one: Mask, other: Mask, shares: Sequence[float], spacing_xy: tuple[float, float]) -> list[Mask]:
    """The masks (rows, columns) at these shares of the way from `one` (0) to `other` (1); `spacing_xy` in mm."""
    found = [np.zeros(one.shape, bool) for _ in shares]
    either = one | other
    if not either.any():
        return found
    rows, columns = (np.flatnonzero(either.any(axis=axis)) for axis in (1, 0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    distances = [_signed_distance(mask[part], spacing_xy) if mask.any() else None for mask in (one, other)]
    near, far = (_or_opposite(distances[n], distances[1 - n]) for n in (0, 1))
    for mask, share in zip(found, shares, strict=True):
        mask[part] = (1 - share) * near + share * far > 0
    return found


def _signed_distance(mask: Mask, spacing_xy: tuple[float, float]) -> npt.NDArray[np.float32]:
    """In mm to the nearest voxel of the other kind, positive inside. Beyond the array there is no object."""
    padded = np.pad(mask, 1)
    inside, outside = (_distance_to(wanted, spacing_xy) for wanted in (~padded, padded))
    return np.where(padded, inside, -outside)[1:-1, 1:-1]


def _distance_to(wanted: Mask, spacing_xy: tuple[float, float]) -> npt.NDArray[np.float32]:
    """Of every other voxel, in mm, between centres. One thread: arrays are small, and cores are wanted elsewhere."""
    image = sitk.GetImageFromArray(wanted.astype(np.uint8))
    image.SetSpacing(spacing_xy)
    maurer = sitk.SignedMaurerDistanceMapImageFilter()
    maurer.SetNumberOfThreads(1)
    maurer.SetSquaredDistance(False)
    maurer.SetUseImageSpacing(True)
    return np.asarray(sitk.GetArrayFromImage(maurer.Execute(image)), np.float32)


def _or_opposite(
    distance: npt.NDArray[np.float32] | None, other: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    if distance is not None:
        return distance
    assert other is not None, "one of the two masks holds something"
    return np.full_like(other, -float(other.max()))
