"""A clip: neighbouring slices of one object, the first of them prompted, the others going away from it.

A clip is raw intensities on voxels, like a volume, and not yet a model's input: that is made by the product's own
framing (`samples.py`), so that what is trained on and what is used cannot drift apart. Everything that makes data out
of data (geometry, painting, shapes) makes clips.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from medsam2_engine.frames import Image, Mask, SliceStack
from medsam2_engine.volume import Volume

SMALLEST_OBJECT = 12  # voxels on the prompted slice; fewer cannot be prompted reliably


@dataclass(frozen=True, eq=False)
class Clip:
    """`images` and `masks` are (T, rows, columns); slice 0 is prompted and holds the object.

    Attributes:
        spacing_xy: mm between columns, and between rows.
        modality: as in DICOM, "" for what is no real image.
        kind: where it came from, for the statistics.
        confidence: (T,) how much each slice's mask counts; 1 for what a person drew.
    """

    images: npt.NDArray[np.float32]
    masks: npt.NDArray[np.bool_]
    spacing_xy: tuple[float, float]
    modality: str = ""
    kind: str = ""
    confidence: npt.NDArray[np.float32] | None = None

    @property
    def length(self) -> int:
        return len(self.images)

    @property
    def weights(self) -> npt.NDArray[np.float32]:
        return np.ones(self.length, np.float32) if self.confidence is None else self.confidence

    def slices(self) -> SliceStack:
        """The clip as a volume whose slices lie along K, for the framing."""
        dx, dy = self.spacing_xy
        return SliceStack(Volume(self.images, np.diag([dx, dy, 1.0, 1.0]), self.modality), "K")

    def shortened(self, length: int) -> Clip:
        """Its first slices."""
        confidence = None if self.confidence is None else self.confidence[:length]
        return replace(self, images=self.images[:length], masks=self.masks[:length], confidence=confidence)

    def backwards(self, last: int, length: int) -> Clip:
        """`length` slices in the other order, from slice `last` on."""
        order = slice(last, last - length if last >= length else None, -1)
        images, masks = np.ascontiguousarray(self.images[order]), np.ascontiguousarray(self.masks[order])
        confidence = None if self.confidence is None else np.ascontiguousarray(self.confidence[order])
        return replace(self, images=images, masks=masks, confidence=confidence)

    def turned(self, number: int) -> Clip:
        """One of the eight symmetries of the square; 0 is none."""
        images: npt.NDArray[np.float32] = self.images
        masks: npt.NDArray[np.bool_] = self.masks
        spacing = self.spacing_xy
        if number & 1:
            images, masks = images[:, :, ::-1], masks[:, :, ::-1]
        if number & 2:
            images, masks = images[:, ::-1], masks[:, ::-1]
        if number & 4:
            images, masks = images.transpose(0, 2, 1), masks.transpose(0, 2, 1)
            spacing = spacing[::-1]
        return replace(self, images=np.ascontiguousarray(images), masks=np.ascontiguousarray(masks), spacing_xy=spacing)

    @property
    def is_usable(self) -> bool:
        return bool(self.masks[0].sum() >= SMALLEST_OBJECT)

    def part(self, index: int) -> tuple[Image, Mask]:
        return self.images[index], self.masks[index]
