"""A mask as it travels: the bounding box of its voxels and one bit per voxel inside that box.

A slice of a lesion costs some 300 bytes. The box is in voxels of the volume, in KJI order like the array it comes from.
"""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass
from typing import Optional

import numpy as np

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class MaskRegion:
    """The voxels of a mask inside a box of a volume.

    Attributes:
        start_kji: first voxel of the box.
        shape_kji: voxels of the box along K, J, I; (0, 0, 0) for an empty mask.
        bits: base64 of the box's voxels in C order, eight to a byte, most significant bit first.
    """

    start_kji: Triple
    shape_kji: Triple
    bits: str

    def __post_init__(self) -> None:
        if min(self.start_kji) < 0 or min(self.shape_kji) < 0:
            raise ValueError("a mask region cannot start or extend below zero")
        if len(self._packed()) != (self.voxel_count + 7) // 8:
            raise ValueError(f"a mask of {self.voxel_count} voxels needs another number of bytes")

    @property
    def voxel_count(self) -> int:
        """Voxels of the box, not of the mask."""
        return math.prod(self.shape_kji)

    @property
    def is_empty(self) -> bool:
        return self.voxel_count == 0

    @property
    def stop_kji(self) -> Triple:
        """One past the last voxel of the box."""
        k, j, i = (start + size for start, size in zip(self.start_kji, self.shape_kji))
        return k, j, i

    def voxels(self) -> np.ndarray:
        """The box as a new bool array of shape `shape_kji`."""
        bits = np.unpackbits(np.frombuffer(self._packed(), np.uint8), count=self.voxel_count)
        return bits.reshape(self.shape_kji).astype(bool)

    def paste_into(self, mask_kji: np.ndarray) -> None:
        """Set (never clear) the region's voxels in a bool or integer array of the whole volume.

        Raises:
            ValueError: the region does not fit into the array.
        """
        if any(stop > size for stop, size in zip(self.stop_kji, mask_kji.shape)):
            raise ValueError(f"the mask region ends at {self.stop_kji}, outside {mask_kji.shape}")
        box = tuple(slice(start, stop) for start, stop in zip(self.start_kji, self.stop_kji))
        mask_kji[box][self.voxels()] = 1

    def _packed(self) -> bytes:
        try:
            return base64.b64decode(self.bits.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise ValueError("the bits of a mask region are not base64") from error


EMPTY_REGION = MaskRegion((0, 0, 0), (0, 0, 0), "")


def region_of_mask(mask_kji: np.ndarray, offset_kji: Triple = (0, 0, 0)) -> MaskRegion:
    """The region of a 3D bool array, whose own first voxel lies at `offset_kji` of the volume."""
    box = tight_box(mask_kji)
    if box is None:
        return EMPTY_REGION
    start = tuple(part.start + offset for part, offset in zip(box, offset_kji))
    voxels = mask_kji[box]
    return MaskRegion(start, voxels.shape, packed_bits(voxels))


def tight_box(mask_kji: np.ndarray) -> Optional[tuple[slice, slice, slice]]:
    """The box around what is set; None where nothing is."""
    plane = np.asarray(mask_kji.any(axis=0))  # whole rows first: that is fast
    if not plane.any():
        return None
    k, j, i = (np.flatnonzero(line) for line in (mask_kji.any(axis=(1, 2)), plane.any(axis=1), plane.any(axis=0)))
    return slice(int(k[0]), int(k[-1]) + 1), slice(int(j[0]), int(j[-1]) + 1), slice(int(i[0]), int(i[-1]) + 1)


def packed_bits(voxels: np.ndarray) -> str:
    """As `MaskRegion.bits`."""
    return base64.b64encode(np.packbits(voxels.astype(bool, copy=False)).tobytes()).decode("ascii")


def region_of_slice(mask: np.ndarray, axis_kji: int, index: int) -> MaskRegion:
    """The region of a 2D bool mask that is slice `index` of a volume along array axis `axis_kji` (0 is K, 2 is I)."""
    offset = [0, 0, 0]
    offset[axis_kji] = index
    return region_of_mask(np.expand_dims(mask, axis_kji), (offset[0], offset[1], offset[2]))
