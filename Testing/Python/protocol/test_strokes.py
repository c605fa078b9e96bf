"""Scribbles and lassos: what a path covers, how it is thinned, and what is refused when it is made."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2_protocol.prompts import MAX_VERTICES, LassoPrompt, PointPrompt, Prompt, ScribblePrompt, shows_object
from medsam2_protocol.strokes import PRECISION, lasso_interior, positions_along, thinned
from medsam2_protocol.tagged import from_json, to_json

SQUARE = ((1.5, 2.5), (5.5, 2.5), (5.5, 6.5), (1.5, 6.5))
SHAPE = (9, 12)


def circle(count: int, radius: float = 20.0) -> tuple[tuple[float, float], ...]:
    angles = (2 * math.pi * n / count for n in range(count))
    return tuple((30 + radius * math.cos(angle), 30 + radius * math.sin(angle)) for angle in angles)


# ---- as messages


@pytest.mark.parametrize(
    "prompt", [ScribblePrompt("K", 3, SQUARE[:2], False), LassoPrompt("J", 0, SQUARE), ScribblePrompt("I", 2, SQUARE)]
)
def test_strokes_travel_as_they_are(prompt: Prompt) -> None:
    assert from_json(to_json(prompt), type(prompt)) == prompt


def test_vertices_are_rounded_to_thousandths_of_a_voxel() -> None:
    assert ScribblePrompt("K", 0, ((0.12345, -0.0), (1, 2))).path == ((0.123, 0.0), (1.0, 2.0))


def test_a_vertex_that_repeats_the_one_before_is_left_out() -> None:
    assert ScribblePrompt("K", 0, ((1, 1), (1, 1.0001), (2, 2), (1, 1))).path == ((1, 1), (2, 2), (1, 1))


def test_a_scribble_that_stays_in_one_place_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 different positions"):
        ScribblePrompt("K", 0, ((1, 1), (1, 1)))


def test_a_lasso_that_goes_there_and_back_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 3 different positions"):
        LassoPrompt("K", 0, ((1, 1), (5, 5), (1, 1)))


def test_a_stroke_has_a_largest_number_of_vertices() -> None:
    assert len(LassoPrompt("K", 0, circle(MAX_VERTICES)).path) == MAX_VERTICES
    with pytest.raises(ValueError, match="more than 256"):
        LassoPrompt("K", 0, circle(MAX_VERTICES + 1))


def test_only_negative_points_and_strokes_do_not_show_the_object() -> None:
    assert shows_object(LassoPrompt("K", 0, SQUARE))
    assert shows_object(ScribblePrompt("K", 0, SQUARE))
    assert not shows_object(ScribblePrompt("K", 0, SQUARE, False))
    assert not shows_object(PointPrompt((1, 2, 3), False))


# ---- what a lasso encloses


def test_a_lasso_encloses_the_voxels_whose_centres_lie_inside() -> None:
    expected = np.zeros(SHAPE, bool)
    expected[3:7, 2:6] = True
    np.testing.assert_array_equal(lasso_interior(SQUARE, SHAPE), expected)


def test_the_direction_in_which_it_was_drawn_does_not_matter() -> None:
    np.testing.assert_array_equal(lasso_interior(SQUARE, SHAPE), lasso_interior(SQUARE[::-1], SHAPE))


def test_both_loops_of_an_eight_count() -> None:
    eight = ((1.5, 1.5), (8.5, 5.5), (8.5, 1.5), (1.5, 5.5))
    found = lasso_interior(eight, SHAPE)
    assert found[3, 2]
    assert found[3, 8]
    assert not found[2, 5]


def test_a_stroke_that_goes_on_past_its_beginning_has_no_hole_there() -> None:
    once = lasso_interior(SQUARE, SHAPE)
    np.testing.assert_array_equal(lasso_interior((*SQUARE, *SQUARE[:3]), SHAPE), once)


def test_what_lies_outside_the_slice_is_cut_off() -> None:
    everything = ((-50.0, -50.0), (50.0, -50.0), (50.0, 50.0), (-50.0, 50.0))
    assert lasso_interior(everything, SHAPE).all()
    right_half = ((5.5, -50.0), (50.0, -50.0), (50.0, 50.0), (5.5, 50.0))
    assert lasso_interior(right_half, SHAPE).sum() == 9 * 6


def test_a_lasso_beside_the_slice_encloses_nothing() -> None:
    assert not lasso_interior(tuple((x + 20, y) for x, y in SQUARE), SHAPE).any()
    assert not lasso_interior(tuple((x - 20, y) for x, y in SQUARE), SHAPE).any()


def test_a_lasso_between_voxel_centres_encloses_nothing() -> None:
    assert not lasso_interior(((2.1, 2.1), (2.9, 2.1), (2.9, 2.9)), SHAPE).any()


def test_the_area_of_a_round_lasso_is_that_of_its_circle() -> None:
    assert lasso_interior(circle(200), (60, 60)).sum() == pytest.approx(math.pi * 400, rel=0.02)


@given(st.lists(st.tuples(st.floats(-5, 15), st.floats(-5, 15)), min_size=3, max_size=12))
def test_every_path_has_an_interior_on_the_slice(path: list[tuple[float, float]]) -> None:
    assert lasso_interior(tuple(path), SHAPE).shape == SHAPE


# ---- thinning and walking along


def test_a_straight_stroke_keeps_its_two_ends() -> None:
    assert thinned(tuple((x * 0.1, 3.0) for x in range(100))) == ((0.0, 3.0), (9.9, 3.0))


def test_a_thinned_stroke_lies_within_its_precision() -> None:
    drawn = np.array(circle(400))
    kept = np.array(thinned(tuple(map(tuple, drawn))))
    assert len(kept) < 60
    fine = np.concatenate([np.linspace(a, b, 50) for a, b in pairwise(kept)])
    distances = np.linalg.norm(drawn[:, None] - fine[None], axis=2).min(axis=1)
    assert distances.max() < PRECISION + 0.05


def test_the_longest_stroke_is_thinned_to_what_a_prompt_may_have() -> None:
    zigzag = tuple((float(x), 10.0 * (x % 2)) for x in range(2000))
    assert len(thinned(zigzag)) <= MAX_VERTICES


def test_positions_along_a_stroke_are_evenly_spread() -> None:
    np.testing.assert_allclose(positions_along(((0, 0), (6, 0), (6, 6)), 3), [(2, 0), (6, 0), (6, 4)])
