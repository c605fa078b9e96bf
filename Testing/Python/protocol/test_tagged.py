"""Reading is strict: what is no message of ours is a `MalformedMessage`, never another exception or a half object."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2_protocol.masks import MaskRegion
from medsam2_protocol.messages import DeviceInfo, Done, Event, Failed, Message, Ping, Request, Window
from medsam2_protocol.prompts import BoxPrompt, MaskPrompt, PointPrompt, SegmentPrompts
from medsam2_protocol.tagged import MalformedMessage, from_json, from_jsonable, to_json, to_jsonable


def refusal(text: str | bytes, expected: type = Message) -> str:
    with pytest.raises(MalformedMessage) as error:
        from_json(text, expected)
    return str(error.value)


# ---- writing


def test_a_message_is_an_object_with_its_tag_as_type() -> None:
    assert json.loads(to_json(Ping(3))) == {"type": "ping", "number": 3}


def test_a_dataclass_without_a_tag_is_its_fields_alone() -> None:
    assert to_jsonable(Window(-160.0, 240.0)) == {"lower": -160.0, "upper": 240.0}


def test_a_line_break_in_a_text_stays_inside_the_line() -> None:
    assert "\n" not in to_json(Failed("r1", "internal", "first\nsecond\r\u2028third"))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_cannot_be_written(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(Done("r1", number))


def test_an_object_that_is_no_message_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="set cannot travel"):
        to_jsonable({1, 2})


# ---- reading


def test_a_message_is_read_from_bytes() -> None:
    assert from_json(b'{"type":"ping","number":3}', Message) == Ping(3)


def test_the_order_of_the_fields_does_not_matter() -> None:
    assert from_json('{"number":3,"type":"ping"}', Message) == Ping(3)


def test_a_field_with_a_default_may_be_missing() -> None:
    assert from_json('{"type":"done","id":"r1","seconds":0.5}', Message) == Done("r1", 0.5)


def test_a_whole_number_is_a_float_where_one_is_expected() -> None:
    assert isinstance(from_jsonable({"lower": 1, "upper": 2}, Window).lower, float)


def test_the_largest_floats_are_read() -> None:
    assert from_jsonable({"lower": -1e308, "upper": 1.7976931348623157e308}, Window).upper > 1e308


# ---- refusing


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"type":"ping","number":1}}', b"\xff\xfe\xfd", "[" * 100_000])
def test_a_text_that_is_not_json_is_refused(text: str | bytes) -> None:
    assert "not a JSON text" in refusal(text)


@pytest.mark.parametrize("text", ["null", "3", '"ping"', "[]", "true"])
def test_json_that_is_no_object_is_refused(text: str) -> None:
    assert "an object was expected" in refusal(text)


@pytest.mark.parametrize("tag", ['"pung"', "null", "1", "[]", "{}", "true"])
def test_an_unknown_type_is_refused_whatever_it_is(tag: str) -> None:
    assert "unknown type" in refusal(f'{{"type":{tag},"number":1}}')


def test_a_message_without_a_type_is_refused() -> None:
    assert "unknown type None" in refusal('{"number":1}')


def test_a_message_of_another_family_is_refused() -> None:
    assert "unknown type 'ping'" in refusal('{"type":"ping","number":1}', Request)


def test_a_prompt_is_no_message() -> None:
    assert "unknown type 'point'" in refusal(to_json(PointPrompt((1, 2, 3))))


def test_an_unknown_field_is_refused_by_name() -> None:
    assert refusal('{"type":"ping","number":1,"loud":true}') == "Ping: unknown field loud"


def test_a_missing_field_is_refused_by_name() -> None:
    assert refusal('{"type":"ping"}') == "Ping: missing field number"


@pytest.mark.parametrize("value", ['"1"', "1.0", "true", "null", "[1]", "NaN", "Infinity", "1e999"])
def test_a_value_that_is_no_whole_number_is_refused(value: str) -> None:
    assert "Ping.number: int was expected" in refusal(f'{{"type":"ping","number":{value}}}')


@pytest.mark.parametrize("value", ['"1"', "true", "null", "[]", "NaN", "-Infinity", "1e999", "1" + "0" * 400])
def test_a_value_that_is_no_finite_number_is_refused(value: str) -> None:
    assert "Done.seconds: float was expected" in refusal(f'{{"type":"done","id":"r1","seconds":{value}}}')


def test_a_number_is_not_taken_for_a_text() -> None:
    assert "DeviceInfo.id: str was expected" in refusal('{"id":1,"title":"","note":""}', DeviceInfo)


def test_an_object_is_not_taken_for_a_list() -> None:
    assert "a list was expected" in refusal('{"segment_id":"s","prompts":{}}', SegmentPrompts)


def test_a_list_is_not_taken_for_an_object() -> None:
    assert "an object was expected" in refusal("[1,2]", Window)


def test_a_coordinate_too_few_is_refused() -> None:
    assert "3 values were expected, not 2" in refusal('{"type":"point","ijk":[1,2]}', PointPrompt)


def test_a_prompt_of_unknown_type_is_refused_with_the_choices() -> None:
    text = refusal('{"segment_id":"s","prompts":[{"type":"text"}]}', SegmentPrompts)
    assert text == "SegmentPrompts.prompts[0]: 'text' is none of box, point, scribble, lasso, mask"


@pytest.mark.parametrize("prompt", ["null", "3", "[]", '"box"', '{"type":[]}'])
def test_a_prompt_that_is_no_object_is_refused(prompt: str) -> None:
    assert "SegmentPrompts.prompts[0]" in refusal(f'{{"segment_id":"s","prompts":[{prompt}]}}', SegmentPrompts)


def test_a_rule_of_the_dataclass_is_a_refusal_with_its_sentence() -> None:
    text = refusal('{"type":"box","axis":"K","slice":1,"min":[5,5],"max":[4,9]}', BoxPrompt)
    assert text == "BoxPrompt: a box needs min <= max, not (5.0, 5.0) and (4.0, 9.0)"


def test_a_rule_of_a_nested_dataclass_is_a_refusal_too() -> None:
    region = json.dumps({"start_kji": [0, 0, 0], "shape_kji": [1, 2, 2], "bits": "?"})
    text = refusal(f'{{"type":"mask","axis":"K","slice":0,"region":{region}}}', MaskPrompt)
    assert "not base64" in text


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
FIELDS = st.dictionaries(
    st.sampled_from(["id", "number", "seconds", "volume_id", "path", "dtype", "shape_kji", "segment", "prompts"]),
    JSON_VALUES,
)


@given(tag=st.sampled_from(["ping", "done", "open_volume", "predict", "propagate", "mask_changed"]), values=FIELDS)
def test_any_json_is_a_message_or_malformed(tag: str, values: dict[str, object]) -> None:
    try:
        message = from_jsonable({"type": tag, **values}, Message)
    except MalformedMessage:
        return
    assert isinstance(message, Message)


@given(st.binary())
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        from_json(data, Event)


def test_a_mask_of_more_voxels_than_a_computer_counts_is_refused() -> None:
    with pytest.raises(ValueError, match="another number of bytes"):
        MaskRegion((0, 0, 0), (2**32, 2**32, 1), "")
