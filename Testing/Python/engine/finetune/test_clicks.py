from __future__ import annotations

import torch

from medsam2_engine.finetune.clicks import clicks_on_errors, deepest


def square(top: int, left: int, side: int) -> torch.Tensor:
    mask = torch.zeros(64, 64, dtype=torch.bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_a_missed_part_gets_a_positive_click_in_its_middle() -> None:
    truth = square(10, 10, 30)
    predicted = truth & ~square(10, 10, 15)
    places, labels = clicks_on_errors(predicted[None], truth[None])
    assert labels.tolist() == [1]
    assert places[0].tolist() == [17.0, 17.0]


def test_a_leak_gets_a_negative_click_in_its_middle() -> None:
    truth = square(10, 10, 20)
    places, labels = clicks_on_errors((truth | square(40, 42, 11))[None], truth[None])
    assert labels.tolist() == [0]
    assert places[0].tolist() == [47.0, 45.0]


def test_without_an_error_the_click_confirms_the_object() -> None:
    truth = square(20, 20, 9)
    places, labels = clicks_on_errors(truth[None], truth[None])
    assert labels.tolist() == [1]
    assert places[0].tolist() == [24.0, 24.0]


def test_an_absent_object_that_was_not_found_gets_a_negative_click() -> None:
    nothing = torch.zeros(1, 64, 64, dtype=torch.bool)
    _, labels = clicks_on_errors(nothing, nothing)
    assert labels.tolist() == [0]


def test_the_deepest_place_at_the_border_counts_the_outside() -> None:
    assert deepest(square(0, 0, 9)[None]).tolist() == [[4, 4]]
