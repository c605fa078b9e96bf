"""Windows: chosen by what is known of the volume, applied to copies only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medsam2_engine.intensity import CT_WINDOW, LUNG_WINDOW, apply_window, ct_window, default_window, is_ct
from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window

SHAPE_KJI = (4, 10, 25)


def volume_of(voxels: np.ndarray, modality: str = "") -> Volume:
    return Volume(voxels, np.eye(4), modality)


@pytest.fixture
def hounsfield() -> np.ndarray:
    voxels = np.full(SHAPE_KJI, 40, np.int16)
    voxels[0] = -1024
    return voxels


@pytest.fixture
def one_to_thousand() -> np.ndarray:
    return np.arange(1, 1001, dtype=np.float32).reshape(SHAPE_KJI)


# ---- which window


def test_signed_integers_far_below_water_are_ct(hounsfield: np.ndarray) -> None:
    assert is_ct(volume_of(hounsfield))


def test_the_header_has_the_last_word(hounsfield: np.ndarray) -> None:
    assert not is_ct(volume_of(hounsfield, "MR"))


@pytest.mark.parametrize("modality", ["CT", "ct"])
def test_the_header_makes_any_voxels_ct(one_to_thousand: np.ndarray, modality: str) -> None:
    assert is_ct(volume_of(one_to_thousand, modality))


def test_floats_that_reach_down_to_air_are_ct(hounsfield: np.ndarray) -> None:
    assert is_ct(volume_of(hounsfield.astype(np.float32)))


def test_values_below_water_but_above_air_are_not_taken_for_ct(one_to_thousand: np.ndarray) -> None:
    assert not is_ct(volume_of((one_to_thousand - 600).astype(np.int16)))


def thorax_slice() -> np.ndarray:
    """(rows, columns) in HU: air outside, muscle, and a lung with a nodule from row and column 26 to 33."""
    image = np.full((64, 64), -1000, np.float32)
    image[8:56, 8:56] = 50
    image[16:44, 16:44] = -800
    image[26:34, 26:34] = 30
    return image


def test_a_nodule_in_the_lung_is_seen_in_the_lung_window() -> None:
    assert ct_window(thorax_slice(), (25, 25, 34, 34)) == LUNG_WINDOW


@pytest.mark.parametrize("box", [(46, 20, 54, 40), (0, 0, 12, 12), (-9, 60, 70, 80)])
def test_elsewhere_a_ct_is_seen_in_the_soft_tissue_window(box: tuple[float, float, float, float]) -> None:
    assert ct_window(thorax_slice(), box) == CT_WINDOW


def test_ct_is_shown_in_the_soft_tissue_window(hounsfield: np.ndarray) -> None:
    assert default_window(volume_of(hounsfield)) == CT_WINDOW


def test_other_volumes_are_shown_between_two_percentiles(one_to_thousand: np.ndarray) -> None:
    window = default_window(volume_of(one_to_thousand))
    assert (window.lower, window.upper) == pytest.approx((5.995, 995.005))


def test_zeros_do_not_count(one_to_thousand: np.ndarray) -> None:
    padded = np.concatenate([one_to_thousand, np.zeros_like(one_to_thousand)])
    assert default_window(volume_of(padded)) == default_window(volume_of(one_to_thousand))


@pytest.mark.parametrize("value", [0, 7, -3])
def test_a_volume_of_one_value_has_a_window(value: int) -> None:
    window = default_window(volume_of(np.full(SHAPE_KJI, value, np.int16)))
    assert window == Window(value, value + 1)


def test_nan_and_infinity_do_not_count(one_to_thousand: np.ndarray) -> None:
    spoilt = np.concatenate([one_to_thousand, np.full((1, 10, 25), np.nan, np.float32)])
    spoilt[-1, 0, :2] = np.inf, -np.inf
    assert default_window(volume_of(spoilt)) == default_window(volume_of(one_to_thousand))


def test_a_volume_of_nan_alone_has_a_window() -> None:
    assert default_window(volume_of(np.full(SHAPE_KJI, np.nan))) == Window(0, 1)


@given(arrays.arrays(np.float32, (2, 3, 4)))
def test_any_volume_has_a_window(voxels: np.ndarray) -> None:
    window = default_window(volume_of(voxels))
    assert np.isfinite([window.lower, window.upper]).all()


# ---- applying it


def test_the_window_becomes_0_to_1() -> None:
    values = np.array([-1000, -160, 40, 240, 3000], np.float32)
    assert apply_window(values, CT_WINDOW).tolist() == [0, 0, 0.5, 1, 1]


def test_a_windowed_slice_is_float32() -> None:
    assert apply_window(np.zeros((2, 3), np.float32), CT_WINDOW).dtype == np.float32


def test_windowing_changes_no_voxel(one_to_thousand: np.ndarray) -> None:
    before = one_to_thousand.copy()
    apply_window(one_to_thousand, Window(10, 20))
    assert np.array_equal(one_to_thousand, before)


@given(
    st.floats(-1e5, 1e5), st.floats(1e-3, 1e5), arrays.arrays(np.float32, 8, elements=st.floats(-1e6, 1e6, width=32))
)
def test_windowing_keeps_the_order_of_intensities(lower: float, width: float, values: np.ndarray) -> None:
    windowed = apply_window(np.sort(values), Window(lower, lower + width))
    assert (np.diff(windowed) >= 0).all()
