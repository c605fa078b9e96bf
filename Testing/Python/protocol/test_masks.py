"""A mask survives the wire voxel by voxel, and costs little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medsam2_protocol.masks import EMPTY_REGION, MaskRegion, region_of_mask, region_of_slice
from medsam2_protocol.tagged import from_json, to_json

SHAPE_KJI = (4, 6, 9)
masks_kji = arrays.arrays(bool, st.tuples(*(st.integers(1, size) for size in SHAPE_KJI)))


def pasted(region: MaskRegion, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    region.paste_into(mask)
    return mask


@pytest.fixture
def a_mask() -> np.ndarray:
    """Nothing about it is symmetric."""
    mask = np.zeros(SHAPE_KJI, bool)
    mask[1, 2:5, 3:8] = True
    mask[2, 3, 4] = True
    mask[1, 2, 3] = False
    return mask


@given(masks_kji)
def test_every_mask_comes_back_voxel_by_voxel(mask: np.ndarray) -> None:
    assert np.array_equal(pasted(region_of_mask(mask), mask.shape), mask)


@given(masks_kji)
def test_every_region_survives_the_wire(mask: np.ndarray) -> None:
    region = region_of_mask(mask)
    assert from_json(to_json(region), MaskRegion) == region


@given(masks_kji)
def test_the_box_is_no_larger_than_the_mask(mask: np.ndarray) -> None:
    region = region_of_mask(mask)
    occupied = np.argwhere(mask)
    assert region.start_kji == (tuple(occupied.min(axis=0)) if occupied.size else (0, 0, 0))
    assert region.stop_kji == (tuple(occupied.max(axis=0) + 1) if occupied.size else (0, 0, 0))


def test_the_box_starts_at_the_first_voxel(a_mask: np.ndarray) -> None:
    assert region_of_mask(a_mask).start_kji == (1, 2, 3)


def test_the_box_stops_after_the_last_voxel(a_mask: np.ndarray) -> None:
    assert region_of_mask(a_mask).stop_kji == (3, 5, 8)


def test_an_offset_moves_the_box(a_mask: np.ndarray) -> None:
    assert region_of_mask(a_mask, (10, 20, 30)).start_kji == (11, 22, 33)


def test_eight_voxels_cost_one_byte() -> None:
    assert len(region_of_mask(np.ones((1, 16, 16), bool)).bits) == 44  # 32 bytes in base64


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_slice_lands_on_its_index_of_its_axis(a_mask: np.ndarray, axis: int) -> None:
    expected = np.zeros_like(a_mask)
    place = tuple(slice(None) if n != axis else 2 for n in range(3))
    expected[place] = a_mask[place]
    assert np.array_equal(pasted(region_of_slice(a_mask[place], axis, 2), SHAPE_KJI), expected)


def test_an_array_in_any_memory_order_gives_the_same_region(a_mask: np.ndarray) -> None:
    assert region_of_mask(np.asfortranarray(a_mask)) == region_of_mask(a_mask)


def test_an_integer_mask_is_read_as_zero_or_not(a_mask: np.ndarray) -> None:
    assert region_of_mask(a_mask.astype(np.uint8) * 200) == region_of_mask(a_mask)


def test_a_mask_without_voxels_is_the_empty_region() -> None:
    assert region_of_mask(np.zeros(SHAPE_KJI, bool)) == EMPTY_REGION


def test_the_empty_region_is_empty() -> None:
    assert EMPTY_REGION.is_empty


def test_the_empty_region_sets_nothing() -> None:
    assert not pasted(EMPTY_REGION, SHAPE_KJI).any()


def test_pasting_clears_nothing(a_mask: np.ndarray) -> None:
    mask = np.ones(SHAPE_KJI, bool)
    region_of_mask(a_mask).paste_into(mask)
    assert mask.all()


def test_pasting_into_integers_writes_ones(a_mask: np.ndarray) -> None:
    labels = np.zeros(SHAPE_KJI, np.int16)
    region_of_mask(a_mask).paste_into(labels)
    assert np.array_equal(labels, a_mask.astype(np.int16))


def test_a_region_that_does_not_fit_is_refused(a_mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="outside"):
        region_of_mask(a_mask).paste_into(np.zeros((4, 6, 7), bool))


def test_a_refused_region_changes_nothing(a_mask: np.ndarray) -> None:
    small = np.zeros((4, 6, 7), bool)
    with pytest.raises(ValueError, match="outside"):
        region_of_mask(a_mask).paste_into(small)
    assert not small.any()


@pytest.mark.parametrize("bits", ["?", "AA", "AAA=A", "é", "A A="])
def test_bits_that_are_not_base64_are_refused(bits: str) -> None:
    with pytest.raises(ValueError, match="not base64"):
        MaskRegion((0, 0, 0), (1, 2, 4), bits)


@pytest.mark.parametrize("bits", ["", "AAA="])
def test_bits_of_another_mask_are_refused(bits: str) -> None:
    with pytest.raises(ValueError, match="another number of bytes"):
        MaskRegion((0, 0, 0), (1, 2, 4), bits)


@pytest.mark.parametrize(("start", "shape"), [((0, -1, 0), (1, 1, 8)), ((0, 0, 0), (1, -1, -8))])
def test_a_region_below_zero_is_refused(start: tuple[int, int, int], shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="below zero"):
        MaskRegion(start, shape, "AA==")
