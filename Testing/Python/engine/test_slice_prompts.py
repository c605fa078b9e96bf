"""Prompts sorted by slice, and every reason why some are refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from medsam2_engine.errors import BadRequest
from medsam2_engine.frames import SliceStack
from medsam2_engine.slice_prompts import Click, SlicePrompts, box_of_mask, prompts_by_slice
from medsam2_engine.volume import Volume
from medsam2_protocol.masks import region_of_slice
from medsam2_protocol.prompts import BoxPrompt, MaskPrompt, PointPrompt, Prompt, SegmentPrompts, axis_kji

SHAPE_KJI = (5, 7, 9)


@pytest.fixture
def volume() -> Volume:
    return Volume(np.zeros(SHAPE_KJI, np.int16), np.diag([0.3, 0.9, 5.0, 1.0]))


@pytest.fixture
def slices(volume: Volume) -> SliceStack:
    return SliceStack(volume, "K")


BOX = BoxPrompt("K", 2, (1, 2), (4, 5))


def sorted_prompts(slices: SliceStack, *prompts: Prompt) -> dict[int, SlicePrompts]:
    return prompts_by_slice(SegmentPrompts("GTVp", prompts), slices)


def refusal(slices: SliceStack, *prompts: Prompt) -> str:
    with pytest.raises(BadRequest) as error:
        sorted_prompts(slices, *prompts)
    return str(error.value)


def mask_prompt(axis: str, index: int, rows: slice, columns: slice, shape: Sequence[int] = SHAPE_KJI) -> MaskPrompt:
    mask = np.zeros([size for n, size in enumerate(shape) if n != axis_kji(axis)], bool)
    mask[rows, columns] = True
    return MaskPrompt(axis, index, region_of_slice(mask, axis_kji(axis), index))


# ---- what they become


def test_a_box_keeps_its_coordinates(slices: SliceStack) -> None:
    assert sorted_prompts(slices, BOX) == {2: SlicePrompts(box=(1, 2, 4, 5))}


@pytest.mark.parametrize(("axis", "index", "x", "y"), [("I", 6, 5.25, 3.0), ("J", 5, 6.0, 3.0), ("K", 3, 6.0, 5.25)])
def test_a_point_has_the_two_other_coordinates_in_rising_order(
    volume: Volume, axis: str, index: int, x: float, y: float
) -> None:
    found = sorted_prompts(SliceStack(volume, axis), PointPrompt((6.0, 5.25, 3.0)))
    assert found == {index: SlicePrompts(clicks=(Click(x, y, True),))}


@pytest.mark.parametrize("axis", ["I", "J", "K"])
def test_a_mask_lies_on_the_rows_and_columns_it_was_drawn_on(volume: Volume, axis: str) -> None:
    slices = SliceStack(volume, axis)
    found = sorted_prompts(slices, mask_prompt(axis, 2, slice(1, 3), slice(2, 6)))
    assert found[2].mask is not None
    assert np.array_equal(np.argwhere(found[2].mask)[[0, -1]], [[1, 2], [2, 5]])


def test_several_masks_of_a_slice_are_one(slices: SliceStack) -> None:
    parts = [mask_prompt("K", 2, slice(0, 1), slice(0, 2)), mask_prompt("K", 2, slice(6, 7), slice(8, 9))]
    found = sorted_prompts(slices, *parts)
    assert found[2].mask is not None
    assert np.argwhere(found[2].mask).tolist() == [[0, 0], [0, 1], [6, 8]]


def test_slices_come_in_rising_order(slices: SliceStack) -> None:
    prompts = [PointPrompt((1, 1, k)) for k in (4, 0, 3)]
    assert list(sorted_prompts(slices, *prompts)) == [0, 3, 4]


def test_clicks_keep_the_order_in_which_they_were_made(slices: SliceStack) -> None:
    clicks = [PointPrompt((x, 1, 2), positive) for x, positive in ((5, False), (1, True), (3, False))]
    assert [click.x for click in sorted_prompts(slices, *clicks)[2].clicks] == [5, 1, 3]


def test_a_box_and_clicks_of_a_slice_belong_together(slices: SliceStack) -> None:
    found = sorted_prompts(slices, BOX, PointPrompt((2, 3, 2), False))
    assert found == {2: SlicePrompts(box=(1, 2, 4, 5), clicks=(Click(2, 3, False),))}


@pytest.mark.parametrize("k", [0, 4])
def test_the_first_and_the_last_slice_may_be_prompted(slices: SliceStack, k: int) -> None:
    assert list(sorted_prompts(slices, BoxPrompt("K", k, (1, 2), (4, 5)))) == [k]


def test_what_reaches_over_the_border_of_the_volume_is_cut_off_a_box(slices: SliceStack) -> None:
    assert sorted_prompts(slices, BoxPrompt("K", 2, (-3, -3), (1, 1)))[2].box == (0, 0, 1, 1)


@pytest.mark.parametrize("ijk", [(-0.5, -0.5, -0.5), (8.5, 6.5, 4.49)])
def test_a_click_on_the_outermost_edge_is_inside(slices: SliceStack, ijk: tuple[float, float, float]) -> None:
    assert len(sorted_prompts(slices, PointPrompt(ijk))) == 1


def test_the_box_of_a_mask_is_its_outermost_voxels() -> None:
    mask = np.zeros((7, 9), bool)
    mask[2, 3] = mask[5, 4] = True
    assert box_of_mask(mask) == (3, 2, 4, 5)


# ---- what is refused


def test_a_segment_without_prompts_is_refused(slices: SliceStack) -> None:
    assert refusal(slices) == "Segment GTVp has no prompt. Draw a box or click a point first."


def test_a_box_on_another_axis_is_refused(slices: SliceStack) -> None:
    assert refusal(slices, BoxPrompt("J", 2, (1, 2), (4, 4))) == (
        "A box lies on a slice of axis J, but the request is along axis K. Work along axis J, or draw the box again."
    )


def test_a_mask_on_another_axis_is_refused(slices: SliceStack) -> None:
    assert "A mask lies on a slice of axis I" in refusal(slices, mask_prompt("I", 2, slice(1, 2), slice(1, 2)))


def test_a_slice_that_is_not_there_is_refused(slices: SliceStack) -> None:
    assert refusal(slices, BoxPrompt("K", 5, (1, 2), (4, 5))) == (
        "There is no slice 5 on axis K: the volume has 5 (0 to 4)."
    )


@pytest.mark.parametrize(("k", "index"), [(-0.6, -1), (4.5, 5), (100, 100)])
def test_a_point_above_or_below_the_volume_is_refused(slices: SliceStack, k: float, index: int) -> None:
    assert f"There is no slice {index} on axis K" in refusal(slices, PointPrompt((1, 1, k)))


@pytest.mark.parametrize("ijk", [(-0.6, 1, 2), (8.6, 1, 2), (1, -0.6, 2), (1, 6.6, 2)])
def test_a_point_beside_the_volume_is_refused(slices: SliceStack, ijk: tuple[float, float, float]) -> None:
    assert "lies outside the volume. Click on the volume." in refusal(slices, PointPrompt(ijk))


@pytest.mark.parametrize(
    ("low", "high"), [((-9, 1), (-1, 3)), ((1, -9), (3, -1)), ((9, 1), (12, 3)), ((1, 7), (3, 12))]
)
def test_a_box_beside_the_volume_is_refused(
    slices: SliceStack, low: tuple[float, float], high: tuple[float, float]
) -> None:
    assert "lies outside slice 2, which has 9 x 7 voxels" in refusal(slices, BoxPrompt("K", 2, low, high))


def test_two_boxes_on_one_slice_are_refused(slices: SliceStack) -> None:
    assert refusal(slices, BOX, BOX) == ("Slice 2 has 2 boxes for one segment. Keep one that encloses all of it.")


def test_negative_points_alone_are_refused(slices: SliceStack) -> None:
    assert refusal(slices, PointPrompt((1, 1, 2), False)) == (
        "Slice 2 has negative points only. Click once into the object, or draw a box."
    )


def test_a_mask_of_a_larger_volume_is_refused(slices: SliceStack) -> None:
    foreign = mask_prompt("K", 2, slice(1, 3), slice(20, 22), (5, 30, 30))
    assert refusal(slices, foreign) == ("The mask on slice 2 reaches outside the volume. Was it drawn on another one?")
