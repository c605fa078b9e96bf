"""Every message survives the wire, whatever is in it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medsam2_protocol.masks import region_of_mask, region_of_slice
from medsam2_protocol.messages import (
    DIRECTIONS,
    ZOOMS,
    Cancel,
    Cancelled,
    CloseVolume,
    DeviceInfo,
    Done,
    Failed,
    Hello,
    MaskChanged,
    Message,
    ModelInfo,
    OpenVolume,
    Ping,
    Pong,
    Predict,
    Prefetch,
    Progress,
    Propagate,
    Window,
)
from medsam2_protocol.prompts import AXES, BoxPrompt, MaskPrompt, PointPrompt, SegmentPrompts, axis_kji
from medsam2_protocol.tagged import MalformedMessage, from_json, to_json

texts = st.text(max_size=12)
axes = st.sampled_from(AXES)
indices = st.integers(0, 4000)
numbers = st.floats(allow_nan=False, allow_infinity=False)
coordinates = st.floats(-1e4, 1e4)
pairs = st.tuples(coordinates, coordinates)
rows = st.tuples(numbers, numbers, numbers, numbers)
regions = arrays.arrays(bool, (3, 4, 5)).map(region_of_mask)
directions = st.sampled_from(DIRECTIONS)
zooms = st.sampled_from(ZOOMS)
windows = st.tuples(numbers, numbers).filter(lambda w: w[0] < w[1]).map(lambda w: Window(*w))


@st.composite
def boxes(draw: st.DrawFn) -> BoxPrompt:
    (x0, y0), (x1, y1) = draw(pairs), draw(pairs)
    return BoxPrompt(draw(axes), draw(indices), (min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1)))


@st.composite
def masks(draw: st.DrawFn) -> MaskPrompt:
    axis, index = draw(axes), draw(indices)
    mask = draw(arrays.arrays(bool, (4, 5)).filter(lambda drawn: drawn.any()))
    return MaskPrompt(axis, index, region_of_slice(mask, axis_kji(axis), index))


points = st.builds(PointPrompt, st.tuples(coordinates, coordinates, coordinates), st.booleans())
kept = st.lists(masks(), max_size=2, unique_by=lambda mask: (mask.axis, mask.slice)).map(tuple)
segments = st.builds(SegmentPrompts, texts, st.lists(boxes() | points | masks(), max_size=3).map(tuple), kept)
ranges = st.none() | st.tuples(indices, indices).map(sorted)


@st.composite
def propagations(draw: st.DrawFn) -> Propagate:
    first, last = draw(ranges) or (None, None)
    several = tuple(draw(st.lists(segments, max_size=2)))
    window = draw(st.none() | windows)
    names = draw(texts), draw(texts)
    corrected = draw(st.none() | indices)
    return Propagate(
        *(draw(texts), draw(texts), several, draw(axes), first, last, *names, window, draw(directions)),
        corrected=corrected,
        policy=draw(texts),
        zoom=draw(zooms),
        progressive=draw(st.booleans()),
    )


STRATEGIES: dict[type[Message], st.SearchStrategy[Any]] = {
    OpenVolume: st.builds(
        OpenVolume,
        texts,
        texts,
        texts,
        texts,
        st.tuples(indices, indices, indices),
        st.tuples(rows, rows, rows, rows),
        texts,
    ),
    CloseVolume: st.builds(CloseVolume, texts, texts),
    Predict: st.builds(Predict, texts, texts, segments, axes, indices, texts, texts, st.none() | windows, zooms),
    Propagate: propagations(),
    Prefetch: st.builds(Prefetch, texts, texts, axes, indices, texts, texts, st.none() | windows, zooms),
    Cancel: st.builds(Cancel, texts),
    Ping: st.builds(Ping, st.integers()),
    Hello: st.builds(
        Hello,
        st.integers(),
        texts,
        st.lists(st.builds(ModelInfo, texts, texts, texts, texts, st.booleans()), max_size=2).map(tuple),
        st.lists(texts, max_size=3).map(tuple),
        st.lists(st.builds(DeviceInfo, texts, texts, texts), max_size=2).map(tuple),
        indices,
    ),
    Pong: st.builds(Pong, st.integers()),
    Progress: st.builds(Progress, texts, indices, indices, texts),
    MaskChanged: st.builds(
        MaskChanged,
        texts,
        texts,
        texts,
        axes,
        indices,
        regions,
        numbers,
        numbers,
        st.none() | st.floats(0, 1),
        st.booleans(),
    ),
    Done: st.builds(Done, texts, numbers, indices, indices, texts),
    Failed: st.builds(Failed, texts, texts, texts),
    Cancelled: st.builds(Cancelled, texts),
}
any_message = st.one_of(list(STRATEGIES.values()))


def leaves(base: type[Message]) -> set[type[Message]]:
    below = base.__subclasses__()
    return {leaf for cls in below for leaf in leaves(cls)} if below else {base}


def test_every_message_there_is_takes_part_in_these_tests() -> None:
    assert leaves(Message) == set(STRATEGIES)


@pytest.mark.parametrize("kind", STRATEGIES, ids=lambda kind: kind.__name__)
def test_every_message_survives_the_wire(kind: type[Message]) -> None:
    @given(STRATEGIES[kind])
    def survives(message: Message) -> None:
        assert from_json(to_json(message), Message) == message

    survives()


@given(any_message)
def test_every_message_is_one_line_of_ascii(message: Message) -> None:
    line = to_json(message)
    assert line.isascii()
    assert "\n" not in line


@given(any_message, st.data())
def test_a_message_that_lost_any_obligatory_field_is_refused(message: Message, data: st.DataObject) -> None:
    fields = json.loads(to_json(message))
    optional = (
        *("modality", "first", "last", "model", "device", "window", "direction", "slices", "encoded"),
        *("corrected", "policy", "zoom", "agreement", "progressive", "provisional"),
    )
    lost = data.draw(st.sampled_from([name for name in fields if name not in optional]))
    if isinstance(message, Done) and lost == "device":
        return
    del fields[lost]
    with pytest.raises(MalformedMessage):
        from_json(json.dumps(fields), Message)


@given(any_message)
def test_a_message_with_a_field_too_many_is_refused(message: Message) -> None:
    fields = {**json.loads(to_json(message)), "extra": 1}
    with pytest.raises(MalformedMessage, match="unknown field extra"):
        from_json(json.dumps(fields), Message)


# ---- rules


def propagation(first: int | None = None, last: int | None = None) -> Propagate:
    return Propagate("r1", "v1", (), "K", first, last)


@pytest.mark.parametrize("window", [(1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0)])
def test_a_window_without_width_is_refused(window: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="lower < upper"):
        Window(*window)


@pytest.mark.parametrize(("first", "last"), [(1, None), (None, 1)])
def test_half_a_range_is_refused(first: int | None, last: int | None) -> None:
    with pytest.raises(ValueError, match="a first and a last"):
        propagation(first, last)


@pytest.mark.parametrize(("first", "last"), [(3, 2), (-1, 2)])
def test_a_range_that_runs_backwards_or_below_zero_is_refused(first: int, last: int) -> None:
    with pytest.raises(ValueError, match="0 <= first <= last"):
        propagation(first, last)


def test_the_first_slice_alone_is_a_range() -> None:
    assert propagation(0, 0).last == 0


def test_a_prediction_below_the_first_slice_is_refused() -> None:
    with pytest.raises(ValueError, match="no slice -1"):
        Predict("r1", "v1", SegmentPrompts("s1", ()), "K", -1)


def test_a_request_along_no_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="I, J or K"):
        Propagate("r1", "v1", (), "axial")


def test_a_correction_below_the_first_slice_is_refused() -> None:
    with pytest.raises(ValueError, match="no slice -1"):
        Propagate("r1", "v1", (), "K", corrected=-1)


def test_a_zoom_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="one of off, auto, on, not 'closer'"):
        Propagate("r1", "v1", (), "K", zoom="closer")


def test_a_host_that_knows_nothing_of_corrections_is_understood() -> None:
    fields = json.loads(to_json(propagation()))
    del fields["corrected"], fields["policy"], fields["zoom"], fields["progressive"]
    assert from_json(json.dumps(fields), Message) == propagation()


def test_a_segment_without_kept_slices_is_understood() -> None:
    fields = json.loads(to_json(Predict("r1", "v1", SegmentPrompts("s1", ()), "K", 1)))
    del fields["segment"]["kept"]
    assert from_json(json.dumps(fields), Predict).segment == SegmentPrompts("s1", ())


def test_a_mask_of_a_lesion_costs_some_hundred_bytes() -> None:
    y, x = np.mgrid[:40, :40]
    region = region_of_slice((x - 20) ** 2 + (y - 20) ** 2 < 15**2, 0, 7)
    assert len(to_json(MaskChanged("r1", "v1", "s1", "K", 7, region, 3.2, 0.9))) < 400
