"""Whole-slice models with a closer look: which objects get one, and how it follows them through the slices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from medsam2_engine.errors import BadRequest
from medsam2_engine.session import Session
from medsam2_engine.volume import Volume
from medsam2_protocol.masks import region_of_slice
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import BoxPrompt, MaskPrompt, PointPrompt, SegmentPrompts, axis_kji
from phantoms import DIRECTIONS, Phantom, a_phantom, dice
from threshold_backend import ThresholdBackend

WINDOW = Window(60.0, 180.0)
SIDE, COUNT, START = 200, 15, 7
Place = Callable[[int], tuple[int, int, int]]  # slice → first row, first column, side


class Recorder(ThresholdBackend):
    """A threshold on frames of 128 pixels: regions are 32 voxels wide at least."""

    def __init__(self) -> None:
        super().__init__(size=128)


def a_walk(place: Place) -> Phantom:
    """A bright square on every slice, in a slice of 200 x 200 voxels."""
    truth = np.zeros((COUNT, SIDE, SIDE), bool)
    for index in range(COUNT):
        row, column, side = place(index)
        truth[index, max(row, 0) : row + side, max(column, 0) : column + side] = True
    return Phantom(Volume(np.where(truth, 170.0, 60.0).astype(np.float32), np.eye(4), "MR"), truth)


def box_on(phantom: Phantom, index: int = START) -> BoxPrompt:
    return phantom.box("K", index, 0.0)


def followed(session: Session, phantom: Phantom, zoom: str, **options: object) -> np.ndarray:
    asked = SegmentPrompts("s", (box_on(phantom),))
    found = np.zeros(phantom.truth_kji.shape, bool)
    results = session.propagate([asked], "K", (0, COUNT - 1), WINDOW, zoom=zoom, **options)  # type: ignore[arg-type]
    for result in results:
        found[result.slice] = result.mask
    return found


def still(index: int) -> tuple[int, int, int]:
    return 90, 60, 10


def walking(index: int) -> tuple[int, int, int]:
    """From one corner of the slice over its middle to beyond the other corner."""
    return 14 * index - 3, 13 * index, 10


def growing(index: int) -> tuple[int, int, int]:
    side = 10 + 14 * abs(index - START)
    return 100 - side // 2, 100 - side // 2, side


@pytest.mark.parametrize("zoom", ["auto", "on"])
@pytest.mark.parametrize("place", [still, walking, growing])
def test_every_voxel_of_the_object_is_found_wherever_it_goes(place: Place, zoom: str) -> None:
    phantom = a_walk(place)
    found = followed(Session(phantom.volume, Recorder()), phantom, zoom)
    per_slice = [dice(found[index], phantom.truth_kji[index]) for index in range(COUNT)]
    assert min(per_slice) > 0.96  # a pixel of a whole frame is one and a half voxels


def test_a_small_object_is_seen_to_the_voxel_only_when_zoomed() -> None:
    phantom = a_walk(still)
    assert np.array_equal(followed(Session(phantom.volume, Recorder()), phantom, "auto"), phantom.truth_kji)
    assert not np.array_equal(followed(Session(phantom.volume, Recorder()), phantom, "off"), phantom.truth_kji)


def test_an_object_that_stays_is_followed_in_one_region() -> None:
    phantom, backend = a_walk(still), Recorder()
    followed(Session(phantom.volume, backend), phantom, "on")
    assert len(backend.directions) == 2
    assert backend.calls.count(("encode",)) == COUNT


def test_an_object_that_walks_is_followed_from_region_to_region() -> None:
    phantom, backend = a_walk(walking), Recorder()
    followed(Session(phantom.volume, backend), phantom, "on")
    assert len(backend.directions) > 6


def test_auto_leaves_an_object_that_fills_the_slice_in_whole_slices() -> None:
    phantom, backend, plain = a_walk(lambda index: (40, 40, 60)), Recorder(), Recorder()
    auto = followed(Session(phantom.volume, backend), phantom, "auto")
    assert np.array_equal(auto, followed(Session(phantom.volume, plain), phantom, "off"))
    assert backend.calls == plain.calls


def test_auto_goes_on_in_whole_slices_once_the_object_has_grown() -> None:
    """From a region of 40 voxels to whole slices: what is left to see there costs no encoding in a second run."""
    phantom = a_walk(growing)
    session = Session(phantom.volume, Recorder())
    followed(session, phantom, "off")
    encoded = session.encoded
    followed(session, phantom, "auto")
    assert 0 < session.encoded - encoded < 2 * COUNT
    again = session.encoded
    followed(session, phantom, "auto")
    assert session.encoded == again


def test_an_object_that_leaps_over_the_border_of_its_region_is_not_cut_off() -> None:
    """From columns 90-99 to 98-129, of a region that ends at column 114."""

    def leaping(index: int) -> tuple[int, int, int]:
        return (90, 90, 10) if index <= START else (84, 98, 32)

    phantom = a_walk(leaping)
    assert np.array_equal(followed(Session(phantom.volume, Recorder()), phantom, "on"), phantom.truth_kji)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.6, 1.4, 3.0)], ids=["isotropic", "anisotropic"])
@pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=list(DIRECTIONS))
@pytest.mark.parametrize("axis", ["I", "J", "K"])
def test_masks_lie_on_the_object_however_the_volume_is_stored(
    axis: str, directions: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    phantom = a_phantom(directions, spacing, (70, 90, 110), (24.0, 61.0, 80.0), (5.0, 6.0, 7.0))
    asked = SegmentPrompts("s", (phantom.box(axis, phantom.largest_slice(axis)),))
    results = Session(phantom.volume, Recorder()).propagate([asked], axis, phantom.occupied(axis), WINDOW, zoom="on")
    found = np.zeros(phantom.truth_kji.shape, bool)
    for result in results:
        np.moveaxis(found, axis_kji(axis), 0)[result.slice] = result.mask
    assert dice(found, phantom.truth_kji) > 0.97


# ---- prompts of other kinds


def test_a_click_is_looked_at_in_the_region_of_what_the_whole_slice_shows() -> None:
    phantom, backend = a_walk(still), Recorder()
    click = SegmentPrompts("s", (PointPrompt((65, 95, START)),))
    found = Session(phantom.volume, backend).predict(click, "K", START, WINDOW, zoom="auto").mask
    assert np.array_equal(found, phantom.truth_kji[START])
    assert backend.calls.count(("encode",)) == 2


@pytest.mark.parametrize(("zoom", "encoded"), [("auto", 1), ("on", 2)])
def test_a_click_on_nothing_is_looked_at_closely_only_if_that_was_asked_for(zoom: str, encoded: int) -> None:
    phantom, backend = a_walk(still), Recorder()
    click = SegmentPrompts("s", (PointPrompt((20, 20, START)),))
    Session(phantom.volume, backend).predict(click, "K", START, WINDOW, zoom=zoom)
    assert backend.calls.count(("encode",)) == encoded


def test_a_drawn_mask_is_followed_in_its_region() -> None:
    phantom = a_walk(still)
    drawn = MaskPrompt("K", START, region_of_slice(phantom.truth_kji[START], 0, START))
    session = Session(phantom.volume, Recorder())
    found = list(session.propagate([SegmentPrompts("s", (drawn,))], "K", (0, COUNT - 1), WINDOW, zoom="auto"))
    assert all(np.array_equal(one.mask, phantom.truth_kji[one.slice]) for one in found)


# ---- corrections


def test_a_correction_goes_on_in_the_regions_of_the_run_before() -> None:
    phantom = a_walk(walking)
    session = Session(phantom.volume, Recorder())
    followed(session, phantom, "on")
    encoded, corrected = session.encoded, START + 3
    row, column, side = walking(corrected)
    click = PointPrompt((column + side // 2, row + side // 2, corrected))
    asked = SegmentPrompts("s", (box_on(phantom), click))
    results = list(
        session.propagate([asked], "K", (0, COUNT - 1), WINDOW, corrected=corrected, policy="sam2", zoom="on")
    )
    assert {one.slice for one in results} == set(range(START + 1, COUNT))
    assert all(dice(one.mask, phantom.truth_kji[one.slice]) > 0.97 for one in results)
    assert session.encoded - encoded <= 2


def test_kept_slices_stand_and_end_what_is_followed() -> None:
    phantom = a_walk(walking)
    kept = tuple(MaskPrompt("K", index, region_of_slice(phantom.truth_kji[index], 0, index)) for index in (3, 11))
    asked = replace(SegmentPrompts("s", (box_on(phantom),)), kept=kept)
    results = list(Session(phantom.volume, Recorder()).propagate([asked], "K", (0, COUNT - 1), WINDOW, zoom="on"))
    assert {one.slice for one in results} == set(range(COUNT)) - {3, 11}
    last = {one.slice: one.mask for one in results}
    assert all(dice(mask, phantom.truth_kji[index]) > 0.97 for index, mask in last.items())


def test_what_was_seen_closely_is_not_mixed_with_whole_slices() -> None:
    phantom = a_walk(still)
    session = Session(phantom.volume, Recorder())
    followed(session, phantom, "on")
    asked = SegmentPrompts("s", (box_on(phantom),))
    fresh = Session(phantom.volume, Recorder()).predict(asked, "K", START, WINDOW)
    assert np.array_equal(session.predict(asked, "K", START, WINDOW).mask, fresh.mask)
    assert session.predict(asked, "K", START, WINDOW, zoom="on").mask.sum() == 100


# ---- asking for it


@pytest.mark.parametrize(("zoom", "encoded"), [("off", COUNT), ("auto", COUNT), ("on", 0)])
def test_whole_slices_are_prefetched_where_they_may_be_needed(zoom: str, encoded: int) -> None:
    assert Session(a_walk(still).volume, Recorder()).prefetch("K", START, WINDOW, zoom=zoom) == encoded


def test_an_unknown_zoom_is_refused_with_the_choices() -> None:
    with pytest.raises(BadRequest, match=r"no zoom 'closer'.*off, auto, on"):
        followed(Session(a_walk(still).volume, Recorder()), a_walk(still), "closer")
