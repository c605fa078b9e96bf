"""Outlines between two slices: Raya and Udupa's shapes, and objects that end."""

from __future__ import annotations

import numpy as np
import pytest

from medsam2_engine import interpolation
from medsam2_engine.frames import Mask

ISOTROPIC = (1.0, 1.0)


def disc(radius: float, row: float = 30, column: float = 40) -> Mask:
    rows, columns = np.indices((60, 80))
    return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)


def interpolated(one: Mask, other: Mask, share: float, spacing_xy: tuple[float, float]) -> Mask:
    (found,) = interpolation.interpolated(one, other, [share], spacing_xy)
    return found


def radius_of(mask: Mask) -> float:
    return float(np.sqrt(mask.sum() / np.pi))


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_between_two_discs_lies_a_disc_of_the_radius_between(share: float) -> None:
    found = interpolated(disc(8), disc(16), share, ISOTROPIC)
    assert radius_of(found) == pytest.approx(8 + 8 * share, abs=0.5)
    assert np.argwhere(found).mean(0) == pytest.approx([30, 40])


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_between_two_equal_masks_lies_the_same(share: float) -> None:
    assert np.array_equal(interpolated(disc(9), disc(9), share, ISOTROPIC), disc(9))


def test_an_object_that_moves_is_between_its_two_places() -> None:
    found = interpolated(disc(12, column=30), disc(12, column=38), 0.5, ISOTROPIC)
    assert np.argwhere(found).mean(0) == pytest.approx([30, 34], abs=0.01)


def test_it_does_not_matter_from_which_side_it_is_seen() -> None:
    one, other = disc(7, 22, 31), disc(15, 30, 40)
    assert np.array_equal(interpolated(one, other, 0.25, ISOTROPIC), interpolated(other, one, 0.75, ISOTROPIC))


def test_an_object_that_is_gone_on_the_next_slice_ends_half_way() -> None:
    nothing = np.zeros((60, 80), bool)
    areas = [int(interpolated(disc(12), nothing, share, ISOTROPIC).sum()) for share in (0.0, 0.25, 0.45, 0.5, 0.75)]
    assert areas[0] == disc(12).sum()
    assert areas == sorted(areas, reverse=True)
    assert areas[2] > 0
    assert areas[3:] == [0, 0]


def test_between_two_empty_slices_lies_nothing() -> None:
    nothing = np.zeros((60, 80), bool)
    assert not interpolated(nothing, nothing, 0.5, ISOTROPIC).any()


def test_distances_are_those_of_the_patient_not_of_the_voxels() -> None:
    """A disc of 12 mm on rows of half a millimetre is eroded by 4 mm: eight rows and four columns on every side."""
    rows, columns = np.indices((60, 80))
    round_in_mm = ((rows - 30) / 2) ** 2 + (columns - 40) ** 2 <= 12**2
    found = interpolated(round_in_mm, np.zeros((60, 80), bool), 0.25, (1.0, 0.5))
    height, width = (int(np.count_nonzero(found.any(axis=axis))) for axis in (1, 0))
    assert height == pytest.approx(2 * width, abs=2)
    assert width == pytest.approx(2 * 8, abs=1)
