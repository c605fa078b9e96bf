"""What a scribble and a lasso become for a model, and what the person's word is worth against its answer."""

from __future__ import annotations

import numpy as np
import pytest

from medsam2_engine.drawing import as_drawn
from medsam2_engine.errors import BadRequest
from medsam2_engine.frames import SliceStack
from medsam2_engine.session import Session
from medsam2_engine.slice_prompts import SlicePrompts, Stroke, prompts_by_slice
from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import BoxPrompt, LassoPrompt, PointPrompt, Prompt, ScribblePrompt, SegmentPrompts
from threshold_backend import ThresholdBackend

SHAPE_KJI = (5, 12, 16)
WINDOW = Window(0.0, 200.0)
LASSO = LassoPrompt("K", 2, ((2.5, 3.5), (10.5, 3.5), (10.5, 8.5), (2.5, 8.5)))
SCRIBBLE = ScribblePrompt("K", 2, ((3, 5), (9, 5)))


@pytest.fixture
def slices() -> SliceStack:
    return SliceStack(Volume(np.zeros(SHAPE_KJI, np.int16), np.diag([0.3, 0.9, 5.0, 1.0])), "K")


def on_slice_two(slices: SliceStack, *prompts: Prompt) -> SlicePrompts:
    return prompts_by_slice(SegmentPrompts("GTVp", prompts), slices)[2]


def refusal(slices: SliceStack, *prompts: Prompt) -> str:
    with pytest.raises(BadRequest) as error:
        on_slice_two(slices, *prompts)
    return str(error.value)


def a_mask(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Rectangles (first row, last row, first column, last column) on a slice."""
    mask = np.zeros(SHAPE_KJI[1:], bool)
    for top, bottom, left, right in boxes:
        mask[top : bottom + 1, left : right + 1] = True
    return mask


# ---- what they become


def test_a_lasso_is_the_box_of_the_voxels_that_it_encloses(slices: SliceStack) -> None:
    found = on_slice_two(slices, LASSO)
    assert found.box == (3, 4, 10, 8)
    np.testing.assert_array_equal(found.lasso, a_mask((4, 8, 3, 10)))


def test_a_scribble_is_clicks_along_it_with_the_middle_one_first(slices: SliceStack) -> None:
    clicks = on_slice_two(slices, SCRIBBLE).clicks
    assert [round(click.x) for click in clicks] == [6, 4, 8]
    assert {click.y for click in clicks} == {5.0}
    assert all(click.positive for click in clicks)


def test_a_scribble_covers_every_voxel_that_it_passes(slices: SliceStack) -> None:
    (stroke,) = on_slice_two(slices, ScribblePrompt("K", 2, ((3, 5), (9, 5), (9, 9)))).strokes
    np.testing.assert_array_equal(stroke.mask, a_mask((5, 5, 3, 9), (5, 9, 9, 9)))


def test_what_a_scribble_says_outside_the_volume_is_left_out(slices: SliceStack) -> None:
    found = on_slice_two(slices, ScribblePrompt("K", 2, ((10, 5), (100, 5))))
    assert max(click.x for click in found.clicks) < 15.5
    np.testing.assert_array_equal(found.strokes[0].mask, a_mask((5, 5, 10, 15)))


def test_clicks_and_scribbles_keep_their_order_and_a_scribble_is_one_turn(slices: SliceStack) -> None:
    negative = ScribblePrompt("K", 2, ((3, 9), (9, 9)), False)
    found = on_slice_two(slices, PointPrompt((1, 1, 2)), SCRIBBLE, PointPrompt((2, 2, 2), False), negative)
    assert [(count, stroke is not None) for count, stroke in found.turns] == [
        (1, False),
        (4, True),
        (5, False),
        (8, True),
    ]
    assert [click.positive for click in found.clicks] == [True] * 4 + [False] * 4


def test_a_model_that_wants_one_click_gets_the_middle_of_every_scribble(slices: SliceStack) -> None:
    found = on_slice_two(slices, SCRIBBLE, PointPrompt((2, 2, 2)), ScribblePrompt("K", 2, ((3, 9), (9, 9)), False))
    assert [round(click.x) for click in found.clicks_for(7, 1)] == [6, 2, 6]
    assert len(found.clicks_for(7, 3)) == 7
    assert len(found.clicks_for(4, 1)) == 2


# ---- the person's word


def test_no_voxel_outside_the_lasso_belongs_to_the_object(slices: SliceStack) -> None:
    found = on_slice_two(slices, LASSO)
    np.testing.assert_array_equal(found.obeyed(a_mask((0, 11, 0, 6))), a_mask((4, 8, 3, 6)))


def test_a_click_into_the_object_outside_the_lasso_widens_it(slices: SliceStack) -> None:
    found = on_slice_two(slices, LASSO, PointPrompt((1, 1, 2)))
    everything = a_mask((0, 11, 0, 6))
    np.testing.assert_array_equal(found.obeyed(everything), everything)


def test_the_voxels_under_a_scribble_are_what_was_said(slices: SliceStack) -> None:
    negative = ScribblePrompt("K", 2, ((0, 6), (15, 6)), False)
    found = on_slice_two(slices, SCRIBBLE, negative)
    obeyed = found.obeyed(a_mask((6, 9, 0, 15)))
    assert obeyed[5, 3:10].all()
    assert not obeyed[6].any()
    assert obeyed[7:10].all()


def test_of_what_a_scribble_changes_only_what_it_touches_is_taken_over() -> None:
    before, after = a_mask((0, 10, 0, 6)), a_mask((5, 8, 0, 6))
    stroke = Stroke(a_mask((1, 1, 2, 4)), False, range(1), (0, 0))
    np.testing.assert_array_equal(as_drawn(before, after, stroke), a_mask((5, 10, 0, 6)))


def test_a_scribble_that_the_model_ignores_counts_all_the_same() -> None:
    before = a_mask((0, 10, 0, 6))
    stroke = Stroke(a_mask((2, 3, 0, 6)), False, range(1), (0, 0))
    np.testing.assert_array_equal(as_drawn(before, before, stroke), a_mask((0, 1, 0, 6), (4, 10, 0, 6)))


def test_a_first_scribble_takes_the_whole_answer() -> None:
    stroke = Stroke(a_mask((2, 2, 2, 4)), True, range(1), (0, 0))
    np.testing.assert_array_equal(as_drawn(None, a_mask((4, 5, 0, 3)), stroke), a_mask((4, 5, 0, 3), (2, 2, 2, 4)))


# ---- what is refused


def test_a_lasso_beside_a_box_is_one_box_too_many(slices: SliceStack) -> None:
    assert "2 boxes" in refusal(slices, LASSO, BoxPrompt("K", 2, (1, 1), (3, 3)))


def test_a_lasso_without_a_voxel_is_refused(slices: SliceStack) -> None:
    assert "encloses no voxel" in refusal(slices, LassoPrompt("K", 2, ((2.1, 2.1), (2.9, 2.1), (2.9, 2.9))))


def test_a_scribble_outside_the_volume_is_refused(slices: SliceStack) -> None:
    assert "outside the volume" in refusal(slices, ScribblePrompt("K", 2, ((30, 5), (40, 5))))


def test_negative_scribbles_alone_are_refused(slices: SliceStack) -> None:
    assert "negative points only" in refusal(slices, ScribblePrompt("K", 2, ((3, 5), (9, 5)), False))


def test_a_stroke_on_another_axis_is_refused_by_its_name(slices: SliceStack) -> None:
    assert "A lasso lies on a slice of axis J" in refusal(slices, LassoPrompt("J", 2, LASSO.path))
    assert "A scribble lies on a slice of axis I" in refusal(slices, ScribblePrompt("I", 2, SCRIBBLE.path))


# ---- through a session


@pytest.fixture
def session() -> Session:
    """Bright everywhere on slices 1 to 3, on frames as large as the slices."""
    voxels = np.zeros((5, 16, 16), np.int16)
    voxels[1:4] = 200
    return Session(Volume(voxels, np.diag([0.3, 0.9, 5.0, 1.0])), ThresholdBackend(16))


def predicted(session: Session, *prompts: Prompt) -> np.ndarray:
    return session.predict(SegmentPrompts("GTVp", prompts), "K", 2, WINDOW).mask


def test_a_predicted_lasso_ends_at_its_line(session: Session) -> None:
    expected = np.zeros((16, 16), bool)
    expected[4:9, 3:11] = True
    np.testing.assert_array_equal(predicted(session, LASSO), expected)


def test_a_propagation_starts_from_what_the_lasso_left(session: Session) -> None:
    segment = SegmentPrompts("GTVp", (LASSO,))
    found = {one.slice: one.mask for one in session.propagate([segment], "K", window=WINDOW)}
    assert found[2].sum() == 5 * 8
    assert sorted(found) == [0, 1, 2, 3, 4]


def test_a_negative_scribble_takes_its_voxels_away(session: Session) -> None:
    stroke = ScribblePrompt("K", 2, ((0, 6), (15, 6)), False)
    mask = predicted(session, BoxPrompt("K", 2, (1, 1), (14, 14)), stroke)
    assert not mask[6].any()
    assert mask[[5, 7]].all()


def test_a_scribble_alone_shows_the_object(session: Session) -> None:
    assert predicted(session, SCRIBBLE).all()
    assert session.backend.framing.stroke_clicks == 3
