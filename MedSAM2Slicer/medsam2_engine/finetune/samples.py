"""From a clip to what the network is given, by the product's own framing and prompts.

The prompt is simulated as a person gives it: a box whose sides are off by some per cent, a click somewhere inside, or
the mask itself. The framing then cuts and normalises exactly as it does for a user.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch
from torch import Tensor

from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.network import Points
from medsam2_engine.frames import FrameStack, Mask, SliceStack
from medsam2_engine.framing import Framing
from medsam2_engine.slice_prompts import Box, Click, SlicePrompts, box_of_mask

BOX, POINT, MASK = "box", "point", "mask"
KINDS = (BOX, POINT, MASK)
HAND_SHARE = 0.5
LOOSEST, JITTER = 0.12, 0.03  # of the object's size: the margin a careful hand leaves, and how unevenly
OFF = 0.1  # of the object's size: how far any side of another box is off
TIGHTEST_SIDE, LOOSEST_SIDE = -0.1, 0.2
OBJECT_IN_LOOK = (0.15, 0.75)  # of the frame's side; other looks at a clicked object are hopeless


@dataclass(frozen=True)
class Sample:
    """A clip as the network sees it. S is the side of the frame."""

    pixels: Tensor  # (T, 3, S, S) float32
    truth: Tensor  # (T, S, S) bool
    points: Tensor  # (P, 2) float32 frame pixels; empty for a mask
    labels: Tensor  # (P,) int
    weights: Tensor  # (T,) float32


@dataclass(frozen=True)
class Batch:
    """Samples of one kind and length."""

    kind: str
    pixels: Tensor  # (B, T, 3, S, S)
    truth: Tensor  # (B, T, S, S) float32 0 or 1
    points: Points | None
    weights: Tensor  # (B, T)

    def to(self, device: str) -> Batch:
        points = None if self.points is None else Points(self.points.xy.to(device), self.points.labels.to(device))
        return Batch(self.kind, self.pixels.to(device), self.truth.to(device), points, self.weights.to(device))


def sample_of(rng: np.random.Generator, clip: Clip, framing: Framing, kind: str) -> Sample | None:
    """None if the object cannot be seen in the frame."""
    slices = clip.slices()
    mask = clip.masks[0]
    prompts = _prompts(rng, mask, kind)
    frames = _frames(rng, framing, slices, prompts, mask)
    if frames is None:
        return None
    truth = torch.stack([frames.grid.mask_in_frame(m) for m in clip.masks])
    if not truth[0].any():
        return None
    if prompts.mask is not None:
        points, labels = torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)
    else:
        found = framing.points(frames.grid, prompts.box, prompts.clicks)
        points, labels = found.points_xy, found.labels
    pixels = torch.cat([frames.pixels(index) for index in range(clip.length)])
    return Sample(pixels, truth, points, labels, torch.from_numpy(clip.weights))


def collated(samples: Sequence[Sample], kind: str) -> Batch:
    points = None
    if kind != MASK:
        points = Points(torch.stack([s.points for s in samples]), torch.stack([s.labels for s in samples]))
    return Batch(
        kind,
        torch.stack([s.pixels for s in samples]),
        torch.stack([s.truth for s in samples]).float(),
        points,
        torch.stack([s.weights for s in samples]),
    )


def jittered(rng: np.random.Generator, box: Box, shape: tuple[int, int]) -> Box:
    """The box as a person draws it: around the object with a margin, tight or loose, or with sides off either way.

    Boxes that are never loose teach that objects fill their boxes, and boxes that are never too tight that none leaves
    its box; what is to be learnt is that a box says roughly where the object is.
    """
    x0, y0, x1, y1 = box
    width, height = x1 - x0 + 1, y1 - y0 + 1
    is_careful = rng.random() < HAND_SHARE
    out = rng.normal(rng.uniform(0, LOOSEST), JITTER, 4) if is_careful else rng.uniform(-OFF, OFF, 4)
    out = np.clip(out, TIGHTEST_SIDE, LOOSEST_SIDE)
    moved = np.array([x0 - out[0] * width, y0 - out[1] * height, x1 + out[2] * width, y1 + out[3] * height])
    moved = np.clip(moved, 0, np.array([shape[1], shape[0], shape[1], shape[0]]) - 1)
    return float(moved[0]), float(moved[1]), float(max(moved[2], moved[0])), float(max(moved[3], moved[1]))


def click_inside(rng: np.random.Generator, mask: Mask) -> Click:
    """A voxel inside, at any depth from a fifth of the deepest on."""
    depth = sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(
            sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8)), insideIsPositive=True, squaredDistance=False
        )
    )[1:-1, 1:-1]
    deep: npt.NDArray[np.int64] = np.argwhere(mask & (depth >= rng.uniform(0.2, 1) * depth.max()))
    y, x = deep[rng.integers(len(deep))]
    return Click(float(x), float(y), True)


def _prompts(rng: np.random.Generator, mask: Mask, kind: str) -> SlicePrompts:
    if kind == MASK:
        return SlicePrompts(mask=mask)
    if kind == POINT:
        return SlicePrompts(clicks=(click_inside(rng, mask),))
    return SlicePrompts(box=jittered(rng, box_of_mask(mask), (mask.shape[0], mask.shape[1])))


def _frames(
    rng: np.random.Generator, framing: Framing, slices: SliceStack, prompts: SlicePrompts, mask: Mask
) -> FrameStack | None:
    """One of the product's looks at the object, among those in which it is neither a speck nor everything."""
    looks = framing.looks(slices, 0, prompts, None)
    if len(looks) == 1:
        return looks[0]
    x0, y0, x1, y1 = box_of_mask(mask)
    low, high = OBJECT_IN_LOOK
    sizes = [max((x1 - x0 + 1) / look.grid.extent_xy[0], (y1 - y0 + 1) / look.grid.extent_xy[1]) for look in looks]
    usable = [look for look, size in zip(looks, sizes, strict=True) if low <= size <= high]
    return usable[rng.integers(len(usable))] if usable else None
