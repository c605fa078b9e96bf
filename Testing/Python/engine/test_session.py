"""One volume, one model: the embedded one on phantoms whose every voxel is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from torch import Tensor

from medsam2_engine.backends.base import Backend
from medsam2_engine.errors import BadRequest
from medsam2_engine.frames import SliceStack, WholeSliceFrames
from medsam2_engine.intensity import default_window
from medsam2_engine.propagation import SliceMask
from medsam2_engine.session import Session
from medsam2_engine.stopping import stop_if_unwanted
from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import BoxPrompt, PointPrompt, Prompt, SegmentPrompts, axis_kji
from phantoms import DIRECTIONS, OBLIQUE, Phantom, a_phantom, dice
from threshold_backend import ThresholdBackend

MIDDLE = 9


def segment(*prompts: Prompt) -> SegmentPrompts:
    return SegmentPrompts("s1", prompts)


def predicted(phantom: Phantom, backend: Backend, *prompts: Prompt, axis: str = "K", index: int = MIDDLE) -> np.ndarray:
    return Session(phantom.volume, backend).predict(segment(*prompts), axis, index).mask


def propagated(
    phantom: Phantom,
    backend: Backend,
    *prompts: Prompt,
    axis: str = "K",
    slice_range: tuple[int, int] | None = None,
) -> np.ndarray:
    """The masks of all slices, (K, J, I); from the box on the largest slice if nothing else is said."""
    prompts = prompts or (phantom.box(axis, phantom.largest_slice(axis)),)
    results = Session(phantom.volume, backend).propagate([segment(*prompts)], axis, slice_range)
    return volume_of(results, phantom, axis)


def volume_of(results: Sequence[SliceMask] | object, phantom: Phantom, axis: str = "K") -> np.ndarray:
    mask = np.zeros(phantom.truth_kji.shape, bool)
    for result in results:  # type: ignore[attr-defined]
        np.moveaxis(mask, axis_kji(axis), 0)[result.slice] = result.mask
    return mask


def centroid(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(axis=0)


# ---- one slice


PROMPTS = {
    "a box": lambda p: [p.box("K", MIDDLE)],
    "a tight box": lambda p: [p.box("K", MIDDLE, grown=0)],
    "one point": lambda p: [p.point("K", MIDDLE)],
    "a box and a negative point": lambda p: [p.box("K", MIDDLE), p.point("K", MIDDLE, positive=False)],
    "a positive and a negative point": lambda p: [p.point("K", MIDDLE), p.point("K", MIDDLE, positive=False)],
    "a negative and a positive point": lambda p: [p.point("K", MIDDLE, positive=False), p.point("K", MIDDLE)],
    "a mask and a negative point": lambda p: [p.mask("K", MIDDLE), p.point("K", MIDDLE, positive=False)],
}


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=list(PROMPTS))
def test_every_kind_of_prompt_finds_the_object(phantom: Phantom, embedded: Backend, prompts: object) -> None:
    mask = predicted(phantom, embedded, *prompts(phantom))  # type: ignore[operator]
    assert dice(mask, phantom.truth_kji[MIDDLE]) > 0.93


@pytest.mark.parametrize("axis", ["I", "J", "K"])
def test_the_mask_of_a_box_lies_on_the_object_along_every_axis(phantom: Phantom, embedded: Backend, axis: str) -> None:
    index = phantom.largest_slice(axis)
    mask = predicted(phantom, embedded, phantom.box(axis, index), axis=axis, index=index)
    assert np.abs(centroid(mask) - centroid(phantom.slice_of_truth(axis, index))).max() < 0.5


def test_a_drawn_mask_is_kept_as_it_was_drawn(phantom: Phantom, embedded: Backend) -> None:
    mask = predicted(phantom, embedded, phantom.mask("K", MIDDLE))
    assert np.array_equal(mask, phantom.truth_kji[MIDDLE])


def test_a_negative_point_takes_its_place_out_of_the_mask(embedded: Backend) -> None:
    """Two objects in one box, and a click that says which of them is not meant."""
    pair = a_phantom(center_kji=(9, 21, 16), radii_kji=(5, 7, 7))
    other = a_phantom(center_kji=(9, 21, 36), radii_kji=(5, 7, 7))
    both = pair.with_voxels(np.maximum(pair.volume.voxels_kji, other.volume.voxels_kji))
    box = BoxPrompt("K", MIDDLE, (8, 13), (44, 29))
    before = predicted(both, embedded, box)
    after = predicted(both, embedded, box, PointPrompt((36, 21, MIDDLE), False))
    assert np.count_nonzero(after & other.truth_kji[MIDDLE]) < np.count_nonzero(before & other.truth_kji[MIDDLE])


def test_prompts_on_other_slices_do_not_change_a_prediction(phantom: Phantom, embedded: Backend) -> None:
    alone = predicted(phantom, embedded, phantom.box("K", MIDDLE))
    among = predicted(phantom, embedded, phantom.box("K", 5), phantom.box("K", MIDDLE), phantom.point("K", 12))
    assert np.array_equal(alone, among)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float64, ">i2"])
def test_the_type_of_the_voxels_does_not_matter(embedded: Backend, dtype: np.typing.DTypeLike) -> None:
    whole = a_phantom()
    rounded = whole.with_voxels(np.round(whole.volume.voxels_kji).clip(0, 255).astype(np.float32))
    typed = rounded.with_voxels(rounded.volume.voxels_kji.astype(dtype))
    box = rounded.box("K", MIDDLE)
    assert np.array_equal(predicted(typed, embedded, box), predicted(rounded, embedded, box))


@pytest.mark.parametrize(("scale", "shift"), [(1.0, -1000.0), (0.01, 0.0), (100.0, -5000.0), (-1.0, 0.0)])
def test_the_range_of_intensities_does_not_matter(
    phantom: Phantom, embedded: Backend, scale: float, shift: float
) -> None:
    other = phantom.with_voxels(phantom.volume.voxels_kji * np.float32(scale) + np.float32(shift))
    mask = predicted(other, embedded, other.box("K", MIDDLE))
    assert dice(mask, phantom.truth_kji[MIDDLE]) > 0.93


def test_a_window_in_which_the_object_cannot_be_seen_changes_the_mask(phantom: Phantom, embedded: Backend) -> None:
    session = Session(phantom.volume, embedded)
    seen, unseen = (
        session.predict(segment(phantom.box("K", MIDDLE)), "K", MIDDLE, window).mask
        for window in (Window(0, 255), Window(1000, 2000))
    )
    truth = phantom.truth_kji[MIDDLE]
    assert dice(seen, truth) > dice(unseen, truth)


def test_voxels_that_are_no_numbers_do_not_spoil_a_mask(phantom: Phantom, embedded: Backend) -> None:
    voxels = phantom.volume.voxels_kji.copy()
    voxels[:, :3] = np.nan
    mask = predicted(phantom.with_voxels(voxels), embedded, phantom.box("K", MIDDLE))
    assert dice(mask, phantom.truth_kji[MIDDLE]) > 0.93


# ---- orientation and spacing


@pytest.mark.parametrize("directions", DIRECTIONS.values(), ids=list(DIRECTIONS))
def test_the_same_voxels_give_the_same_masks_wherever_the_patient_lies(
    phantom: Phantom, embedded: Backend, directions: np.ndarray
) -> None:
    turned = a_phantom(directions)
    assert np.array_equal(propagated(turned, embedded), propagated(phantom, embedded))


@pytest.mark.parametrize(("axis", "order"), [("I", (1, 2, 0)), ("J", (1, 0, 2))])
def test_the_same_slices_give_the_same_masks_along_whichever_axis_they_are_stored(
    phantom: Phantom, embedded: Backend, axis: str, order: tuple[int, int, int]
) -> None:
    stored = phantom.permuted(order)
    found = propagated(stored, embedded, axis=axis).transpose(np.argsort(order))
    assert np.array_equal(found, propagated(phantom, embedded))


def test_slices_stored_from_the_other_end_give_the_same_masks(phantom: Phantom, embedded: Backend) -> None:
    found = propagated(phantom.flipped("K"), embedded)
    assert np.array_equal(found[::-1], propagated(phantom, embedded))


@pytest.mark.parametrize("axis", ["I", "J"])
def test_a_mirrored_slice_gives_a_mirrored_mask(phantom: Phantom, embedded: Backend, axis: str) -> None:
    """The network itself is not symmetric: nearly the same mask, in the mirrored place."""
    found = np.flip(propagated(phantom.flipped(axis), embedded), axis_kji(axis))
    assert dice(found, propagated(phantom, embedded)) > 0.95


@pytest.mark.parametrize("axis", ["I", "J", "K"])
def test_the_masks_lie_on_the_object_along_every_axis(phantom: Phantom, embedded: Backend, axis: str) -> None:
    found = propagated(phantom, embedded, axis=axis)
    assert dice(found, phantom.truth_kji) > 0.93
    assert np.abs(centroid(found) - centroid(phantom.truth_kji)).max() < 0.5


@pytest.mark.parametrize("axis", ["I", "J", "K"])
def test_the_masks_lie_on_the_object_in_a_thick_oblique_left_handed_volume(embedded: Backend, axis: str) -> None:
    thick = a_phantom(OBLIQUE @ np.diag([1.0, 1.0, -1.0]), (0.7, 1.1, 2.5))
    found = propagated(thick, embedded, axis=axis)
    assert np.abs(centroid(found) - centroid(thick.truth_kji)).max() < 0.5


def test_the_distance_of_the_slices_does_not_matter(phantom: Phantom, embedded: Backend) -> None:
    assert np.array_equal(propagated(a_phantom(spacing=(1, 1, 5)), embedded), propagated(phantom, embedded))


def test_the_size_of_the_voxels_does_not_matter(phantom: Phantom, embedded: Backend) -> None:
    assert np.array_equal(propagated(a_phantom(spacing=(0.25, 0.25, 5)), embedded), propagated(phantom, embedded))


# ---- first, last, only


@pytest.mark.parametrize(("k", "center"), [(0, 0.0), (19, 19.0)])
def test_an_object_at_the_end_of_the_volume_is_followed_inwards(embedded: Backend, k: int, center: float) -> None:
    at_end = a_phantom(center_kji=(center, 21, 33))
    assert dice(propagated(at_end, embedded, at_end.box("K", k)), at_end.truth_kji) > 0.9


def test_a_volume_of_one_slice_is_segmented(embedded: Backend) -> None:
    picture = a_phantom(shape_kji=(1, 48, 56), center_kji=(0, 21, 33))
    assert dice(propagated(picture, embedded), picture.truth_kji) > 0.93


def test_a_box_that_reaches_over_the_edge_finds_the_object(embedded: Backend) -> None:
    cut = a_phantom(center_kji=(9, 2, 4))
    box = BoxPrompt("K", MIDDLE, (-8.0, -7.0), (16.0, 11.0))
    assert dice(predicted(cut, embedded, box), cut.truth_kji[MIDDLE]) > 0.85


def test_a_known_range_is_filled_and_not_left(phantom: Phantom, embedded: Backend) -> None:
    found = propagated(phantom, embedded, slice_range=(6, 12))
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == list(range(6, 13))


def test_a_second_prompt_improves_its_neighbourhood(embedded: Backend) -> None:
    """An object that jumps sideways half way, as a vessel does on thick slices."""
    one, other = a_phantom(center_kji=(5, 21, 16)), a_phantom(center_kji=(14, 21, 38))
    half = np.arange(20)[:, None, None] < 10
    jumping = Phantom(
        replace(one.volume, voxels_kji=np.where(half, one.volume.voxels_kji, other.volume.voxels_kji)),
        np.where(half, one.truth_kji, other.truth_kji),
    )
    alone = propagated(jumping, embedded, jumping.box("K", 5), slice_range=(2, 17))
    corrected = propagated(jumping, embedded, jumping.box("K", 5), jumping.box("K", 14), slice_range=(2, 17))
    assert dice(corrected, jumping.truth_kji) > max(0.85, dice(alone, jumping.truth_kji))


@pytest.mark.parametrize("kind", ["point", "mask"])
def test_a_point_or_a_mask_is_followed_like_a_box(phantom: Phantom, embedded: Backend, kind: str) -> None:
    prompt = getattr(phantom, kind)("K", MIDDLE)
    assert dice(propagated(phantom, embedded, prompt), phantom.truth_kji) > 0.9


# ---- the same again


def test_the_same_request_gives_the_same_masks(phantom: Phantom, embedded: Backend) -> None:
    session = Session(phantom.volume, embedded)
    asked = [segment(phantom.box("K", MIDDLE))]
    first, second = (volume_of(session.propagate(asked, "K"), phantom) for _ in range(2))
    assert np.array_equal(first, second)


def test_the_same_request_encodes_nothing_again(phantom: Phantom, embedded: Backend) -> None:
    session = Session(phantom.volume, embedded)
    asked = [segment(phantom.box("K", MIDDLE))]
    list(session.propagate(asked, "K"))
    before = session.encoded
    list(session.propagate(asked, "K"))
    assert session.encoded == before


def test_a_propagation_encodes_every_slice_once(phantom: Phantom, embedded: Backend) -> None:
    session = Session(phantom.volume, embedded)
    visited = list(session.propagate([segment(phantom.box("K", MIDDLE))], "K"))
    assert session.encoded == len(visited)


def test_a_preview_has_encoded_the_prompted_slice_for_the_propagation(phantom: Phantom, embedded: Backend) -> None:
    session = Session(phantom.volume, embedded)
    asked = segment(phantom.box("K", MIDDLE))
    session.predict(asked, "K", MIDDLE)
    visited = list(session.propagate([asked], "K"))
    assert session.encoded == len(visited)


def test_a_preview_is_what_the_propagation_shows(phantom: Phantom, embedded: Backend) -> None:
    session = Session(phantom.volume, embedded)
    asked = segment(phantom.box("K", MIDDLE))
    preview = session.predict(asked, "K", MIDDLE)
    assert np.array_equal(preview.mask, next(session.propagate([asked], "K")).mask)


def test_masks_do_not_depend_on_what_was_asked_before(phantom: Phantom, embedded: Backend) -> None:
    session = Session(phantom.volume, embedded)
    session.predict(segment(phantom.point("K", 6)), "K", 6)
    list(session.propagate([segment(phantom.box("K", 12))], "K", (10, 14)))
    later = volume_of(session.propagate([segment(phantom.box("K", MIDDLE))], "K"), phantom)
    assert np.array_equal(later, propagated(phantom, embedded))


def test_masks_do_not_depend_on_the_room_for_features(phantom: Phantom, embedded: Backend) -> None:
    session = Session(phantom.volume, embedded, feature_budget_bytes=1)
    tight = volume_of(session.propagate([segment(phantom.box("K", MIDDLE))], "K"), phantom)
    assert np.array_equal(tight, propagated(phantom, embedded))


def test_a_segment_alone_is_as_among_others(phantom: Phantom, embedded: Backend) -> None:
    other = SegmentPrompts("s2", (phantom.box("K", 7),))
    session = Session(phantom.volume, embedded)
    results = session.propagate([other, segment(phantom.box("K", MIDDLE))], "K")
    among = volume_of([result for result in results if result.segment_id == "s1"], phantom)
    assert np.array_equal(among, propagated(phantom, embedded))


def test_the_callers_voxels_are_bit_identical_afterwards(embedded: Backend) -> None:
    fresh = a_phantom()
    mine = np.array(fresh.volume.voxels_kji)
    before = mine.tobytes()
    propagated(fresh.with_voxels(mine), embedded)
    assert mine.tobytes() == before


def test_the_callers_voxels_stay_writeable(embedded: Backend) -> None:
    fresh = a_phantom()
    mine = np.array(fresh.volume.voxels_kji)
    predicted(fresh.with_voxels(mine), embedded, fresh.box("K", MIDDLE))
    assert mine.flags.writeable


# ---- bad requests


@pytest.fixture
def session(phantom: Phantom) -> Session:
    """With a model that does not matter."""
    return Session(phantom.volume, ThresholdBackend())


def test_a_slice_without_a_prompt_cannot_be_predicted(session: Session, phantom: Phantom) -> None:
    with pytest.raises(BadRequest, match="no prompt on slice 3"):
        session.predict(segment(phantom.box("K", MIDDLE)), "K", 3)


def test_a_segment_without_prompts_cannot_be_propagated(session: Session) -> None:
    with pytest.raises(BadRequest, match="has no prompt"):
        session.propagate([segment()], "K")


def test_a_box_on_another_axis_is_refused(session: Session, phantom: Phantom) -> None:
    with pytest.raises(BadRequest, match="axis J, but the request is along axis K"):
        session.propagate([segment(phantom.box("J", 20))], "K")


@pytest.mark.parametrize("slice_range", [(5, 20), (-1, 12), (12, 5)])
def test_a_range_that_is_not_in_the_volume_is_refused(
    session: Session, phantom: Phantom, slice_range: tuple[int, int]
) -> None:
    with pytest.raises(BadRequest, match="does not lie in the volume, which has slices 0 to 19 on axis K"):
        session.propagate([segment(phantom.box("K", MIDDLE))], "K", slice_range)


def test_a_prompt_outside_the_range_is_refused(session: Session, phantom: Phantom) -> None:
    with pytest.raises(BadRequest, match="slice 9 lies outside the range 10 to 12"):
        session.propagate([segment(phantom.box("K", MIDDLE))], "K", (10, 12))


def test_a_bad_request_is_refused_before_anything_is_computed(session: Session, phantom: Phantom) -> None:
    with pytest.raises(BadRequest):
        session.propagate([segment(phantom.box("K", MIDDLE)), segment()], "K")
    assert session.encoded == 0


@pytest.mark.parametrize(
    ("slice_range", "direction", "expected"),
    [
        (None, "both", 20),
        ((9, 9), "both", 1),
        ((3, 9), "both", 7),
        (None, "up", 20 - MIDDLE),
        (None, "down", MIDDLE + 1),
        ((3, 12), "down", MIDDLE - 2),
    ],
)
def test_the_masks_to_expect_are_known_beforehand(
    session: Session, phantom: Phantom, slice_range: tuple[int, int] | None, direction: str, expected: int
) -> None:
    asked = segment(phantom.box("K", MIDDLE))
    assert session.most_masks(asked, "K", slice_range, direction) == expected


def test_upwards_nothing_below_the_prompt_is_touched_and_downwards_nothing_above(
    phantom: Phantom, embedded: Backend
) -> None:
    session = Session(phantom.volume, embedded)
    asked = segment(phantom.box("K", MIDDLE))
    both, up, down = (
        {result.slice: result.mask for result in session.propagate([asked], "K", direction=direction)}
        for direction in ("both", "up", "down")
    )
    assert set(up) | set(down) == set(both)
    assert (min(up), max(down)) == (MIDDLE, MIDDLE)
    assert all(np.array_equal(masks[index], both[index]) for masks in (up, down) for index in masks)


def test_between_two_prompts_both_ways_are_gone_in_any_direction(phantom: Phantom, embedded: Backend) -> None:
    asked = segment(phantom.box("K", 7), phantom.box("K", 12))
    visited = {result.slice for result in Session(phantom.volume, embedded).propagate([asked], "K", direction="up")}
    assert set(range(7, 13)) <= visited
    assert min(visited) == 7


def test_a_bright_object_fills_no_other_volume(embedded: Backend) -> None:
    """A second session on another volume shares the model and nothing else."""
    here, there = a_phantom(), a_phantom(center_kji=(9, 26, 20))
    one, other = Session(here.volume, embedded), Session(there.volume, embedded)
    one.predict(segment(here.box("K", MIDDLE)), "K", MIDDLE)
    mask = other.predict(segment(there.box("K", MIDDLE)), "K", MIDDLE).mask
    assert dice(mask, there.truth_kji[MIDDLE]) > 0.93


@pytest.mark.parametrize("kind", ["box", "point", "mask"])
@pytest.mark.parametrize("value", [0, -1024])
def test_a_volume_of_one_value_gives_an_answer(embedded: Backend, kind: str, value: int) -> None:
    flat = Phantom(Volume(np.full((3, 48, 56), value, np.int16), np.eye(4)), a_phantom().truth_kji[8:11])
    results = Session(flat.volume, embedded).propagate([segment(getattr(flat, kind)("K", 1))], "K")
    assert {result.slice for result in results} <= {0, 1, 2}


# ---- before a prompt


def test_a_prefetch_begins_with_the_displayed_slice_and_goes_outwards(phantom: Phantom) -> None:
    seen: list[float] = []

    class Watching(ThresholdBackend):
        def encode(self, pixels: Tensor) -> Tensor:
            seen.append(float(pixels.sum()))
            return super().encode(pixels)

    session = Session(phantom.volume, Watching())
    assert session.prefetch("K", 9, is_cancelled=lambda: len(seen) == 3) == 3
    frames = WholeSliceFrames(SliceStack(phantom.volume, "K"), default_window(phantom.volume), 32)
    assert seen == [float(frames.pixels(index).sum()) for index in (9, 10, 8)]


def test_a_prefetch_forgets_nothing(phantom: Phantom) -> None:
    frame_bytes = 32 * 32 * 4
    session = Session(phantom.volume, ThresholdBackend(), feature_budget_bytes=3 * frame_bytes)
    assert session.prefetch("K", 9) == 3


def test_a_prefetch_stops_in_the_middle_of_a_slice(phantom: Phantom) -> None:
    class Slow(ThresholdBackend):
        def encode(self, pixels: Tensor) -> Tensor:
            cancelled.append(True)
            stop_if_unwanted()
            return super().encode(pixels)

    cancelled: list[bool] = []
    assert Session(phantom.volume, Slow()).prefetch("K", 9, is_cancelled=lambda: bool(cancelled)) == 0


def test_a_model_that_looks_at_objects_has_nothing_to_prefetch(phantom: Phantom, embedded: Backend) -> None:
    assert Session(phantom.volume, embedded).prefetch("K", 9) == 0


def test_segments_share_encoded_slices(phantom: Phantom) -> None:
    session = Session(phantom.volume, ThresholdBackend())
    segments = [SegmentPrompts(f"s{number}", (phantom.box("K", MIDDLE),)) for number in range(4)]
    results = list(session.propagate(segments, "K", (4, 14)))
    assert (len(results), session.encoded) == (4 * 11, 11)
