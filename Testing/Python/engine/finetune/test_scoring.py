from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medsam2_engine.finetune.cases import TrainingCase, read_cases
from medsam2_engine.finetune.scoring import dice, surface_dice, tasks_of
from medsam2_engine.finetune.splitting import split_by_subject

SPACING_IJK = (1.0, 1.0, 3.0)


def block(k: int, j: int, i: int) -> np.ndarray:
    mask = np.zeros((12, 30, 30), bool)
    mask[k : k + 4, j : j + 10, i : i + 10] = True
    return mask


def test_equal_masks_agree_fully() -> None:
    assert dice(block(3, 5, 5), block(3, 5, 5)) == 1
    assert surface_dice(block(3, 5, 5), block(3, 5, 5), SPACING_IJK) == 1


def test_a_shift_within_the_tolerance_costs_dice_but_no_surface() -> None:
    assert dice(block(3, 5, 5), block(3, 5, 7)) == pytest.approx(0.8)
    assert surface_dice(block(3, 5, 5), block(3, 5, 7), SPACING_IJK, tolerance_mm=2.0) == 1


def test_the_tolerance_is_in_millimetres_along_every_axis() -> None:
    one_slice_off = surface_dice(block(3, 5, 5), block(4, 5, 5), SPACING_IJK, tolerance_mm=2.0)
    assert one_slice_off < 1
    assert surface_dice(block(3, 5, 5), block(4, 5, 5), SPACING_IJK, tolerance_mm=3.1) == 1


def test_masks_far_apart_share_nothing_and_nothing_equals_nothing() -> None:
    empty = np.zeros((12, 30, 30), bool)
    assert surface_dice(block(0, 0, 0), block(8, 20, 20), SPACING_IJK) == 0
    assert surface_dice(empty, block(0, 0, 0), SPACING_IJK) == 0
    assert surface_dice(empty, empty, SPACING_IJK) == 1


def test_a_structure_is_asked_for_with_a_box_on_its_largest_slice(case_folder: Path) -> None:
    case = read_cases(case_folder)[0]
    (task,) = tasks_of([case])
    assert task.box.slice == case.areas(case.structures[0], "K").argmax()
    np.testing.assert_array_equal(task.truth_kji, case.mask(case.structures[0]))


def test_a_subject_is_never_on_both_sides(case_folder: Path) -> None:
    cases = read_cases(case_folder)
    for case, subject in zip(cases, "aabb", strict=True):
        object.__setattr__(case, "subject", subject)
    for seed in range(6):
        training, validation = split_by_subject(cases, seed)
        assert subjects(training).isdisjoint(subjects(validation))
        assert validation
    assert split_by_subject(cases, 3) == split_by_subject(cases, 3)


def subjects(cases: tuple[TrainingCase, ...]) -> set[str]:
    return {case.subject for case in cases}
