"""Boxes, points and masks: what they cover, and what is refused when they are made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2_protocol.masks import EMPTY_REGION, region_of_slice
from medsam2_protocol.prompts import (
    BoxPrompt,
    MaskPrompt,
    PointPrompt,
    SegmentPrompts,
    axis_ijk,
    axis_kji,
    slice_of_prompt,
)

coordinates = st.floats(-1e4, 1e4)


@pytest.fixture
def a_slice_mask() -> np.ndarray:
    mask = np.zeros((6, 9), bool)
    mask[1:4, 2:8] = True
    return mask


@pytest.mark.parametrize(("axis", "ijk", "kji"), [("I", 0, 2), ("J", 1, 1), ("K", 2, 0)])
def test_an_axis_letter_names_a_place_in_ijk_and_in_kji(axis: str, ijk: int, kji: int) -> None:
    assert (axis_ijk(axis), axis_kji(axis)) == (ijk, kji)


@pytest.mark.parametrize("axis", ["", "k", "Z", "IJ", "axial"])
def test_another_axis_is_refused(axis: str) -> None:
    with pytest.raises(ValueError, match="I, J or K"):
        BoxPrompt(axis, 0, (0, 0), (1, 1))


def test_a_slice_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="no slice -1"):
        BoxPrompt("K", -1, (0, 0), (1, 1))


@pytest.mark.parametrize(("low", "high"), [((3, 0), (2, 9)), ((0, 3), (9, 2))])
def test_a_box_turned_inside_out_is_refused(low: tuple[float, float], high: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="min <= max"):
        BoxPrompt("K", 0, low, high)


def test_a_box_of_one_voxel_is_a_box() -> None:
    assert BoxPrompt("K", 0, (3, 4), (3, 4)).min == (3, 4)


def test_a_box_may_reach_beyond_the_first_voxel() -> None:
    assert BoxPrompt("K", 0, (-2.5, 0), (3, 4)).min == (-2.5, 0)


@given(st.tuples(coordinates, coordinates, coordinates))
def test_coordinates_are_thousandths_of_a_voxel(ijk: tuple[float, float, float]) -> None:
    assert PointPrompt(ijk).ijk == pytest.approx(ijk, abs=0.00051)


@given(st.tuples(coordinates, coordinates, coordinates))
def test_a_rounded_point_is_not_rounded_again(ijk: tuple[float, float, float]) -> None:
    once = PointPrompt(ijk)
    assert PointPrompt(once.ijk) == once


def test_the_same_point_by_another_computation_is_the_same_point() -> None:
    assert PointPrompt((0.1 + 0.2, 3, 4)) == PointPrompt((0.3, 3, 4))


def test_minus_zero_is_zero() -> None:
    assert str(PointPrompt((-0.0, -1e-9, 0)).ijk) == "(0.0, 0.0, 0.0)"


@pytest.mark.parametrize(("coordinate", "index"), [(2.0, 2), (2.49, 2), (2.5, 3), (-0.5, 0), (-0.6, -1), (0.0, 0)])
def test_a_point_lies_on_the_nearest_slice(coordinate: float, index: int) -> None:
    assert slice_of_prompt(PointPrompt((9, 9, coordinate)), "K") == index


@pytest.mark.parametrize(("axis", "index"), [("I", 1), ("J", 2), ("K", 3)])
def test_a_point_lies_on_a_slice_of_every_axis(axis: str, index: int) -> None:
    assert slice_of_prompt(PointPrompt((1, 2, 3)), axis) == index


def test_a_box_lies_on_its_slice() -> None:
    assert slice_of_prompt(BoxPrompt("J", 7, (0, 0), (1, 1)), "J") == 7


@pytest.mark.parametrize("axis", ["I", "J", "K"])
def test_a_mask_prompt_lies_in_its_slice(a_slice_mask: np.ndarray, axis: str) -> None:
    region = region_of_slice(a_slice_mask, axis_kji(axis), 5)
    assert slice_of_prompt(MaskPrompt(axis, 5, region), axis) == 5


@pytest.mark.parametrize(("axis", "index"), [("K", 4), ("J", 5)])
def test_a_mask_off_its_slice_is_refused(a_slice_mask: np.ndarray, axis: str, index: int) -> None:
    with pytest.raises(ValueError, match="does not lie in slice"):
        MaskPrompt(axis, index, region_of_slice(a_slice_mask, 0, 5))


def test_an_empty_mask_is_no_prompt() -> None:
    with pytest.raises(ValueError, match="at least one voxel"):
        SegmentPrompts("s1", (MaskPrompt("K", 0, EMPTY_REGION),))


def test_an_empty_slice_can_be_kept() -> None:
    empty = MaskPrompt("K", 0, EMPTY_REGION)
    assert SegmentPrompts("s1", (), (empty,)).kept == (empty,)


def test_a_slice_is_kept_once() -> None:
    with pytest.raises(ValueError, match="kept twice"):
        SegmentPrompts("s1", (), (MaskPrompt("K", 0, EMPTY_REGION), MaskPrompt("K", 0, EMPTY_REGION)))
