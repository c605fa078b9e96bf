"""A volume as MedSAM2's own driver segments it (`medsam2_infer_3D_CT.py` of bowang-lab/MedSAM2), for comparisons.

What differs from a `Session`, and is done here as there:

* the windowed volume is stretched from its own least to its own greatest value and rounded down to 8 bits;
* slices are resized with 8-bit bicubic filtering, antialiased when they shrink, before mean and deviation;
* one box on one slice; forward to the last slice, then everything is forgotten, then backward to the first;
* nothing stops early: where the model does not see the object the slice is empty, and following goes on;
* of the result only the largest component stays, connected over corners too.

Not done: autocast to bfloat16, and the filling of holes of up to 8 pixels, which the driver has on CUDA only.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch
import torch.nn.functional as F
from torch import Tensor

from medsam2_engine.backends.base import Backend
from medsam2_engine.errors import BadRequest
from medsam2_engine.frames import FrameGrid, Mask, SliceStack, whole_slice_grid
from medsam2_engine.framing import WholeSliceFraming
from medsam2_engine.intensity import default_window
from medsam2_engine.model.frame import FrameMask
from medsam2_engine.propagation import SliceMask
from medsam2_engine.slice_prompts import Box, prompts_by_slice
from medsam2_engine.volume import Volume
from medsam2_engine.whole_slice import IMAGENET
from medsam2_protocol.messages import ZOOM_OFF, Window
from medsam2_protocol.prompts import SegmentPrompts, axis_kji

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class EightBitFrames:
    """Slices as three equal channels of 8 bits; `slices_u8` is (slices, rows, columns)."""

    slices_u8: Grey
    size: int

    @cached_property
    def grid(self) -> FrameGrid:
        return whole_slice_grid((self.slices_u8.shape[1], self.slices_u8.shape[2]), self.size)

    @property
    def key(self) -> Hashable:
        return ("like medsam2", id(self.slices_u8), self.size)

    def pixels(self, index: int) -> Tensor:
        """(1, 3, S, S) float32. torch filters 8-bit images as Pillow does, to within two grey levels."""
        grey = torch.from_numpy(self.slices_u8[index])[None, None]
        resized = F.interpolate(grey, (self.size, self.size), mode="bicubic", antialias=True, align_corners=False)
        mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in IMAGENET)
        return (resized.float() / 255 - mean) / deviation


class MedSam2Driver:
    """Does what the driver does, with the calls of a `Session`."""

    def __init__(self, volume: Volume, backend: Backend) -> None:
        if not isinstance(backend.framing, WholeSliceFraming):
            raise BadRequest(f"MedSAM2's driver shows whole slices, and {backend.model_id} sees something else.")
        self.encoded = 0
        self._volume = volume
        self._backend = backend
        self._size = backend.framing.size

    def propagate(
        self,
        segments: Sequence[SegmentPrompts],
        axis: str,
        slice_range: tuple[int, int] | None = None,
        window: Window | None = None,
        is_cancelled: Callable[[], bool] = lambda: False,
        *,
        zoom: str = ZOOM_OFF,
        progressive: bool = False,
    ) -> Iterator[SliceMask]:
        """Every slice as it is found, then once more those that the largest component changes.

        slice_range: the first and last slice of the file that the driver would have been given.

        Raises:
            BadRequest: anything but one box for each segment, or an option that the driver does not have.
        """
        if zoom != ZOOM_OFF or progressive:
            raise BadRequest("MedSAM2's driver goes through whole slices, one after the other.")
        slices = SliceStack(self._volume, axis)
        first, last = slice_range or (0, slices.count - 1)
        prompted = [(segment.segment_id, *_only_box(segment, slices)) for segment in segments]
        grey = eight_bit(self._volume, axis, window or default_window(self._volume))[first : last + 1]
        frames = EightBitFrames(np.ascontiguousarray(grey), self._size)
        for segment_id, index, box in prompted:
            found: dict[int, SliceMask] = {}
            for number, answer in self._both_ways(frames, index - first, box, is_cancelled):
                mask = _on_slice(frames, answer)
                found[number] = SliceMask(
                    segment_id, axis, number + first, mask, answer.object_score, answer.predicted_iou
                )
                yield found[number]
            if not is_cancelled():
                yield from _largest_component(found)

    @torch.inference_mode()
    def _both_ways(
        self, frames: EightBitFrames, start: int, box: Box, is_cancelled: Callable[[], bool]
    ) -> Iterator[tuple[int, FrameMask]]:
        count = len(frames.slices_u8)
        for reverse, path in ((False, range(start + 1, count)), (True, range(start - 1, -1, -1))):
            features = self._encode(frames, start)
            answer = self._backend.prompt(features, self._backend.framing.points(frames.grid, box, ()))
            yield start, answer
            tracker = self._backend.tracker(count, reverse)
            tracker.condition(start, features, answer)
            for index in path:
                if is_cancelled():
                    return
                yield index, tracker.track(index, self._encode(frames, index))

    def _encode(self, frames: EightBitFrames, index: int) -> object:
        self.encoded += 1
        return self._backend.encode(frames.pixels(index))


def eight_bit(volume: Volume, axis: str, window: Window) -> Grey:
    """The windowed volume as 0 to 255, slices along the first axis. Constant volumes are black."""
    values = np.moveaxis(volume.voxels_kji, axis_kji(axis), 0).astype(np.float64)
    clipped = np.clip(np.nan_to_num(values), window.lower, window.upper)
    lowest, highest = clipped.min(), clipped.max()
    return np.asarray((clipped - lowest) / max(highest - lowest, 1e-12) * 255.0, dtype=np.uint8)


def _only_box(segment: SegmentPrompts, slices: SliceStack) -> tuple[int, Box]:
    found = prompts_by_slice(segment, slices)
    index, prompts = next(iter(found.items()))
    if len(found) != 1 or prompts.box is None or prompts.clicks or prompts.mask is not None:
        raise BadRequest(f"MedSAM2's driver takes one box a segment; {segment.segment_id} has other prompts.")
    return index, prompts.box


def _on_slice(frames: EightBitFrames, answer: FrameMask) -> Mask:
    shape = (frames.slices_u8.shape[1], frames.slices_u8.shape[2])
    logits = F.interpolate(answer.gated_logits[None, None].cpu(), shape, mode="bilinear", align_corners=False)
    return np.asarray((logits[0, 0] > 0).numpy())


def _largest_component(found: dict[int, SliceMask]) -> Iterator[SliceMask]:
    """The slices that lose something, without it."""
    order = sorted(found)
    labels = sitk.ConnectedComponent(
        sitk.GetImageFromArray(np.stack([found[number].mask for number in order]).astype(np.uint8)), True
    )
    voxels = np.asarray(sitk.GetArrayViewFromImage(labels))
    if not voxels.any():
        return
    largest = voxels == np.bincount(voxels[voxels > 0]).argmax()
    for number, mask in zip(order, largest, strict=True):
        if not np.array_equal(mask, found[number].mask):
            yield SliceMask(**{**vars(found[number]), "mask": mask})
