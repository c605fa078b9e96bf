"""A first look at whole objects: what is shown of them, and that nothing is different afterwards."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from medsam2_engine.backends.base import Backend
from medsam2_engine.first_look import sampled
from medsam2_engine.propagation import SliceMask
from medsam2_engine.session import Session
from medsam2_engine.territories import Stretch
from medsam2_engine.volume import Volume
from medsam2_protocol.masks import EMPTY_REGION, region_of_slice
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import BoxPrompt, MaskPrompt, Prompt, SegmentPrompts
from phantoms import Phantom, a_phantom, dice
from threshold_backend import ThresholdBackend

WINDOW = Window(80.0, 180.0)
COUNT = 40


@pytest.fixture
def long() -> Phantom:
    """On slices 5 to 34."""
    return a_phantom(shape_kji=(COUNT, 64, 64), center_kji=(19.5, 30.0, 33.0), radii_kji=(15.0, 12.0, 14.0))


def box(index: int) -> BoxPrompt:
    return BoxPrompt("K", index, (19, 18), (47, 42))


def given(volume: Volume, *prompts: Prompt, backend: Backend | None = None, **options: object) -> list[SliceMask]:
    kept = options.pop("kept", ())
    asked = SegmentPrompts("s", prompts, kept)  # type: ignore[arg-type]
    session = Session(volume, backend or ThresholdBackend(64))
    return list(session.propagate([asked], "K", window=WINDOW, **options))  # type: ignore[arg-type]


def last_of(results: Iterable[SliceMask]) -> dict[int, SliceMask]:
    return {one.slice: one for one in results}


def masks(results: Iterable[SliceMask]) -> np.ndarray:
    found = np.zeros((COUNT, 64, 64), bool)
    for one in results:
        found[one.slice] = one.mask
    return found


# ---- nothing is different afterwards

PROMPTED: list[dict[str, object]] = [
    {"prompted": (19,)},
    {"prompted": (6,)},
    {"prompted": (9, 30)},
    {"prompted": (18, 20)},
    {"prompted": (19,), "slice_range": (3, 36)},
    {"prompted": (19,), "slice_range": (12, 26)},
    {"prompted": (12, 28), "slice_range": (0, 39)},
    {"prompted": (19,), "direction": "up"},
    {"prompted": (19,), "direction": "down"},
]


@pytest.mark.parametrize("options", PROMPTED, ids=str)
def test_the_masks_are_the_same_to_the_bit_as_without_a_first_look(long: Phantom, options: dict[str, object]) -> None:
    how = dict(options)
    prompts = [box(index) for index in how.pop("prompted")]  # type: ignore[attr-defined]
    plain = given(long.volume, *prompts, **how)
    progressive = given(long.volume, *prompts, progressive=True, **how)
    final = [one for one in progressive if not one.is_provisional]
    assert np.array_equal(masks(progressive), masks(plain))
    assert [(one.slice, one.object_score, one.agreement) for one in final[: len(plain)]] == [
        (one.slice, one.object_score, one.agreement) for one in plain
    ]
    assert not any(one.mask.any() for one in final[len(plain) :])


def test_the_embedded_models_masks_are_the_same_too(phantom: Phantom, embedded: Backend) -> None:
    asked = SegmentPrompts("s", (phantom.box("K", 9),))
    plain, progressive = (
        list(Session(phantom.volume, embedded).propagate([asked], "K", progressive=one)) for one in (False, True)
    )
    assert any(one.is_provisional for one in progressive)
    last = last_of(progressive)
    assert all(np.array_equal(last[one.slice].mask, one.mask) for one in plain)
    assert not any(last[index].mask.any() for index in set(last) - {one.slice for one in plain})


def test_a_correction_has_no_first_look(long: Phantom) -> None:
    results = given(long.volume, box(19), box(25), corrected=25, progressive=True)
    assert not any(one.is_provisional for one in results)


# ---- what is shown


def test_the_whole_object_is_there_before_it_is_followed_slice_by_slice(long: Phantom) -> None:
    results = given(long.volume, box(19), progressive=True)
    first = next(n for n, one in enumerate(results) if n and not one.is_provisional)
    assert dice(masks(results[:first]), long.truth_kji) > 0.93


def test_only_every_fourth_slice_is_followed_and_encoded_for_it(long: Phantom) -> None:
    backend = ThresholdBackend(64)
    session = Session(long.volume, backend)
    results = session.propagate([SegmentPrompts("s", (box(19),))], "K", window=WINDOW, progressive=True)
    followed = 0
    for one in results:
        if one.slice != 19 and not one.is_provisional:
            break
        followed += one.is_provisional
    assert followed > 30
    assert session.encoded <= 12


def test_what_was_encoded_for_a_first_look_is_not_encoded_again(long: Phantom) -> None:
    backend = ThresholdBackend(64)
    given(long.volume, box(19), backend=backend, slice_range=(0, COUNT - 1), progressive=True)
    assert backend.calls.count(("encode",)) == COUNT


def test_kept_slices_are_not_shown_anew_and_the_look_ends_at_empty_ones(long: Phantom) -> None:
    drawn = MaskPrompt("K", 25, region_of_slice(long.truth_kji[25], 0, 25))
    results = given(long.volume, box(19), kept=(MaskPrompt("K", 10, EMPTY_REGION), drawn), progressive=True)
    assert {one.slice for one in results if one.is_provisional} <= set(range(11, COUNT)) - {19, 25}


def test_between_two_prompts_near_to_each_other_the_outlines_are_there_at_once(long: Phantom) -> None:
    results = given(long.volume, box(18), box(21), progressive=True, slice_range=(18, 21))
    assert [(one.slice, one.is_provisional) for one in results[:4]] == [
        (18, False),
        (21, False),
        (19, True),
        (20, True),
    ]


def test_what_a_first_look_shows_beyond_the_end_of_the_object_is_withdrawn(long: Phantom) -> None:
    """Two slices without the object end the propagation; a first look that steps over them finds another one."""
    voxels = long.volume.voxels_kji.copy()
    voxels[20:23] = 0.0
    volume = Volume(voxels, long.volume.ijk_to_ras, "MR")
    results = given(volume, box(15), progressive=True)
    assert any(one.is_provisional and one.mask.any() and one.slice > 24 for one in results)
    assert np.array_equal(masks(results), masks(given(volume, box(15))))


def test_a_cancel_in_the_first_look_is_heard_between_two_slices(long: Phantom) -> None:
    asked = SegmentPrompts("s", (box(19),))
    heard: list[SliceMask] = []
    session = Session(long.volume, ThresholdBackend(64))
    for one in session.propagate([asked], "K", None, WINDOW, lambda: len(heard) > 8, progressive=True):
        heard.append(one)
    assert len(heard) < 16
    assert all(one.is_provisional for one in heard[1:])


@pytest.mark.parametrize(
    ("stretch", "expected"),
    [
        (Stretch(range(11, 30), 10, None), [14, 18, 22, 26]),
        (Stretch(range(11, 14), 10, 14), []),
        (Stretch(range(11, 21), 10, 21), [14, 18]),
        (Stretch(range(10), None, 10), [2, 6]),
        (Stretch(range(16, 30), 10, None), [18, 22, 26]),
    ],
)
def test_every_fourth_slice_is_counted_from_the_anchor(stretch: Stretch, expected: list[int]) -> None:
    assert list(sampled(stretch).slices) == expected
