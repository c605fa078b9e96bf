"""Regions of slices: what a model is shown of them, and where prompts and masks lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from medsam2_engine.frames import SliceStack, WholeSliceFrames
from medsam2_engine.framing import Framing, ObjectFraming, WholeSliceFraming
from medsam2_engine.model.frame import FrameMask, FramePrompt
from medsam2_engine.neighbours import NeighbourFraming
from medsam2_engine.session import Session
from medsam2_engine.slice_prompts import SlicePrompts
from medsam2_engine.volume import Volume
from medsam2_engine.whole_slice import IMAGENET, PaddedSliceFrames, PlainSliceFraming
from medsam2_engine.zoom import LARGEST_VOXEL_PX, ZOOM_OVER_BOX, region_around, zoomed
from medsam2_engine.zoomed_frames import Region, ZoomedFrames
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import BoxPrompt, SegmentPrompts, axis_kji

WINDOW = Window(0.0, 200.0)
SIZE = 128
FRAMINGS: dict[str, Framing] = {
    "stretched": WholeSliceFraming(SIZE),
    "padded": PlainSliceFraming(SIZE, True, *IMAGENET),
    "neighbours": NeighbourFraming(WholeSliceFraming(SIZE)),
}


@dataclass
class ObedientBackend:
    """Its mask is every pixel between the corners it was given, and nothing else."""

    framing: Framing
    model_id: str = "obedient"
    device_name: str = "no device"
    device_type: str = "cpu"

    def encode(self, pixels: Tensor) -> Tensor:
        return pixels[0, 0]

    def prompt(self, features: Tensor, prompt: FramePrompt, previous_logits: Tensor | None = None) -> FrameMask:
        (x0, y0), (x1, y1) = prompt.points_xy[:2].tolist()
        x, y = torch.arange(SIZE)[None, :], torch.arange(SIZE)[:, None]
        inside = (x >= x0 - 0.5) & (x <= x1 + 0.5) & (y >= y0 - 0.5) & (y <= y1 + 0.5)
        return FrameMask(torch.where(inside, 10.0, -10.0), 5.0, 0.9, torch.zeros(1))

    def from_mask(self, features: Tensor, mask: Tensor) -> FrameMask:
        return FrameMask(torch.where(mask, 10.0, -10.0), 10.0, 1.0, torch.zeros(1), mask)

    def tracker(self, *_arguments: Any) -> Any:
        raise AssertionError("nothing is followed here")


@st.composite
def boxed_volumes(draw: st.DrawFn) -> tuple[Volume, str, BoxPrompt]:
    """Anisotropic, turned or flipped volumes of 3 slices, and a box anywhere on the middle one."""
    axis = draw(st.sampled_from("IJK"))
    rows, columns = draw(st.integers(20, 260)), draw(st.integers(20, 260))
    shape = np.insert([rows, columns], axis_kji(axis), 3)
    spacing = draw(st.tuples(*[st.sampled_from([0.5, 0.8, 1.0, 1.7])] * 3))
    turn = np.linalg.qr(np.random.default_rng(draw(st.integers(0, 99))).normal(size=(3, 3)))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag(spacing)
    x0, y0 = draw(st.integers(0, columns - 1)), draw(st.integers(0, rows - 1))
    x1, y1 = draw(st.integers(x0, min(columns - 1, x0 + 12))), draw(st.integers(y0, min(rows - 1, y0 + 12)))
    volume = Volume(np.zeros(tuple(int(n) for n in shape), np.float32), matrix)
    return volume, axis, BoxPrompt(axis, 1, (x0, y0), (x1, y1))


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=list(FRAMINGS))
def test_a_mask_in_a_region_comes_back_on_the_voxels_that_were_boxed(framing: Framing) -> None:
    @settings(max_examples=60, deadline=None)
    @given(boxed_volumes())
    def comes_back(asked: tuple[Volume, str, BoxPrompt]) -> None:
        volume, axis, box = asked
        slices, (x0, y0), (x1, y1) = SliceStack(volume, axis), box.min, box.max
        region = region_around(slices, (x0, y0, x1, y1), SIZE)
        assume(region.shape != slices.shape)  # that is a whole slice, with SAM 2's own rule for boxes
        session = Session(volume, ObedientBackend(framing))
        found = session.predict(SegmentPrompts("s", (box,)), axis, 1, WINDOW, zoom="on").mask
        truth = np.zeros(found.shape, bool)
        truth[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1] = True
        if 2 * max(region.shape) <= SIZE:
            assert np.array_equal(found, truth)
        else:
            # One pixel may be more than one voxel here, and what is one voxel thin may lie between two pixels.
            assume(min(x1 - x0, y1 - y0) >= 2)
            assert np.abs(np.argwhere(found).mean(0) - np.argwhere(truth).mean(0)).max() <= 1.0

    comes_back()


@settings(max_examples=60, deadline=None)
@given(boxed_volumes())
def test_a_region_lies_in_the_slice_and_holds_the_box(asked: tuple[Volume, str, BoxPrompt]) -> None:
    volume, axis, box = asked
    slices, ((x0, y0), (x1, y1)) = SliceStack(volume, axis), (box.min, box.max)
    region, (rows, columns) = region_around(slices, (x0, y0, x1, y1), SIZE), slices.shape
    assert 0 <= region.x <= x0 <= x1 < region.x + region.columns <= columns
    assert 0 <= region.y <= y0 <= y1 < region.y + region.rows <= rows


def test_a_region_is_a_square_of_millimetres() -> None:
    matrix = np.diag([0.5, 2.0, 1.0, 1.0])
    slices = SliceStack(Volume(np.zeros((3, 300, 1000), np.float32), matrix), "K")
    region = region_around(slices, (500, 150, 559, 155), SIZE)
    assert (region.columns * 0.5, region.rows * 2.0) == (ZOOM_OVER_BOX * 60 * 0.5, ZOOM_OVER_BOX * 60 * 0.5)


def test_a_small_object_is_not_shown_larger_than_the_models_masks_can_tell() -> None:
    slices = SliceStack(Volume(np.zeros((3, 300, 300), np.float32), np.eye(4)), "K")
    assert region_around(slices, (150, 150, 151, 151), SIZE).shape == (SIZE / LARGEST_VOXEL_PX,) * 2


# ---- frames of a region


@pytest.fixture
def noise() -> Volume:
    return Volume(np.random.default_rng(5).uniform(0, 200, (4, 60, 90)).astype(np.float32), np.eye(4))


REGION = Region(31, 22, 24, 16)


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=list(FRAMINGS))
def test_a_region_is_shown_as_the_volume_cropped_to_it_would_be(noise: Volume, framing: Framing) -> None:
    cropped = Volume(np.ascontiguousarray(noise.voxels_kji[:, 22:38, 31:55]), np.eye(4))
    (alone,) = framing.looks(SliceStack(cropped, "K"), 1, SlicePrompts(), WINDOW)
    zooming = zoomed(framing, "on")
    frames = zooming._frames_of(SliceStack(noise, "K"), 1, REGION, WINDOW)  # type: ignore[attr-defined]
    assert torch.equal(frames.pixels(1), alone.pixels(1))


def test_regions_windows_and_whole_slices_do_not_share_features(noise: Volume) -> None:
    slices = SliceStack(noise, "K")

    def key(region: Region, window: Window = WINDOW) -> Any:
        return ZoomedFrames(WholeSliceFrames(slices, window, SIZE), slices, region).key

    keys = [key(REGION), key(Region(31, 22, 24, 17)), key(REGION, Window(0, 100))]
    assert len({*keys, WholeSliceFrames(slices, WINDOW, SIZE).key}) == 4
    assert key(REGION) == key(Region(31, 22, 24, 16))


def test_what_a_padded_frame_says_beyond_its_region_is_not_believed(noise: Volume) -> None:
    """The region is wider than high, so the lower part of the frame is padding, over voxels that exist."""
    zooming = zoomed(FRAMINGS["padded"], "on")
    frames = zooming._frames_of(SliceStack(noise, "K"), 1, REGION, WINDOW)  # type: ignore[attr-defined]
    assert isinstance(frames.inner, PaddedSliceFrames)
    found = frames.grid.logits_on_slice(torch.ones(32, 32), (60, 90)) > 0
    assert np.argwhere(found.numpy()).min(0).tolist() == [22, 31]
    assert np.argwhere(found.numpy()).max(0).tolist() == [37, 54]
    everything = frames.grid.mask_in_frame(np.ones((60, 90), bool))
    assert everything[: SIZE * 16 // 24].all()
    assert not everything[-SIZE // 3 + 1 :].any()


@pytest.mark.parametrize(
    ("place", "is_cut"), [((30, 31), True), ((30, 54), True), ((22, 40), True), ((37, 40), True), ((30, 40), False)]
)
def test_a_mask_on_the_border_of_a_region_is_cut_off(noise: Volume, place: tuple[int, int], is_cut: bool) -> None:
    slices = SliceStack(noise, "K")
    mask = np.zeros(slices.shape, bool)
    mask[place] = True
    assert ZoomedFrames(WholeSliceFrames(slices, WINDOW, SIZE), slices, REGION).cuts(mask) == is_cut


def test_the_border_of_the_slice_cuts_nothing_off(noise: Volume) -> None:
    slices = SliceStack(noise, "K")
    corner = Region(66, 44, 24, 16)
    mask = np.zeros(slices.shape, bool)
    mask[59, 89] = True
    assert not ZoomedFrames(WholeSliceFrames(slices, WINDOW, SIZE), slices, corner).cuts(mask)


def test_a_model_of_object_crops_has_its_own_zoom() -> None:
    framing = ObjectFraming(SIZE)
    assert zoomed(framing, "on") is framing


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=list(FRAMINGS))
def test_without_zoom_nothing_is_different(framing: Framing) -> None:
    assert zoomed(framing, "off") is framing
