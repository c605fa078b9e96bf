"""Correcting a slice: what stands is not touched, what is computed lies between it, and nothing is encoded again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2_engine.backends.base import Backend
from medsam2_engine.backends.sam2 import Sam2Backend
from medsam2_engine.device import choose_device
from medsam2_engine.errors import BadRequest
from medsam2_engine.features import SMALLEST_BUDGET
from medsam2_engine.framing import WholeSliceFraming
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.propagation import SliceMask
from medsam2_engine.session import Session
from medsam2_engine.volume import Volume
from medsam2_protocol.masks import EMPTY_REGION, region_of_slice
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt, SegmentPrompts
from phantoms import Phantom, a_phantom, dice
from seeded_networks import seeded_model
from threshold_backend import ThresholdBackend

COUNT = 24
WINDOW = Window(0, 100)
PLACE = np.s_[10:18, 12:24]
MIDDLE = 9


@pytest.fixture
def everywhere() -> Volume:
    """A bright square on every slice along K."""
    voxels = np.zeros((COUNT, 32, 32), np.float32)
    voxels[(slice(None), *PLACE)] = 100
    return Volume(voxels, np.eye(4))


def box(k: int) -> BoxPrompt:
    return BoxPrompt("K", k, (12, 10), (23, 17))


def kept_mask(k: int) -> MaskPrompt:
    """Something else than the model would say."""
    mask = np.zeros((32, 32), bool)
    mask[12:14, 14:16] = True
    return MaskPrompt("K", k, region_of_slice(mask, 0, k))


def empty(k: int) -> MaskPrompt:
    return MaskPrompt("K", k, EMPTY_REGION)


def asked(prompted: Iterable[int], kept: Iterable[int] = (), emptied: Iterable[int] = ()) -> SegmentPrompts:
    stand = (*(kept_mask(k) for k in kept), *(empty(k) for k in emptied))
    return SegmentPrompts("s1", tuple(box(k) for k in prompted), stand)


def propagated(volume: Volume, segment: SegmentPrompts, backend: Backend | None = None, **options: object) -> list:
    session = Session(volume, backend or ThresholdBackend())
    return list(session.propagate([segment], "K", window=WINDOW, **options))  # type: ignore[arg-type]


def slices_of(results: Iterable[SliceMask]) -> set[int]:
    return {result.slice for result in results}


# ---- kept slices


def test_a_kept_slice_is_never_sent(everywhere: Volume) -> None:
    assert slices_of(propagated(everywhere, asked([8], kept=[5, 12, 13]))) == set(range(COUNT)) - {5, 12, 13}


def test_a_kept_slice_with_prompts_on_it_stands_all_the_same(everywhere: Volume) -> None:
    assert 12 not in slices_of(propagated(everywhere, asked([8, 12], kept=[12])))


def test_what_was_clicked_on_a_kept_slice_need_not_make_sense_any_more(everywhere: Volume) -> None:
    outside = PointPrompt((2.0, 2.0, 12.0), positive=False)
    segment = replace(asked([8], kept=[12]), prompts=(box(8), outside))
    assert slices_of(propagated(everywhere, segment)) == set(range(COUNT)) - {12}


def test_a_walk_is_conditioned_on_the_kept_slice_it_starts_from(everywhere: Volume) -> None:
    backend = ThresholdBackend()
    propagated(everywhere, asked([8], kept=[12]), backend)
    starts = [backend.conditioned(n)[0] for n in range(len(backend.directions))]
    assert starts == [8, 8, 12, 12]


def test_a_walk_remembers_the_kept_slice_it_goes_to(everywhere: Volume) -> None:
    backend = ThresholdBackend()
    propagated(everywhere, asked([8], kept=[12]), backend)
    assert all(set(backend.conditioned(n)) == {8, 12} for n in range(len(backend.directions)))


def test_of_many_kept_slices_the_nearest_are_remembered_and_those_that_are_walked_from(everywhere: Volume) -> None:
    backend = ThresholdBackend()
    propagated(everywhere, asked([8], kept=range(12, 22)), backend)
    assert set(backend.conditioned(0)) == {8, 12, 13, 14, 21}


def test_kept_slices_alone_are_enough_to_propagate_from(everywhere: Volume) -> None:
    assert slices_of(propagated(everywhere, asked([], kept=[8]))) == set(range(COUNT)) - {8}


def test_behind_an_emptied_slice_nothing_is_computed(everywhere: Volume) -> None:
    assert slices_of(propagated(everywhere, asked([8], emptied=[12]))) == set(range(12))


def test_behind_an_emptied_slice_another_prompt_goes_on(everywhere: Volume) -> None:
    results = propagated(everywhere, asked([8, 16], emptied=[12]))
    assert slices_of(results) == set(range(COUNT)) - {12}
    assert all(result.agreement is None for result in results)


def test_an_emptied_slice_is_not_remembered(everywhere: Volume) -> None:
    backend = ThresholdBackend()
    propagated(everywhere, asked([8], emptied=[12]), backend)
    assert all(12 not in backend.conditioned(n) for n in range(len(backend.directions)))


def test_kept_slices_outside_a_known_range_do_not_matter(everywhere: Volume) -> None:
    backend = ThresholdBackend()
    results = propagated(everywhere, asked([8], kept=[3, 20]), backend, slice_range=(6, 12))
    assert slices_of(results) == set(range(6, 13))
    assert not {3, 20} & {k for n in range(len(backend.directions)) for k in backend.conditioned(n)}


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (MaskPrompt("J", 3, region_of_slice(np.ones((24, 32), bool), 1, 3)), "kept, but the request is along axis K"),
        (empty(COUNT), "no slice 24 to keep"),
        (MaskPrompt("K", 3, region_of_slice(np.ones((40, 40), bool), 0, 3)), "outside the volume"),
    ],
    ids=["another axis", "no such slice", "another volume"],
)
def test_a_kept_mask_that_does_not_fit_is_refused(everywhere: Volume, kept: MaskPrompt, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        Session(everywhere, ThresholdBackend()).propagate([SegmentPrompts("s1", (box(8),), (kept,))], "K")


# ---- local re-propagation


def test_a_correction_touches_what_lies_up_to_the_next_slice_that_stands(everywhere: Volume) -> None:
    assert slices_of(propagated(everywhere, asked([12], kept=[6, 17]), corrected=12)) == set(range(7, 17))


def test_other_prompted_slices_bound_a_correction_and_are_not_sent(everywhere: Volume) -> None:
    assert slices_of(propagated(everywhere, asked([6, 12, 17]), corrected=12)) == set(range(7, 17))


def test_a_correction_without_anything_that_stands_reaches_to_the_end_of_the_object() -> None:
    voxels = np.zeros((COUNT, 32, 32), np.float32)
    voxels[(slice(6, 15), *PLACE)] = 100
    assert slices_of(propagated(Volume(voxels, np.eye(4)), asked([12], kept=[8]), corrected=12)) == set(range(9, 17))


def test_a_correction_stays_in_a_known_range(everywhere: Volume) -> None:
    results = propagated(everywhere, asked([12], kept=[8]), corrected=12, slice_range=(8, 15))
    assert slices_of(results) == set(range(9, 16))


@pytest.mark.parametrize(("direction", "expected"), [("up", range(12, 17)), ("down", range(7, 13))])
def test_a_correction_goes_one_way_if_asked(everywhere: Volume, direction: str, expected: range) -> None:
    results = propagated(everywhere, asked([12], kept=[6, 17]), corrected=12, direction=direction)
    assert slices_of(results) == set(expected)


def test_a_slice_edited_by_hand_corrects_its_neighbours_and_is_not_sent(everywhere: Volume) -> None:
    results = propagated(everywhere, asked([6, 17], kept=[12]), corrected=12)
    assert slices_of(results) == set(range(7, 17)) - {12}


def test_an_emptied_slice_corrects_what_lies_before_it(everywhere: Volume) -> None:
    assert slices_of(propagated(everywhere, asked([6], emptied=[12]), corrected=12)) == set(range(7, 12))


def test_the_masks_to_expect_of_a_correction_are_known_beforehand(everywhere: Volume) -> None:
    segment = asked([12], kept=[6, 17])
    most = Session(everywhere, ThresholdBackend()).most_masks(segment, "K", None, corrected=12)
    assert most == len(propagated(everywhere, segment, corrected=12))


def test_a_slice_without_a_prompt_cannot_be_corrected(everywhere: Volume) -> None:
    with pytest.raises(BadRequest, match="Slice 9 has no prompt of segment s1"):
        Session(everywhere, ThresholdBackend()).propagate([asked([8])], "K", corrected=9)


def test_an_unknown_policy_is_a_bad_request(everywhere: Volume) -> None:
    with pytest.raises(BadRequest, match="no memory policy 'best'"):
        Session(everywhere, ThresholdBackend()).propagate([asked([8])], "K", policy="best")


slices = st.sets(st.integers(0, COUNT - 1), max_size=5)


@given(slices.filter(bool), slices, slices, st.data())
def test_whatever_stands_a_correction_sends_nothing_beyond_it(
    prompted: set[int], kept: set[int], emptied: set[int], data: st.DataObject
) -> None:
    voxels = np.zeros((COUNT, 32, 32), np.float32)
    voxels[(slice(None), *PLACE)] = 100
    stand = kept | emptied
    corrected = data.draw(st.sampled_from(sorted(prompted | stand)))
    segment = asked(prompted, kept, emptied - kept)
    sent = slices_of(propagated(Volume(voxels, np.eye(4)), segment, corrected=corrected))
    given_slices = prompted | stand
    above = min((k for k in given_slices if k > corrected), default=COUNT)
    below = max((k for k in given_slices if k < corrected), default=-1)
    assert sent <= set(range(below + 1, above)) - stand


def test_a_cancelled_correction_says_nothing_more(everywhere: Volume) -> None:
    session = Session(everywhere, ThresholdBackend())
    sent = []
    for result in session.propagate(
        [asked([12], kept=[6, 17])], "K", None, WINDOW, lambda: len(sent) >= 3, corrected=12
    ):
        sent.append(result)
    assert len(sent) == 3


# ---- nothing is encoded again


@pytest.fixture(scope="module")
def tiny() -> Backend:
    """A whole-slice SAM 2 of seeded numbers: it sees something everywhere."""
    config = Sam2Config.hiera_tiny(128)
    return Sam2Backend("seeded", seeded_model(config), WholeSliceFraming(128), choose_device("cpu"))


REACHED = (5, 35)  # by the propagation before; what a correction finds beyond has never been seen


def drifting() -> Phantom:
    """An oblique object, which the embedded model follows in several crops."""
    long = a_phantom(shape_kji=(40, 64, 96), center_kji=(20, 30, 46), radii_kji=(17, 9, 9))
    shift = np.arange(40) - 20
    voxels, truth = (
        np.stack([np.roll(plane, move, axis=1) for plane, move in zip(array, shift, strict=True)])
        for array in (long.volume.voxels_kji, long.truth_kji)
    )
    return Phantom(replace(long.volume, voxels_kji=voxels), truth)


def encodings(
    session: Session, segment: SegmentPrompts, corrected: int, reached: tuple[int, int] | None = None
) -> tuple[int, list[SliceMask]]:
    """Of a preview and the correction that follows it."""
    before = session.encoded
    if any(not isinstance(prompt, MaskPrompt) for prompt in segment.prompts):
        session.predict(segment, "K", corrected)
    results = list(session.propagate([segment], "K", reached, corrected=corrected))
    return session.encoded - before, results


def mask_prompt(result: SliceMask) -> MaskPrompt:
    return MaskPrompt("K", result.slice, region_of_slice(result.mask, 0, result.slice))


CORRECTIONS = {
    "a box": lambda p, k: p.box("K", k),
    "a click": lambda p, k: p.point("K", k),
    "a drawn mask": lambda p, k: p.mask("K", k),
}


@pytest.mark.parametrize("correction", CORRECTIONS.values(), ids=list(CORRECTIONS))
@pytest.mark.parametrize("k", [8, 14, 24, 31])
@pytest.mark.parametrize("keys", [(20,), (12, 28)], ids=["one key slice", "two key slices"])
def test_a_correction_with_the_embedded_model_encodes_nothing_that_was_seen(
    embedded: Backend, correction: object, k: int, keys: Sequence[int]
) -> None:
    phantom = drifting()
    session = Session(phantom.volume, embedded)
    boxes = tuple(phantom.box("K", key) for key in keys)
    first = {one.slice: one for one in session.propagate([SegmentPrompts("s1", boxes)], "K", REACHED)}
    prompt: Prompt = correction(phantom, k)  # type: ignore[operator]
    segment = SegmentPrompts("s1", (prompt,), tuple(mask_prompt(first[key]) for key in keys))
    encoded, results = encodings(session, segment, k, REACHED)
    assert encoded == 0
    assert k in slices_of(results)


def test_the_object_that_is_corrected_needs_several_crops(embedded: Backend) -> None:
    phantom = drifting()
    session = Session(phantom.volume, embedded)
    visited = list(session.propagate([SegmentPrompts("s1", (phantom.box("K", 20),))], "K"))
    assert session.encoded > len(visited) + 1


@pytest.mark.parametrize("k", [6, 11])
def test_a_correction_with_a_whole_slice_model_encodes_nothing(phantom: Phantom, tiny: Backend, k: int) -> None:
    session = Session(phantom.volume, tiny)
    first = list(session.propagate([SegmentPrompts("s1", (phantom.box("K", MIDDLE),))], "K"))
    segment = SegmentPrompts("s1", (phantom.box("K", k),), (mask_prompt(first[0]),))
    encoded, results = encodings(session, segment, k)
    assert encoded == 0
    assert len(results) > 1


def test_a_preview_on_a_slice_that_was_propagated_is_what_the_correction_shows(embedded: Backend) -> None:
    phantom = drifting()
    session = Session(phantom.volume, embedded)
    list(session.propagate([SegmentPrompts("s1", (phantom.box("K", 20),))], "K"))
    segment = SegmentPrompts("s1", (phantom.point("K", 28),))
    preview = session.predict(segment, "K", 28)
    assert np.array_equal(preview.mask, next(session.propagate([segment], "K", corrected=28)).mask)


def test_a_correction_keeps_the_masks_on_the_object(embedded: Backend) -> None:
    phantom = drifting()
    session = Session(phantom.volume, embedded)
    found = np.zeros(phantom.truth_kji.shape, bool)
    for one in session.propagate([SegmentPrompts("s1", (phantom.box("K", 20),))], "K"):
        found[one.slice] = one.mask
    segment = SegmentPrompts("s1", (phantom.box("K", 10),), (phantom.mask("K", 20),))
    for one in session.propagate([segment], "K", corrected=10):
        found[one.slice] = one.mask
    assert dice(found, phantom.truth_kji) > 0.9


def test_a_box_around_something_else_is_looked_at_anew(embedded: Backend) -> None:
    phantom = drifting()
    session = Session(phantom.volume, embedded)
    list(session.propagate([SegmentPrompts("s1", (phantom.box("K", 20),))], "K"))
    elsewhere = SegmentPrompts("s1", (BoxPrompt("K", 20, (4.0, 4.0), (16.0, 14.0)),))
    fresh = Session(phantom.volume, embedded).predict(elsewhere, "K", 20)
    assert np.array_equal(session.predict(elsewhere, "K", 20).mask, fresh.mask)


def test_a_session_that_has_seen_nothing_corrects_as_well(embedded: Backend) -> None:
    """After a worker's restart."""
    phantom = drifting()
    segment = SegmentPrompts("s1", (phantom.box("K", 14),), (phantom.mask("K", 20),))
    results = list(Session(phantom.volume, embedded).propagate([segment], "K", corrected=14))
    found = {one.slice: one.mask for one in results}
    assert set(found) >= set(range(8, 20))
    assert min(dice(found[k], phantom.truth_kji[k]) for k in range(8, 20)) > 0.85


def test_slices_between_kept_ones_are_seen_from_both(embedded: Backend, phantom: Phantom) -> None:
    segment = SegmentPrompts("s1", (), (phantom.mask("K", 6), phantom.mask("K", 12)))
    last = {one.slice: one for one in Session(phantom.volume, embedded).propagate([segment], "K", (5, 13))}
    assert all((last[k].agreement or 0) > 0.85 for k in range(7, 12))
    assert min(dice(last[k].mask, phantom.truth_kji[k]) for k in range(7, 12)) > 0.9


def test_no_encoding_means_none_by_the_model_either(phantom: Phantom) -> None:
    backend = ThresholdBackend(64)
    session = Session(phantom.volume, backend)
    asked_first = SegmentPrompts("s1", (phantom.box("K", MIDDLE),))
    list(session.propagate([asked_first], "K", window=Window(60, 170)))
    before = backend.calls.count(("encode",))
    corrected = SegmentPrompts("s1", (phantom.box("K", 12),), (phantom.mask("K", MIDDLE),))
    list(session.propagate([corrected], "K", window=Window(60, 170), corrected=12))
    assert backend.calls.count(("encode",)) == before


def test_a_click_is_answered_in_the_crop_the_object_was_seen_in(embedded: Backend) -> None:
    """Without it a click says nothing about the size of what is meant."""
    phantom = drifting()
    session = Session(phantom.volume, embedded)
    list(session.propagate([SegmentPrompts("s1", (phantom.box("K", 20),))], "K"))
    before = session.encoded
    row, column = np.argwhere(phantom.truth_kji[26]).mean(axis=0)
    session.predict(SegmentPrompts("s1", (PointPrompt((float(column), float(row), 26.0)),)), "K", 26)
    assert session.encoded == before


def test_there_is_room_for_all_crops_of_a_volume_of_120_slices(embedded: Backend) -> None:
    pixels = torch.zeros(1, 3, 128, 128)
    assert 120 * 10 * embedded.encode(pixels).nbytes < SMALLEST_BUDGET
