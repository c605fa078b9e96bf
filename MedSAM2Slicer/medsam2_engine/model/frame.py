"""What is known about one frame: its features, what the user asked for there, and the mask that was found.

`n` is the side of the stride-16 map, image_size / 16; mask logits have stride 4 and side 4n. Nothing here is changed
after it was made, so features may be cached and shared by all objects and prompts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ABSENT_LOGIT = -1024.0  # what SAM 2 writes into the mask of a frame without the object


@dataclass(frozen=True)
class ImageFeatures:
    """One encoded frame (or a batch of them): all that later steps need of it, and no prompt in it.

    Steps compute with float32; a cache may keep bfloat16 (`to`), half the size.
    """

    fine: Tensor  # (B, hidden/8, 4n, 4n) float32, already projected for the mask decoder
    middle: Tensor  # (B, hidden/4, 2n, 2n) float32, already projected for the mask decoder
    coarse: Tensor  # (B, hidden, n, n) float32
    begun: Tensor | None = None  # (B, n * n, hidden) float32, what memory attention does before it asks for a memory

    def at(self, index: int) -> "ImageFeatures":
        """One frame of a batch, as a batch of one that shares its storage."""
        return self._each(lambda one: one[index : index + 1])

    def to(self, dtype: torch.dtype) -> "ImageFeatures":
        """Rounded for keeping, or brought back to be computed with; itself where nothing changes."""
        if self.coarse.dtype == dtype:
            return self
        return self._each(lambda one: one.to(dtype))

    @classmethod
    def together(cls, frames: Sequence["ImageFeatures"]) -> "ImageFeatures":
        """Frames of one each as a batch."""
        begun = [one.begun for one in frames if one.begun is not None]
        return cls(
            torch.cat([one.fine for one in frames]),
            torch.cat([one.middle for one in frames]),
            torch.cat([one.coarse for one in frames]),
            torch.cat(begun) if len(begun) == len(frames) else None,
        )

    def copied(self) -> "ImageFeatures":
        """The same with storage of its own."""
        return self._each(torch.clone)

    @property
    def nbytes(self) -> int:
        """Memory held, for caches with a byte budget."""
        return sum(map_.nbytes for map_ in (self.fine, self.middle, self.coarse, self.begun) if map_ is not None)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "ImageFeatures":
        begun = None if self.begun is None else change(self.begun)
        return ImageFeatures(change(self.fine), change(self.middle), change(self.coarse), begun)


@dataclass(frozen=True)
class FramePrompt:
    """Points and box corners on one frame. A box is two points with labels 2 and 3."""

    points_xy: Tensor  # (P, 2) float, pixels of the model frame; the centre of the first pixel is (0, 0)
    labels: Tensor  # (P,) int: 1 positive, 0 negative, 2 top left corner, 3 bottom right corner


@dataclass(frozen=True)
class FrameMask:
    """One object on one frame."""

    logits: Tensor  # (4n, 4n) float32, > 0 inside; the decoder's opinion even where the object is absent
    object_score: float  # logit, > 0: the object is on this frame
    predicted_iou: float  # the decoder's guess of its own overlap with the truth, 0 to 1
    pointer: Tensor  # (hidden,) float32, the object in one vector; `no_obj_ptr` where it is absent
    drawn: Tensor | None = None  # (S, S) bool, the mask as the user drew it, when that is where this came from

    @property
    def is_present(self) -> bool:
        return self.object_score > 0

    @property
    def gated_logits(self) -> Tensor:
        """The logits SAM 2 reports and remembers: -1024 everywhere where the object is absent. (4n, 4n) float32."""
        return self.logits if self.is_present else torch.full_like(self.logits, ABSENT_LOGIT)
