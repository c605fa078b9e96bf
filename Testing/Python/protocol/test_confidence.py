"""Where to look: what raises doubt about a slice, and that planted errors are among what is looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2_protocol.confidence import SliceEvidence, confidences, doubtful, evidence_of
from medsam2_protocol.masks import EMPTY_REGION, region_of_slice

COUNT = 31
KEY = 15


def sound(index: int) -> SliceEvidence:
    """A slice of an ellipsoid that the model is sure about."""
    area = 800 * (1 - ((index - KEY) / 16) ** 2)
    return SliceEvidence(index, 6.0, 0.95, 0.97, area, (40 + 0.3 * index, 60 - 0.2 * index))


def lesion() -> list[SliceEvidence]:
    return [sound(index) for index in range(COUNT)]


def with_slice(index: int, **changes: object) -> list[SliceEvidence]:
    slices = lesion()
    slices[index] = replace(slices[index], **changes)
    return slices


CHANGES = {
    "a low object score": {"object_score": -1.0},
    "a low predicted IoU": {"predicted_iou": 0.3},
    "two directions that differ": {"agreement": 0.4},
    "a larger mask than beside it": {"area": 1600.0},
    "a smaller mask than beside it": {"area": 200.0},
    "no mask between masks": {"area": 0.0, "centroid": None},
    "a mask somewhere else": {"centroid": (60.0, 60.0)},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_this_raises_doubt(change: dict[str, object]) -> None:
    before, after = confidences(lesion()), confidences(with_slice(8, **change))
    assert after[8] < 0.6 * before[8]


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_the_slice_that_raises_doubt_is_the_first_to_look_at(change: dict[str, object]) -> None:
    values = confidences(with_slice(8, **change))
    assert int(np.argmin(values)) == 8


def test_a_sound_lesion_is_not_doubted() -> None:
    assert doubtful(lesion()) == []


def test_an_oblique_vessel_is_not_doubted_for_moving_steadily() -> None:
    vessel = [SliceEvidence(n, 6.0, 0.95, None, 300, (20 + 8.0 * n, 60.0)) for n in range(COUNT)]
    assert doubtful(vessel) == []


def test_a_trusted_slice_is_never_doubted() -> None:
    slices = with_slice(8, object_score=-9.0)
    assert confidences(slices, trusted=[8])[8] == 1.0
    assert 8 not in doubtful(slices, trusted=[8])


def test_what_lies_behind_a_jump_is_doubted_and_what_lies_before_it_is_not() -> None:
    slices = [sound(n) if n < 20 else replace(sound(n), area=sound(n).area + 900) for n in range(COUNT)]
    values = confidences(slices, trusted=[KEY])
    assert max(values[21:]) < 0.8 * min(values[10:19])


def test_an_empty_slice_that_the_model_calls_empty_is_believed() -> None:
    outside = SliceEvidence(COUNT, -6.0, 0.1, None, 0, None)
    assert confidences([*lesion(), outside])[-1] > 0.8 * confidences(lesion())[-1]


def test_of_two_doubtful_slices_the_one_with_more_at_stake_is_looked_at() -> None:
    slices = [replace(one, predicted_iou=0.2) if one.slice in (2, 12) else one for one in lesion()]
    assert doubtful(slices, share=1 / COUNT) == [12]


# ---- planted errors


def discs(random: np.random.Generator) -> np.ndarray:
    """An ellipsoid that leans, slice by slice: (slices, rows, columns) bool."""
    half, radius = int(random.integers(7, 25)), random.uniform(8, 16)
    along = np.arange(-half, half + 1)[:, None, None] / (half + 0.5)
    j, i = np.mgrid[:64, :64]
    lean = random.uniform(-6, 6, 2)
    return (j - 32 - lean[0] * along) ** 2 + (i - 32 - lean[1] * along) ** 2 <= radius**2 * (1 - along**2)


def leak(truth: np.ndarray, first: int, last: int) -> np.ndarray:
    """The mask runs into something beside it."""
    found = truth.copy()
    found[first : last + 1, 20:50, 40:62] = True
    return found


def loss(truth: np.ndarray, first: int, last: int) -> np.ndarray:
    """Three quarters of the mask are gone."""
    found = truth.copy()
    found[first : last + 1, 26:] = False
    return found


def shift(truth: np.ndarray, first: int, last: int) -> np.ndarray:
    """The mask jumps to another object."""
    found = truth.copy()
    found[first : last + 1] = np.roll(truth[first : last + 1], 14, axis=2)
    return found


def planted(seed: int) -> tuple[list[SliceEvidence], int, np.ndarray]:
    """Evidence, the trusted slice, and wrong voxels by slice. The model notices every other error, and half."""
    random = np.random.default_rng(seed)
    truth = discs(random)
    count = len(truth)
    length = int(random.integers(1, max(2, int(0.15 * count)) + 1))
    first = int(random.choice([n for n in range(1, count - length) if not n <= count // 2 < n + length]))
    plant = (leak, loss, shift)[seed % 3]
    found = plant(truth, first, first + length - 1)
    noticed = seed % 2 == 0
    slices = []
    for n, mask in enumerate(found):
        is_wrong = noticed and first <= n < first + length
        score, iou = random.normal(1.0 if is_wrong else 4.0, 0.7), random.normal(0.6 if is_wrong else 0.85, 0.05)
        slices.append(evidence_of("K", n, region_of_slice(mask, 0, n), score, iou))
    return slices, count // 2, (found ^ truth).sum(axis=(1, 2))


def test_a_fifth_of_the_slices_holds_four_fifths_of_the_planted_errors() -> None:
    held, of_all = 0, 0
    for seed in range(300):
        slices, key, wrong = planted(seed)
        flagged = doubtful(slices, [key], below=1.0)
        assert len(flagged) <= 0.2 * len(slices)
        held += int(wrong[flagged].sum())
        of_all += int(wrong.sum())
    assert held >= 0.8 * of_all


numbers = st.floats(allow_nan=False, allow_infinity=False)
places = st.tuples(st.floats(0, 2000), st.floats(0, 2000))


@st.composite
def any_evidence(draw: st.DrawFn) -> list[SliceEvidence]:
    slices = []
    for index in range(draw(st.integers(0, 12))):
        area = draw(st.just(0) | st.integers(1, 10**7))
        place = draw(places) if area else None
        agreement = draw(st.none() | st.floats(0, 1))
        slices.append(SliceEvidence(index, draw(numbers), draw(numbers), agreement, area, place))
    return slices


@given(any_evidence(), st.sets(st.integers(0, 12)))
def test_a_confidence_lies_between_nothing_and_certainty(slices: list[SliceEvidence], trusted: set[int]) -> None:
    values = confidences(slices, trusted)
    assert len(values) == len(slices)
    assert all(0 <= value <= 1 for value in values)


@given(any_evidence(), st.sets(st.integers(0, 12)))
def test_at_most_a_fifth_is_to_be_looked_at(slices: list[SliceEvidence], trusted: set[int]) -> None:
    found = doubtful(slices, trusted)
    assert len(found) <= 0.2 * len(slices)
    assert found == sorted(found)


@pytest.mark.parametrize(("axis", "kji"), [("K", 0), ("J", 1), ("I", 2)])
def test_area_and_centroid_are_those_of_the_mask(axis: str, kji: int) -> None:
    mask = np.zeros((20, 30), bool)
    mask[4:8, 10:13] = True
    one = evidence_of(axis, 5, region_of_slice(mask, kji, 5), 2.0, 0.8, 0.9)
    assert one == SliceEvidence(5, 2.0, 0.8, 0.9, 12, (5.5, 11.0))


def test_an_empty_mask_has_no_centroid() -> None:
    assert evidence_of("K", 5, EMPTY_REGION, -2.0, 0.8) == SliceEvidence(5, -2.0, 0.8, None, 0, None)
