"""Where a propagation goes, in which order, and where it stops; with a model that marks what is bright."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2_engine.propagation import SliceMask
from medsam2_engine.session import Session
from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import BoxPrompt, SegmentPrompts
from threshold_backend import ThresholdBackend

COUNT = 24
WINDOW = Window(0, 100)
SQUARE = np.s_[10:18, 12:24]
BRIGHT, DIM = 100.0, 45.0


def volume_with(bright: Iterable[int] = (), dim: Iterable[int] = (), tiny: Iterable[int] = ()) -> Volume:
    """A square on the named slices along K: well visible, doubtful, or of two voxels."""
    voxels = np.zeros((COUNT, 32, 32), np.float32)
    for slices, value, place in ((bright, BRIGHT, SQUARE), (dim, DIM, SQUARE), (tiny, BRIGHT, np.s_[10, 12:14])):
        for k in slices:
            voxels[k][place] = value
    return Volume(voxels, np.eye(4))


def boxes_on(*slices: int, segment_id: str = "s1") -> SegmentPrompts:
    return SegmentPrompts(segment_id, tuple(BoxPrompt("K", k, (12, 10), (23, 17)) for k in slices))


def propagated(
    volume: Volume,
    *segments: SegmentPrompts,
    backend: ThresholdBackend | None = None,
    slice_range: tuple[int, int] | None = None,
    **options: Any,
) -> list[SliceMask]:
    session = Session(volume, backend or ThresholdBackend())
    return list(session.propagate(segments, "K", slice_range, WINDOW, **options))


def slices_of(results: Iterable[SliceMask]) -> list[int]:
    return [result.slice for result in results]


@pytest.fixture
def backend() -> ThresholdBackend:
    return ThresholdBackend()


@pytest.fixture
def everywhere() -> Volume:
    """The object is on every slice."""
    return volume_with(bright=range(COUNT))


# ---- the order


def test_the_prompted_slice_comes_first(everywhere: Volume) -> None:
    assert slices_of(propagated(everywhere, boxes_on(8)))[0] == 8


def test_both_directions_take_turns(everywhere: Volume) -> None:
    assert slices_of(propagated(everywhere, boxes_on(8)))[:7] == [8, 9, 7, 10, 6, 11, 5]


def test_a_direction_that_is_done_leaves_its_turns_to_the_other(everywhere: Volume) -> None:
    assert slices_of(propagated(everywhere, boxes_on(1)))[:5] == [1, 2, 0, 3, 4]


def test_prompted_slices_come_before_all_others(everywhere: Volume) -> None:
    assert slices_of(propagated(everywhere, boxes_on(15, 3, 9)))[:3] == [3, 9, 15]


@pytest.mark.parametrize("k", [0, COUNT - 1])
def test_the_first_and_the_last_slice_go_one_way_only(everywhere: Volume, backend: ThresholdBackend, k: int) -> None:
    propagated(everywhere, boxes_on(k), backend=backend)
    assert backend.directions == [k > 0]


def test_a_volume_of_one_slice_is_its_own_result() -> None:
    volume = Volume(np.full((1, 32, 32), BRIGHT, np.float32), np.eye(4))
    assert slices_of(propagated(volume, boxes_on(0))) == [0]


# ---- territories


def visits(prompted: Iterable[int], first: int = 0, last: int = COUNT - 1) -> list[int]:
    """Every slice once, and once more if it lies between two prompted ones."""
    inside = [k for k in range(min(prompted), max(prompted)) if k not in prompted]
    return sorted([*range(first, last + 1), *inside])


@given(st.sets(st.integers(0, COUNT - 1), min_size=1, max_size=5))
def test_every_slice_is_visited_from_each_side_that_has_a_prompt(prompted: set[int]) -> None:
    results = propagated(volume_with(bright=range(COUNT)), boxes_on(*prompted))
    assert sorted(slices_of(results)) == visits(prompted)


@given(st.sets(st.integers(0, COUNT - 1), min_size=1, max_size=5))
def test_every_slice_is_followed_from_the_next_prompt_on_either_side(prompted: set[int]) -> None:
    backend = ThresholdBackend()
    propagated(volume_with(bright=range(COUNT)), boxes_on(*prompted), backend=backend)
    for tracker in range(len(backend.directions)):
        start = backend.conditioned(tracker)[0]
        for k in backend.tracked(tracker):
            assert not any(min(start, k) < other < max(start, k) for other in prompted)


@given(st.sets(st.integers(0, COUNT - 1), min_size=2, max_size=5))
def test_every_walk_knows_all_prompted_slices(prompted: set[int]) -> None:
    backend = ThresholdBackend()
    propagated(volume_with(bright=range(COUNT)), boxes_on(*prompted), backend=backend)
    assert all(set(backend.conditioned(n)) == prompted for n in range(len(backend.directions)))


def test_every_walk_goes_in_one_direction(everywhere: Volume, backend: ThresholdBackend) -> None:
    propagated(everywhere, boxes_on(5, 16), backend=backend)
    steps = [np.diff(backend.tracked(n)) for n in range(4)]
    assert [set(step.tolist()) for step in steps] == [{-1} if reverse else {1} for reverse in backend.directions]


def test_a_prompted_slice_is_never_followed(everywhere: Volume, backend: ThresholdBackend) -> None:
    propagated(everywhere, boxes_on(5, 6, 16), backend=backend)
    assert not {5, 6, 16} & {k for n in range(len(backend.directions)) for k in backend.tracked(n)}


# ---- between two prompts


def last_words(results: Iterable[SliceMask]) -> dict[int, SliceMask]:
    return {result.slice: result for result in results}


def test_the_second_mask_of_a_slice_says_how_well_both_directions_agree(everywhere: Volume) -> None:
    results = propagated(everywhere, boxes_on(8, 14))
    assert {r.slice for r in results if r.agreement is not None} == set(range(9, 14))
    assert all(r.agreement == 1 for k, r in last_words(results).items() if 8 < k < 14)


def test_where_one_direction_went_there_is_nothing_to_agree_with(everywhere: Volume) -> None:
    assert all(r.agreement is None for r in propagated(everywhere, boxes_on(8)))


def test_a_slice_is_shown_as_soon_as_one_direction_has_found_it(everywhere: Volume) -> None:
    results = propagated(everywhere, boxes_on(8, 12), slice_range=(8, 12))
    assert [(r.slice, r.agreement) for r in results] == [
        (8, None),
        (12, None),
        (9, None),
        (11, None),
        (10, None),
        (10, 1.0),
        (11, 1.0),
        (9, 1.0),
    ]


def test_both_directions_share_the_encoding_of_a_slice(everywhere: Volume, backend: ThresholdBackend) -> None:
    propagated(everywhere, boxes_on(3, 20), backend=backend)
    assert backend.calls.count(("encode",)) == COUNT


# ---- the end of the object


def test_a_walk_ends_after_two_slices_without_the_object() -> None:
    results = propagated(volume_with(bright=range(6, 12)), boxes_on(8))
    assert sorted(slices_of(results)) == list(range(4, 14))


def test_slices_without_the_object_are_reported_as_empty() -> None:
    results = propagated(volume_with(bright=range(6, 12)), boxes_on(8))
    assert [r.slice for r in sorted(results, key=lambda r: r.slice) if not r.mask.any()] == [4, 5, 12, 13]


def test_one_slice_without_the_object_is_no_end() -> None:
    results = propagated(volume_with(bright=[8, 9, 11, 12]), boxes_on(8))
    assert max(slices_of(results)) == 14


def test_slices_without_the_object_count_in_a_row_only() -> None:
    results = propagated(volume_with(bright=[8, 10, 12, 14]), boxes_on(8))
    assert max(slices_of(results)) == 16


def test_a_doubtful_object_is_absent() -> None:
    results = propagated(volume_with(bright=range(6, 12), dim=range(12, 20)), boxes_on(8))
    assert not any(r.mask.any() for r in results if r.slice >= 12)


def test_a_mask_of_two_voxels_is_absent() -> None:
    results = propagated(volume_with(bright=range(6, 12), tiny=range(12, 20)), boxes_on(8))
    assert max(slices_of(results)) == 13


def test_one_direction_may_end_before_the_other() -> None:
    results = propagated(volume_with(bright=range(8, COUNT)), boxes_on(8))
    assert (min(slices_of(results)), max(slices_of(results))) == (6, COUNT - 1)


def test_walks_from_two_prompts_end_each_for_itself_outside_of_them() -> None:
    results = propagated(volume_with(bright=[3, 4, 19, 20]), boxes_on(3, 20))
    assert (min(slices_of(results)), max(slices_of(results))) == (1, 22)


def test_between_two_prompts_an_object_that_is_lost_may_be_found_again() -> None:
    results = propagated(volume_with(bright=[3, 4, 10, 19, 20]), boxes_on(3, 20))
    assert sorted({r.slice for r in results if r.mask.any()}) == [3, 4, 10, 19, 20]


SMALL, POOR = np.s_[10:14, 12:18], 70.0


def fading(place: Any = SMALL, value: float = POOR) -> Volume:
    """The object until slice 11, something else on slice 12, and something small behind it."""
    voxels = np.array(volume_with(bright=range(12)).voxels_kji)
    voxels[12][place] = value
    voxels[(slice(13, None), *SMALL)] = BRIGHT
    return Volume(voxels, np.eye(4))


def test_a_walk_ends_behind_a_small_and_poor_mask() -> None:
    assert max(slices_of(propagated(fading(), boxes_on(8)))) == 12


def test_the_small_and_poor_mask_itself_is_kept() -> None:
    assert last_words(propagated(fading(), boxes_on(8)))[12].mask.sum() == 24


@pytest.mark.parametrize(
    "volume", [fading(value=BRIGHT), fading(place=SQUARE)], ids=["small but good", "large but poor"]
)
def test_a_mask_that_is_only_small_or_only_poor_is_no_end(volume: Volume) -> None:
    assert max(slices_of(propagated(volume, boxes_on(8)))) == COUNT - 1


def test_poor_is_what_was_better_before() -> None:
    voxels = np.array(fading().voxels_kji)
    voxels[voxels == BRIGHT] = POOR
    assert max(slices_of(propagated(Volume(voxels, np.eye(4)), boxes_on(8)))) == COUNT - 1


def test_in_a_known_range_a_small_and_poor_mask_is_no_end() -> None:
    assert max(slices_of(propagated(fading(), boxes_on(8), slice_range=(0, 20)))) == 20


def test_between_two_prompts_a_small_and_poor_mask_is_no_end() -> None:
    results = propagated(fading(), boxes_on(8, 18))
    assert all(r.agreement is not None for k, r in last_words(results).items() if 8 < k < 18)


# ---- a known range


def test_a_known_range_is_covered_to_its_ends() -> None:
    results = propagated(volume_with(bright=[8]), boxes_on(8), slice_range=(3, 15))
    assert sorted(slices_of(results)) == list(range(3, 16))


def test_nothing_outside_a_known_range_is_touched(everywhere: Volume, backend: ThresholdBackend) -> None:
    propagated(everywhere, boxes_on(8), backend=backend, slice_range=(6, 9))
    assert {call[2] for call in backend.calls if call[0] in ("track", "condition")} == {6, 7, 8, 9}


def test_in_a_known_range_a_doubtful_object_is_believed() -> None:
    results = propagated(volume_with(bright=[8], dim=range(9, 13)), boxes_on(8), slice_range=(8, 12))
    assert all(np.count_nonzero(r.mask) == 8 * 12 for r in results)


def test_in_a_known_range_an_empty_slice_stays_empty() -> None:
    results = propagated(volume_with(bright=[8]), boxes_on(8), slice_range=(8, 9))
    assert [r.mask.any() for r in results] == [True, False]


@given(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1), st.data())
def test_any_range_around_any_prompts_is_filled(a: int, b: int, data: st.DataObject) -> None:
    first, last = min(a, b), max(a, b)
    prompted = data.draw(st.sets(st.integers(first, last), min_size=1, max_size=4))
    results = propagated(volume_with(bright=[5]), boxes_on(*prompted), slice_range=(first, last))
    assert sorted(slices_of(results)) == visits(prompted, first, last)


# ---- masks


def test_the_masks_are_on_the_voxels_of_the_object(everywhere: Volume) -> None:
    expected = np.zeros((32, 32), bool)
    expected[SQUARE] = True
    assert all(np.array_equal(result.mask, expected) for result in propagated(everywhere, boxes_on(8)))


def test_results_say_whose_they_are(everywhere: Volume) -> None:
    assert {(r.segment_id, r.axis) for r in propagated(everywhere, boxes_on(8, segment_id="GTVp"))} == {("GTVp", "K")}


def test_results_carry_the_models_score() -> None:
    results = propagated(volume_with(bright=[8]), boxes_on(8))
    assert {r.slice: r.object_score for r in results} == {8: 5, 9: -5, 7: -5, 10: -5, 6: -5}


# ---- several segments


def test_every_segment_is_followed_to_its_own_end() -> None:
    volume = volume_with(bright=[*range(4, 8), *range(16, 20)])
    results = propagated(volume, boxes_on(5, segment_id="a"), boxes_on(17, segment_id="b"))
    assert [sorted(r.slice for r in results if r.segment_id == name) for name in "ab"] == [
        list(range(2, 10)),
        list(range(14, 22)),
    ]


def test_segments_take_turns(everywhere: Volume) -> None:
    results = propagated(everywhere, boxes_on(8, segment_id="a"), boxes_on(8, segment_id="b"))
    assert [(r.segment_id, r.slice) for r in results[:6]] == [
        ("a", 8),
        ("b", 8),
        ("a", 9),
        ("a", 7),
        ("b", 9),
        ("b", 7),
    ]


def test_segments_share_the_encoding_of_a_slice(everywhere: Volume, backend: ThresholdBackend) -> None:
    propagated(everywhere, boxes_on(8, segment_id="a"), boxes_on(3, 15, segment_id="b"), backend=backend)
    assert backend.calls.count(("encode",)) == COUNT


# ---- cancel


def after(number: int) -> Callable[[], bool]:
    """True from the question after `number` on."""
    asked = count()
    return lambda: next(asked) >= number


def test_a_cancelled_propagation_gives_nothing(everywhere: Volume, backend: ThresholdBackend) -> None:
    assert propagated(everywhere, boxes_on(8), backend=backend, is_cancelled=lambda: True) == []
    assert backend.calls == []


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_cancel_is_heard_before_the_next_slice(everywhere: Volume, number: int) -> None:
    assert len(propagated(everywhere, boxes_on(8), is_cancelled=after(number))) == number


def test_a_cancel_is_heard_between_two_prompted_slices(everywhere: Volume) -> None:
    assert slices_of(propagated(everywhere, boxes_on(3, 9, 15), is_cancelled=after(2))) == [3, 9]


def test_what_came_before_the_cancel_is_as_without_it(everywhere: Volume) -> None:
    cut = propagated(everywhere, boxes_on(8), is_cancelled=after(5))
    assert slices_of(cut) == slices_of(propagated(everywhere, boxes_on(8)))[:5]
