"""Which slices are computed, and from which sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2_engine.territories import Stretch, limits_in_direction, stretches

LAST = 29
WHOLE = (0, LAST)
places = st.sets(st.integers(0, LAST), max_size=6)


def test_around_one_anchor_lies_a_stretch_to_each_end() -> None:
    assert stretches([8], [], WHOLE) == [Stretch(range(8), None, 8), Stretch(range(9, 30), 8, None)]


def test_a_stretch_between_two_anchors_is_walked_from_both() -> None:
    between = stretches([8, 12], [], WHOLE)[1]
    assert between.walks == [(8, range(9, 12)), (12, range(11, 8, -1))]


def test_a_stretch_ends_at_a_kept_slice_without_the_object() -> None:
    assert stretches([8], [12], WHOLE)[-1] == Stretch(range(9, 12), 8, None)


def test_behind_a_kept_slice_without_the_object_nothing_is_computed() -> None:
    assert all(max(one.slices) < 12 for one in stretches([8], [12], WHOLE))


def test_a_correction_reaches_to_the_next_anchor_on_each_side() -> None:
    assert [one.slices for one in stretches([4, 8, 12, 20], [], WHOLE, corrected=12)] == [range(9, 12), range(13, 20)]


def test_a_correction_at_the_last_anchor_reaches_to_the_end() -> None:
    assert [one.slices for one in stretches([4, 8], [], WHOLE, corrected=8)] == [range(5, 8), range(9, 30)]


def test_a_slice_that_was_emptied_is_walked_up_to_and_not_from() -> None:
    assert stretches([4], [8], WHOLE, corrected=8) == [Stretch(range(5, 8), 4, None)]


def test_neighbours_have_nothing_between_them() -> None:
    assert [one.slices for one in stretches([8, 9], [], (8, 9))] == []


@given(places, places, st.tuples(st.integers(0, LAST), st.integers(0, LAST)).map(sorted))
def test_no_slice_is_computed_twice_or_outside_the_limits_or_over_a_given_mask(
    anchors: set[int], barriers: set[int], limits: list[int]
) -> None:
    found = stretches(sorted(anchors), barriers - anchors, (limits[0], limits[1]))
    computed = [index for one in found for index in one.slices]
    assert len(set(computed)) == len(computed)
    assert set(computed) <= set(range(limits[0], limits[1] + 1)) - anchors - barriers


@given(places.filter(bool), places, st.data())
def test_a_correction_computes_a_part_of_the_whole(anchors: set[int], barriers: set[int], data: st.DataObject) -> None:
    corrected = data.draw(st.sampled_from(sorted(anchors)))
    whole = stretches(sorted(anchors), barriers - anchors, WHOLE)
    local = stretches(sorted(anchors), barriers - anchors, WHOLE, corrected)
    assert [one for one in whole if corrected in (one.lower, one.upper)] == local


@pytest.mark.parametrize(("direction", "expected"), [("both", (2, 25)), ("up", (8, 25)), ("down", (2, 12))])
def test_a_direction_keeps_off_what_lies_behind_the_starts(direction: str, expected: tuple[int, int]) -> None:
    assert limits_in_direction(direction, 2, 25, [8, 12]) == expected
