"""A click that corrects the mask of a small model changes what it points at, no more."""

import numpy as np

from medsam2_engine.drawing import as_clicked
from medsam2_engine.slice_prompts import Click

SHAPE = (40, 50)


def block(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[rows, columns] = True
    return mask


BEFORE = block(slice(10, 20), slice(10, 20))


def corrected(after: np.ndarray, click: Click) -> np.ndarray:
    return as_clicked(BEFORE, after, click)


def test_only_the_change_under_the_click_is_taken_over() -> None:
    meant, elsewhere = block(slice(10, 20), slice(20, 30)), block(slice(30, 35), slice(40, 45))
    found = corrected(BEFORE | meant | elsewhere, Click(25.0, 15.0, True))
    assert (found == BEFORE | meant).all()


def test_a_negative_click_takes_away_the_part_that_the_model_gave_up_there() -> None:
    given_up, elsewhere = block(slice(10, 20), slice(17, 20)), block(slice(10, 12), slice(10, 12))
    found = corrected(BEFORE & ~given_up & ~elsewhere, Click(18.0, 15.0, False))
    assert (found == BEFORE & ~given_up).all()


def test_what_a_model_takes_away_by_a_positive_click_stays() -> None:
    meant = block(slice(12, 16), slice(20, 24))
    found = corrected(meant, Click(22.0, 14.0, True))
    assert (found == BEFORE | meant).all()


def test_a_click_that_the_model_does_not_follow_stands_for_a_disc_up_to_the_border() -> None:
    found = corrected(BEFORE, Click(23.0, 15.0, True))
    added = found & ~BEFORE
    assert (found >= BEFORE).all()
    assert added[15, 20:28].all()
    assert not added[15, 28:].any()
    assert 40 < added.sum() < np.pi * 4.5**2


def test_a_click_far_from_the_mask_stands_for_a_disc_of_bounded_size() -> None:
    far = corrected(block(slice(0, 0), slice(0, 0)), Click(45.0, 38.0, True)) & ~BEFORE
    assert far[38, 45]
    assert far.sum() <= np.pi * 12.5**2


def test_a_click_at_the_border_of_the_slice_is_one_of_its_voxels() -> None:
    found = corrected(BEFORE, Click(49.5, 39.5, True))
    assert found[39, 49]


def test_a_piece_is_taken_over_only_around_the_click() -> None:
    strip = block(slice(14, 16), slice(20, 50))
    found = corrected(BEFORE | strip, Click(21.0, 15.0, True))  # two voxels from the border
    assert (found == BEFORE | (strip & block(slice(0, 40), slice(20, 33)) | block(slice(15, 16), slice(33, 34)))).all()


def test_of_a_voxel_beside_the_border_no_more_is_forced_than_the_model_follows() -> None:
    one = block(slice(15, 16), slice(20, 21))
    assert (corrected(BEFORE | one, Click(20.0, 15.0, True)) == BEFORE | one).all()


def test_a_click_that_agrees_with_the_mask_may_still_let_it_grow() -> None:
    grown = block(slice(8, 22), slice(8, 40))
    assert (corrected(grown, Click(19.0, 15.0, True)) == grown).all()


def test_a_click_on_an_empty_mask_takes_over_what_lies_there() -> None:
    empty, meant = np.zeros(SHAPE, bool), block(slice(30, 35), slice(30, 35))
    assert (as_clicked(empty, meant, Click(32.0, 32.0, True)) == meant).all()
