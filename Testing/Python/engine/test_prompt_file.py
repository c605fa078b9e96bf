"""Prompt files: what is read, and what is refused with which sentence."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2_engine.errors import BadRequest, EngineError, UnreadableVolume
from medsam2_engine.prompt_file import SegmentJob, parse_prompts, read_prompt_file
from medsam2_engine.volume import Volume
from medsam2_protocol.prompts import BoxPrompt, MaskPrompt, PointPrompt

SHAPE_KJI = (6, 8, 10)
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "prompts.md"


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    """Rotation about X, then Y, then Z, in radians."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        a, b = [other for other in range(3) if other != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def geometry(angles: tuple[float, float, float], spacing: tuple[float, float, float], flip: bool = False) -> np.ndarray:
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = rotation(angles) @ np.diag(spacing) @ np.diag([1, 1, -1 if flip else 1])
    ijk_to_ras[:3, 3] = (12.5, -40.0, 7.25)
    return ijk_to_ras


@pytest.fixture
def a_volume() -> Volume:
    """Oblique, left-handed, anisotropic: nothing about it is symmetric."""
    return Volume(np.zeros(SHAPE_KJI, np.int16), geometry((0.3, -0.2, 0.5), (0.7, 1.1, 4.0), flip=True))


BOX = {"type": "box", "axis": "K", "slice": 2, "min": [1, 2], "max": [5, 6]}
POINT = {"type": "point", "ijk": [3, 4, 2]}


def document(*prompts: dict[str, Any], **segment: Any) -> dict[str, Any]:
    return {"segments": [{"name": "GTVp", "prompts": list(prompts), **segment}]}


def parsed(data: object, volume: Volume, folder: Path = Path()) -> SegmentJob:
    (job,) = parse_prompts(data, volume, folder)
    return job


def write_image(path: Path, voxels: np.ndarray, ijk_to_ras: np.ndarray | None = None) -> Path:
    image = sitk.GetImageFromArray(voxels)
    if ijk_to_ras is not None:
        ijk_to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ijk_to_ras
        spacing = np.linalg.norm(ijk_to_lps[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((ijk_to_lps[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(ijk_to_lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path))
    return path


# ---- what is read


def test_a_box_on_a_slice_becomes_a_box_prompt(a_volume: Volume) -> None:
    assert parsed(document(BOX), a_volume).prompts.prompts == (BoxPrompt("K", 2, (1, 2), (5, 6)),)


@pytest.mark.parametrize(("axis", "index", "corner"), [("I", 9, (7, 5)), ("J", 7, (9, 5)), ("K", 5, (9, 7))])
def test_the_last_slice_and_the_furthest_corner_of_every_axis_are_valid(
    a_volume: Volume, axis: str, index: int, corner: tuple[int, int]
) -> None:
    box = {"type": "box", "axis": axis, "slice": index, "min": [0, 0], "max": list(corner)}
    assert parsed(document(box), a_volume).prompts.prompts == (BoxPrompt(axis, index, (0, 0), corner),)


def test_a_point_is_positive_unless_it_says_otherwise(a_volume: Volume) -> None:
    job = parsed(document(POINT, {**POINT, "positive": False}), a_volume)
    assert job.prompts.prompts == (PointPrompt((3, 4, 2), True), PointPrompt((3, 4, 2), False))


def test_position_is_another_word_for_ijk_in_a_file_in_voxels(a_volume: Volume) -> None:
    job = parsed(document({"type": "point", "position": [3, 4, 2]}), a_volume)
    assert job.prompts.prompts == (PointPrompt((3, 4, 2)),)


def test_a_segment_takes_the_axis_of_its_box(a_volume: Volume) -> None:
    box = {"type": "box", "axis": "I", "slice": 3, "min": [0, 0], "max": [4, 4]}
    assert parsed(document(POINT, box), a_volume).axis == "I"


def test_points_alone_are_propagated_along_k_or_the_axis_of_the_segment(a_volume: Volume) -> None:
    assert parsed(document(POINT), a_volume).axis == "K"
    assert parsed(document(POINT, axis="J"), a_volume).axis == "J"


def test_a_range_is_kept_and_null_means_until_it_ends(a_volume: Volume) -> None:
    assert parsed(document(BOX, range=[0, 5]), a_volume).slice_range == (0, 5)
    assert parsed(document(BOX, range=None), a_volume).slice_range is None


def test_segments_have_colours_of_their_own_unless_one_is_given(a_volume: Volume) -> None:
    segments = [{"name": name, "prompts": [BOX]} for name in ("a", "b")]
    first, second = parse_prompts({"segments": segments}, a_volume, Path())
    assert first.color != second.color
    assert parsed(document(BOX, color=[0, 0.5, 1]), a_volume).color == (0, 0.5, 1)


def test_segments_have_ids_of_their_own(a_volume: Volume) -> None:
    segments = [{"name": name, "prompts": [BOX]} for name in ("a", "b")]
    jobs = parse_prompts({"version": 1, "segments": segments}, a_volume, Path())
    assert len({job.prompts.segment_id for job in jobs}) == 2


def test_what_reaches_over_the_border_of_the_volume_is_cut_off_a_box(a_volume: Volume) -> None:
    job = parsed(document({**BOX, "min": [-3, -0.5], "max": [12, 7.2]}), a_volume)
    assert job.prompts.prompts == (BoxPrompt("K", 2, (0, 0), (9, 7)),)


def test_a_file_is_read_even_if_windows_put_a_byte_order_mark_before_it(a_volume: Volume, tmp_path: Path) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps(document(BOX)), encoding="utf-8-sig")
    assert len(read_prompt_file(path, a_volume)) == 1


# ---- millimetres


@settings(deadline=None)
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 5.0)] * 3),
    flip=st.booleans(),
    frame=st.sampled_from(["RAS", "LPS"]),
    axis=st.sampled_from(["I", "J", "K"]),
)
def test_a_box_and_a_point_in_mm_are_the_same_voxels_in_any_geometry(
    angles: tuple[float, float, float], spacing: tuple[float, float, float], flip: bool, frame: str, axis: str
) -> None:
    volume = Volume(np.zeros(SHAPE_KJI, np.uint8), geometry(angles, spacing, flip))
    to_mm = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.ijk_to_ras if frame == "LPS" else volume.ijk_to_ras
    along = "IJK".index(axis)
    low, high = np.array([2.0, 1.0, 0.0]), np.array([8.0, 6.0, 5.0])
    low[along] = high[along] = 3
    corner_a, corner_b = ((to_mm @ [*corner, 1])[:3].tolist() for corner in (low, high))
    box = {"type": "box", "axis": axis, "min": corner_b, "max": corner_a}
    point = {"type": "point", "position": corner_a}
    job = parsed({"coordinates": frame, **document(box, point)}, volume)
    plane = [n for n in range(3) if n != along]
    expected_box = BoxPrompt(axis, 3, tuple(low[plane]), tuple(high[plane]))
    assert job.prompts.prompts == (expected_box, PointPrompt(tuple(low)))


def test_a_box_in_mm_that_is_not_parallel_to_the_slices_is_refused(a_volume: Volume) -> None:
    a, b = ((a_volume.ijk_to_ras @ [*ijk, 1])[:3].tolist() for ijk in ((1, 1, 1), (5, 5, 2)))
    data = {"coordinates": "RAS", **document({"type": "box", "axis": "K", "min": a, "max": b})}
    with pytest.raises(BadRequest, match=r"slices 1\.0 and 2\.0 of axis K.*not parallel"):
        parsed(data, a_volume)


def test_ijk_in_a_file_in_mm_is_refused(a_volume: Volume) -> None:
    with pytest.raises(BadRequest, match='in RAS, so a point is a "position" in mm'):
        parsed({"coordinates": "RAS", **document(POINT)}, a_volume)


def test_a_slice_index_in_a_box_in_mm_is_refused(a_volume: Volume) -> None:
    box = {**BOX, "min": [0, 0, 0], "max": [1, 1, 1]}
    with pytest.raises(BadRequest, match="unknown key 'slice'"):
        parsed({"coordinates": "LPS", **document(box)}, a_volume)


# ---- masks


@pytest.mark.parametrize(("axis", "index"), [("I", 4), ("J", 3), ("K", 2)])
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_mask_is_the_slice_of_a_whole_volume_or_a_picture_of_the_slice(
    a_volume: Volume, tmp_path: Path, axis: str, index: int, is_whole: bool
) -> None:
    mask_kji = np.random.default_rng(0).random(SHAPE_KJI) > 0.7
    along = 2 - "IJK".index(axis)
    expected = np.zeros(SHAPE_KJI, bool)
    np.moveaxis(expected, along, 0)[index] = np.take(mask_kji, index, along)
    if is_whole:
        write_image(tmp_path / "m.nii.gz", mask_kji.astype(np.uint8) * 3, a_volume.ijk_to_ras)
    else:
        write_image(tmp_path / "m.nii.gz", np.take(mask_kji, index, along).astype(np.uint8))
    prompt = {"type": "mask", "axis": axis, "slice": index, "file": "m.nii.gz"}
    (mask_prompt,) = parsed(document(prompt), a_volume, tmp_path).prompts.prompts
    assert isinstance(mask_prompt, MaskPrompt)
    pasted = np.zeros(SHAPE_KJI, bool)
    mask_prompt.region.paste_into(pasted)
    assert np.array_equal(pasted, expected)


def mask_prompt(folder: Path, voxels: np.ndarray, ijk_to_ras: np.ndarray | None = None) -> dict[str, Any]:
    write_image(folder / "m.nii.gz", voxels, ijk_to_ras)
    return document({"type": "mask", "axis": "K", "slice": 2, "file": "m.nii.gz"})


def test_an_empty_mask_is_refused(a_volume: Volume, tmp_path: Path) -> None:
    data = mask_prompt(tmp_path, np.zeros(SHAPE_KJI, np.uint8), a_volume.ijk_to_ras)
    with pytest.raises(BadRequest, match=r'segment "GTVp", prompt 1 \(mask\): m\.nii\.gz has no voxel on slice 2'):
        parsed(data, a_volume, tmp_path)


def test_a_mask_of_another_size_is_refused(a_volume: Volume, tmp_path: Path) -> None:
    data = mask_prompt(tmp_path, np.ones((8, 11), np.uint8))
    with pytest.raises(BadRequest, match=r"has 11 x 8 x 1 voxels.*10 x 8 x 6, or be a picture of the slice.*10 x 8"):
        parsed(data, a_volume, tmp_path)


def test_a_mask_that_lies_elsewhere_in_the_patient_is_refused(a_volume: Volume, tmp_path: Path) -> None:
    moved = a_volume.ijk_to_ras.copy()
    moved[0, 3] += 2
    data = mask_prompt(tmp_path, np.ones(SHAPE_KJI, np.uint8), moved)
    with pytest.raises(BadRequest, match=r"lies 2\.00 mm away from the volume"):
        parsed(data, a_volume, tmp_path)


def test_a_mask_file_that_is_missing_is_named(a_volume: Volume, tmp_path: Path) -> None:
    data = document({"type": "mask", "axis": "K", "slice": 2, "file": "none.nii.gz"})
    with pytest.raises(UnreadableVolume, match=r"prompt 1 \(mask\).*none\.nii\.gz"):
        parsed(data, a_volume, tmp_path)


def test_a_mask_file_that_is_no_image_is_unreadable(a_volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "m.nii.gz").write_text("not an image", encoding="utf-8")
    data = document({"type": "mask", "axis": "K", "slice": 2, "file": "m.nii.gz"})
    with pytest.raises(UnreadableVolume, match=r"prompt 1 \(mask\)"):
        parsed(data, a_volume, tmp_path)


# ---- what is refused

REFUSED = [
    ([], "an object"),
    ({}, "'segments' is missing"),
    ({"segments": []}, "segments: a list with at least one entry"),
    ({"segments": [7]}, "segment 1: an object"),
    ({"version": 2, **document(BOX)}, "version 2; this program reads version 1"),
    ({"version": "1", **document(BOX)}, "version: a whole number"),
    ({"coordinates": "ijk", **document(BOX)}, "coordinates: one of IJK, RAS, LPS"),
    ({"segmnets": [], **document(BOX)}, "unknown key 'segmnets'"),
    (document(), "prompts: a list with at least one entry"),
    (document(BOX, colour=[1, 0, 0]), "segment 1: unknown key 'colour'"),
    (document(BOX, name=""), "segment 1, name: a text"),
    (document(BOX, name="two\nlines"), "segment 1, name: a text on one line"),
    (document(BOX, color=[255, 0, 0]), "color: red, green and blue go from 0 to 1"),
    (document(BOX, axis="z"), "axis: one of I, J, K"),
    (document(BOX, axis="I"), "the slice axes I and K"),
    (
        document({"type": "circle"}),
        "prompt 1: an object with \"type\" box, point, scribble, lasso, mask was expected, not the type 'circle'",
    ),
    (document("box"), "prompt 1: an object with"),
    (document(BOX, {"type": ["box"]}), "prompt 2: an object with"),
    (document({**BOX, "slice": 400}), "there is no slice 400 on axis K: the volume has 6 (0 to 5)"),
    (document({**BOX, "slice": 6}), "there is no slice 6 on axis K"),
    (document({**BOX, "slice": -1}), "there is no slice -1 on axis K"),
    (document({**BOX, "slice": 2.5}), "slice: a whole number was expected, not 2.5"),
    (document({**BOX, "slice": True}), "slice: a whole number"),
    (document({**BOX, "axis": "k"}), "axis: one of I, J, K"),
    (document({**BOX, "min": [1]}), "min: a list of 2 numbers was expected, not [1]"),
    (document({**BOX, "max": [5, float("nan")]}), "max: a list of 2 numbers"),
    (document({**BOX, "max": [5, 10**400]}), "max: a list of 2 numbers"),
    (document({**BOX, "min": [10, 2], "max": [12, 6]}), "(box) lies outside the volume: I is 10 to 12"),
    (document({**BOX, "min": [1, -4], "max": [5, -2]}), "(box) lies outside the volume: J is -4 to -2"),
    (document({**BOX, "min": [7, 2]}), "a box needs min <= max"),
    (document({**BOX, "label": 1}), "(box): unknown key 'label'"),
    (document({"type": "box", "axis": "K", "slice": 2, "min": [1, 2]}), "(box): 'max' is missing"),
    (document({"type": "point"}), 'give "position" or, in voxels, "ijk"'),
    (document({**POINT, "position": [1, 2, 3]}), "one of them"),
    (document({"type": "point", "ijk": [3, 4, 6]}), "(point) lies outside the volume: K is 6"),
    (document({**POINT, "positive": 0}), "positive: true or false"),
    (document({**POINT, "positive": False}), "negative points only"),
    (document({"type": "mask", "axis": "K", "slice": 9, "file": "m.nii"}), "(mask): there is no slice 9"),
    (document({"type": "mask", "axis": "K", "slice": 2, "file": 3}), "file: a text"),
    (document(BOX, range=[0]), "range: two slices [first, last]"),
    (document(BOX, range=[3, 1]), "the first slice 3 comes after the last slice 1"),
    (document(BOX, range=[0, 6]), "range: there is no slice 6 on axis K"),
    (document(BOX, range=[3, 5]), "prompt 1 is on slice 2 of axis K, outside the segment's range 3 to 5"),
    ({"segments": [{"name": "a", "prompts": [BOX]}, {"name": "a", "prompts": [BOX]}]}, 'Two segments are named "a"'),
]


@pytest.mark.parametrize(("data", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_a_mistake_is_refused_with_a_sentence(a_volume: Volume, data: object, sentence: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(sentence)):
        parse_prompts(data, a_volume, Path())


def test_a_mistake_in_a_prompt_names_segment_and_prompt(a_volume: Volume) -> None:
    with pytest.raises(BadRequest, match=r'^segment "GTVp", prompt 2 \(box\): there is no slice 400'):
        parse_prompts(document(POINT, {**BOX, "slice": 400}), a_volume, Path())


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"segments": [], "segments": []}', "[" * 100_000])
def test_a_file_that_is_no_json_is_refused(a_volume: Volume, tmp_path: Path, text: str) -> None:
    path = tmp_path / "prompts.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadRequest, match=r"prompts\.json is not valid JSON"):
        read_prompt_file(path, a_volume)


def test_a_binary_file_is_refused(a_volume: Volume, tmp_path: Path) -> None:
    (tmp_path / "prompts.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(BadRequest, match="not UTF-8"):
        read_prompt_file(tmp_path / "prompts.json", a_volume)


def test_a_missing_file_is_unreadable(a_volume: Volume, tmp_path: Path) -> None:
    with pytest.raises(UnreadableVolume, match=r"none\.json cannot be read"):
        read_prompt_file(tmp_path / "none.json", a_volume)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["box", "point", "mask", "K"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["type", "axis", "slice", "min", "max", "ijk", "position", "positive", "file"]


@settings(deadline=None)
@given(prompt=st.dictionaries(st.sampled_from(KEYS), JSON), kind=st.sampled_from(["box", "point", "mask"]))
def test_whatever_a_prompt_holds_it_is_read_or_refused_and_never_crashes(prompt: dict[str, Any], kind: str) -> None:
    volume = Volume(np.zeros(SHAPE_KJI, np.uint8), np.eye(4))
    with contextlib.suppress(EngineError):
        parse_prompts(document({**prompt, "type": kind}), volume, Path())


# ---- the documentation


def documented() -> list[str]:
    return re.findall(r"```json\n(.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(documented())))
def test_the_documented_examples_are_valid(tmp_path: Path, number: int) -> None:
    """They all speak of an axial volume of 512 x 512 x 120 voxels, 0.8 x 0.8 x 3 mm."""
    volume = Volume(np.zeros((120, 512, 512), np.uint8), np.diag([-0.8, -0.8, 3.0, 1.0]))
    write_image(tmp_path / "lesion_k50.nii.gz", np.ones((512, 512), np.uint8))
    assert parse_prompts(json.loads(documented()[number]), volume, tmp_path)
