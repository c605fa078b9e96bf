"""What is known about slices, and what a correction computes again."""

from __future__ import annotations

import pytest

from medsam2_protocol.masks import region_of_mask
from medsam2_protocol.messages import BOTH, DOWN, UP


@pytest.fixture
def states(app):
    """Slices 5 to 15 along K were propagated from a box on slice 10."""
    from MedSAM2SlicerLib.SliceStates import SliceStates

    return SliceStates(
        axis="K",
        lattice=7,
        propagated=frozenset(range(5, 16)),
        evidence=dict.fromkeys(range(5, 16), (3.0, 0.9, None)),
        answered={10: 111},
        marks={index: index for index in range(5, 16)},
    )


@pytest.fixture
def plan(app):
    """``plan(states, prompted, empty=(), reach=..., count=20)``: (index, slices, direction, fence) of every request."""
    from MedSAM2SlicerLib.Corrections import corrections
    from MedSAM2SlicerLib.PropagationOptions import EVERYWHERE

    def make(states, prompted, empty=(), reach=EVERYWHERE, count=20):
        found = corrections(states, prompted, frozenset(empty), reach, count)
        return [(one.index, (one.slices.start, one.slices.stop - 1), one.direction, one.fence) for one in found]

    return make


def test_states_come_back_from_their_text(states):
    import numpy as np

    from MedSAM2SlicerLib.SliceStates import fromText

    full = states.withLocked([6]).withHandEdits([15], {15: 3})
    full = full.afterRun({7: (1.5, 0.5, 0.25)}, [8], {7: 4}, {7: region_of_mask(np.ones((1, 2, 2), bool), (7, 0, 0))})
    assert fromText(full.toText()) == full
    assert "|" not in full.toText()
    assert "\n" not in full.toText()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version":9,"axis":"K"}', '{"version":1,"axis":"Q"}', "null"])
def test_a_text_that_cannot_be_read_is_no_states(app, text):
    from MedSAM2SlicerLib.SliceStates import SliceStates, fromText

    assert fromText(text) == SliceStates()


def test_a_lock_stands_above_an_edit_above_a_prompt_above_a_propagation(states):
    from MedSAM2SlicerLib.SliceStates import EDITED, KEY, LOCKED, NOTHING, PROPAGATED

    edited = states.withHandEdits([9, 10], {})
    assert edited.withLocked([10]).of(10, [10]) == LOCKED
    assert edited.of(10, [10]) == EDITED
    assert states.of(10, [10]) == KEY
    assert (states.of(11, [10]), states.of(16, [10])) == (PROPAGATED, NOTHING)


def test_a_released_slice_is_a_propagated_one_again(states):
    released = states.withHandEdits([9], {}).withLocked([8]).withReleased([8, 9])
    assert (released.kept, released.pending) == (frozenset(), frozenset())
    assert {8, 9} <= released.propagated


def test_a_slice_that_looks_otherwise_has_changed(states):
    assert states.changedSince({**states.marks, 9: 1, 17: 2}) == {9, 17}
    without = {index: mark for index, mark in states.marks.items() if index != 5}
    assert states.changedSince(without) == {5}


def test_a_new_prompt_reaches_to_the_next_key_on_each_side(states, plan):
    assert plan(states, {10: 111, 13: 5}) == [(13, (11, 19), BOTH, None)]
    answered = states.afterRun({}, [], {10: 111, 15: 6}, {})
    assert plan(answered, {10: 111, 13: 5, 15: 6}) == [(13, (11, 14), BOTH, None)]


def test_a_moved_prompt_is_a_correction_and_an_unchanged_one_is_none(states, plan):
    assert plan(states, {10: 112}) == [(10, (0, 19), BOTH, None)]
    assert plan(states, {10: 111}) == []


def test_a_locked_slice_ends_a_correction_and_prompts_on_it_ask_for_nothing(states, plan):
    locked = states.withLocked([12, 14])
    assert plan(locked, {10: 111, 13: 5}) == [(13, (13, 13), BOTH, None)]
    assert plan(locked, {10: 111, 12: 5}) == []


def test_an_edited_slice_passes_its_mask_on_and_stays_itself(states, plan):
    edited = states.withHandEdits([13], {})
    assert plan(edited, {10: 111}) == [(13, (11, 19), BOTH, None)]


def test_a_run_of_edited_slices_asks_at_its_two_ends_only(states, plan):
    edited = states.withHandEdits([12, 13, 14], {})
    assert [(index, slices) for index, slices, _way, _fence in plan(edited, {10: 111})] == [
        (12, (11, 12)),
        (14, (14, 19)),
    ]


def test_several_corrections_are_several_requests(states, plan):
    assert [index for index, *_rest in plan(states, {8: 1, 10: 111, 13: 2})] == [8, 13]


def test_a_deleted_prompt_lets_its_neighbours_fill_the_gap(states, plan):
    answered = states.afterRun({}, [], {6: 1, 10: 111, 14: 2}, {})
    assert plan(answered, {6: 1, 14: 2}) == [(6, (7, 13), BOTH, 5)]
    assert plan(answered.withLocked([6]), {14: 2}, empty=[6]) == [(14, (7, 13), BOTH, 15)]


def test_one_way_stays_one_way_at_the_outermost_slice(states, plan):
    from MedSAM2SlicerLib.PropagationOptions import Reach

    up, down = Reach(UP), Reach(DOWN)
    assert plan(states, {10: 1}, reach=up) == [(10, (10, 19), UP, None)]
    assert plan(states, {10: 1}, reach=down) == [(10, (0, 10), DOWN, None)]
    assert plan(states, {10: 111, 13: 1}, reach=up) == [(13, (11, 19), BOTH, None)]


def test_marks_hold_a_correction_back(states, plan):
    from MedSAM2SlicerLib.PropagationOptions import Reach

    assert plan(states, {10: 1}, reach=Reach(BOTH, 8, 12)) == [(10, (8, 12), BOTH, None)]


def test_the_order_of_prompts_counts(app):
    from medsam2_protocol.prompts import PointPrompt
    from MedSAM2SlicerLib.SliceStates import digestOf

    one, other = PointPrompt((1.0, 2.0, 3.0)), PointPrompt((4.0, 5.0, 3.0), False)
    assert digestOf([one, other]) == digestOf([one, other]) != digestOf([other, one])


def test_a_click_on_a_propagated_slice_corrects_its_mask_and_a_box_starts_anew(states):
    from types import SimpleNamespace

    import numpy as np

    from medsam2_protocol.prompts import BoxPrompt, MaskPrompt, PointPrompt
    from MedSAM2SlicerLib.AskedPrompts import bases, bySlice, withBases

    masks = SimpleNamespace(region=lambda axis, index: region_of_mask(np.ones((1, 2, 2), bool), (index, 3, 3)))
    click, box = PointPrompt((4.0, 4.0, 12.0), False), BoxPrompt("K", 13, (1.0, 1.0), (5.0, 5.0))
    prompts = bySlice((click, box, PointPrompt((4.0, 4.0, 10.0))), "K")
    starts = bases(states, prompts, masks)
    assert list(starts) == [12]
    sent = withBases(prompts, starts, "K")
    assert [type(prompt) for prompt in sent] == [PointPrompt, MaskPrompt, PointPrompt, BoxPrompt]
    assert sent[1].slice == 12


def test_a_second_click_starts_from_the_same_mask_as_the_first(states):
    import numpy as np

    from medsam2_protocol.prompts import PointPrompt
    from MedSAM2SlicerLib.AskedPrompts import bases, bySlice

    base = region_of_mask(np.ones((1, 3, 3), bool), (12, 0, 0))
    answered = states.afterRun({12: (1.0, 1.0, None)}, [], {10: 111, 12: 5}, {12: base})
    prompts = bySlice((PointPrompt((4.0, 4.0, 12.0), False), PointPrompt((5.0, 5.0, 12.0), False)), "K")
    assert bases(answered, prompts, None) == {12: base}
