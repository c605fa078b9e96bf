"""A slice between its neighbours as the three channels of a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from medsam2_engine.frames import SliceStack, WholeSliceFrames
from medsam2_engine.framing import WholeSliceFraming, shared_frames
from medsam2_engine.neighbours import NeighbourFraming
from medsam2_engine.session import Session
from medsam2_engine.slice_prompts import SlicePrompts
from medsam2_engine.whole_slice import IMAGENET, PlainSliceFraming
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import SegmentPrompts
from phantoms import Phantom
from threshold_backend import ThresholdBackend

SIZE = 32
WINDOW = Window(0.0, 100.0)
GREEN_MEAN, GREEN_DEVIATION = (statistic[1] for statistic in IMAGENET)
PADDED = PlainSliceFraming(SIZE, True, *IMAGENET)


@dataclass
class MiddleChannelBackend(ThresholdBackend):
    """What is bright in the middle channel is the object."""

    framing: Any = None

    def encode(self, pixels: Tensor) -> Tensor:
        return pixels[0, 1] * GREEN_DEVIATION + GREEN_MEAN


def frames_of(framing: Any, slices: SliceStack) -> Any:
    return framing.looks(slices, 0, SlicePrompts(), WINDOW)[0]


@pytest.mark.parametrize("axis", ["I", "J", "K"])
@pytest.mark.parametrize("inner", [WholeSliceFraming(SIZE), PADDED], ids=["stretched", "padded"])
def test_the_channels_are_the_slice_before_the_slice_and_the_slice_after(
    inner: Any, axis: str, phantom: Phantom
) -> None:
    slices = SliceStack(phantom.volume, axis)
    plain, frames = frames_of(inner, slices), frames_of(NeighbourFraming(inner), slices)
    pixels = frames.pixels(7)
    assert pixels.shape == (1, 3, SIZE, SIZE)
    for channel, index in enumerate((6, 7, 8)):
        assert torch.equal(pixels[0, channel], plain.pixels(index)[0, channel])


def test_beyond_the_ends_the_outermost_slice_is_repeated(phantom: Phantom) -> None:
    slices = SliceStack(phantom.volume, "K")
    last = slices.count - 1
    plain, frames = frames_of(PADDED, slices), frames_of(NeighbourFraming(PADDED), slices)
    assert torch.equal(frames.pixels(0)[0, 0], plain.pixels(0)[0, 0])
    assert torch.equal(frames.pixels(last)[0, 2], plain.pixels(last)[0, 2])


def test_a_volume_of_one_slice_has_three_equal_slices(phantom: Phantom) -> None:
    one = replace(phantom.volume, voxels_kji=phantom.volume.voxels_kji[9:10])
    slices = SliceStack(one, "K")
    assert torch.equal(frames_of(NeighbourFraming(PADDED), slices).pixels(0), frames_of(PADDED, slices).pixels(0))


def test_features_are_shared_among_prompts_but_not_with_equal_channels(phantom: Phantom) -> None:
    slices = SliceStack(phantom.volume, "K")
    framing = NeighbourFraming(WholeSliceFraming(SIZE))
    shared = shared_frames(framing, slices, WINDOW)
    assert shared is not None
    assert shared.key == frames_of(framing, slices).key
    assert shared.key != WholeSliceFrames(slices, WINDOW, SIZE).key


def test_masks_come_back_on_the_middle_slice(phantom: Phantom) -> None:
    segment = SegmentPrompts("s1", (phantom.box("K", 9),))
    masks = []
    for framing in (WholeSliceFraming(128), NeighbourFraming(WholeSliceFraming(128))):
        results = Session(phantom.volume, MiddleChannelBackend(128, framing=framing)).propagate([segment], "K", (7, 11))
        masks.append({result.slice: result.mask for result in results})
    assert masks[0].keys() == masks[1].keys()
    assert all(np.array_equal(masks[0][index], masks[1][index]) for index in masks[0])
