"""The judge between guesses of different size prefers the whole object."""

from __future__ import annotations

import numpy as np
import pytest

from medsam2_engine.separation import separation


def disc(radius: float, x: float = 32, y: float = 32) -> np.ndarray:
    rows, columns = np.indices((64, 64))
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


@pytest.fixture
def image() -> np.ndarray:
    """A bright disc of twelve voxels in noise."""
    noise = np.random.default_rng(5).normal(0, 8, (64, 64))
    return (np.where(disc(12), 150, 60) + noise).astype(np.float32)


def test_the_object_stands_out_better_than_a_part_of_it(image: np.ndarray) -> None:
    assert separation(image, disc(12)) > separation(image, disc(6))


def test_the_object_stands_out_better_than_with_its_surroundings(image: np.ndarray) -> None:
    assert separation(image, disc(12)) > separation(image, disc(20))


def test_the_object_stands_out_better_than_a_place_beside_it(image: np.ndarray) -> None:
    assert separation(image, disc(12)) > separation(image, disc(8, x=8, y=8))


def test_dark_objects_stand_out_like_bright_ones(image: np.ndarray) -> None:
    assert separation(-image, disc(12)) == pytest.approx(separation(image, disc(12)), rel=0.05)


def test_an_object_at_the_border_is_judged_by_what_is_inside(image: np.ndarray) -> None:
    assert separation(image[:, 30:], disc(12)[:, 30:]) > 0.5


@pytest.mark.parametrize("mask", [disc(0, x=0.5), disc(0), disc(100)], ids=["nothing", "one voxel", "everything"])
def test_a_mask_that_cannot_be_judged_is_worth_nothing(image: np.ndarray, mask: np.ndarray) -> None:
    assert separation(image, mask) == 0


@pytest.mark.parametrize("value", [0, 7, -1024, 1e10])
def test_a_slice_of_one_value_is_worth_almost_nothing(value: float) -> None:
    assert separation(np.full((64, 64), value, np.float32), disc(12)) == pytest.approx(0, abs=0.2)
