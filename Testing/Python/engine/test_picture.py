"""The picture of a result: which slices, which way up, and that it can be drawn at all."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from medsam2_engine.errors import UnwritableResult
from medsam2_engine.picture import PicturedSegment, check_picture_path, slices_to_show, three_digits, write_picture
from medsam2_engine.slice_view import view_of_slices
from medsam2_engine.volume import Volume
from medsam2_protocol.masks import region_of_slice
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import BoxPrompt, LassoPrompt, MaskPrompt, PointPrompt, ScribblePrompt

SHAPE_KJI = (20, 30, 40)
BOX = BoxPrompt("K", 8, (10, 8), (21, 17))
# Which patient direction I, J and K of a volume run in.
DIRECTIONS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}


def volume_along(letters: str, spacing: tuple[float, float, float] = (0.5, 0.8, 3.0)) -> Volume:
    """Voxels of 1..n, so that none is like another."""
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = np.array([DIRECTIONS[letter] for letter in letters]).T * spacing
    voxels = np.arange(np.prod(SHAPE_KJI), dtype=np.int32).reshape(SHAPE_KJI)
    return Volume(voxels, ijk_to_ras, "MR")


def a_segment(first: int = 5, last: int = 12, **changes: object) -> PicturedSegment:
    mask = np.zeros(SHAPE_KJI, bool)
    mask[first : last + 1, 9:16, 11:20] = True
    values = {"name": "GTVp", "color": (0.9, 0.6, 0.0), "axis": "K", "prompts": (BOX,), "mask_kji": mask}
    return PicturedSegment(**{**values, **changes})  # type: ignore[arg-type]


# ---- slices


def test_the_prompted_slice_stands_between_one_half_way_to_each_end() -> None:
    assert slices_to_show(a_segment(first=2, last=18)) == [5, 8, 13]


def test_a_segment_on_one_slice_has_one_panel() -> None:
    assert slices_to_show(a_segment(first=8, last=8)) == [8]


def test_an_empty_segment_shows_its_prompt() -> None:
    assert slices_to_show(a_segment(mask_kji=np.zeros(SHAPE_KJI, bool))) == [8]


def test_of_several_prompted_slices_the_largest_is_shown() -> None:
    mask = np.zeros(SHAPE_KJI, bool)
    mask[4:15, 5:8, 5:8] = True
    mask[13, 5:20, 5:20] = True
    prompts = (PointPrompt((6, 6, 5)), PointPrompt((6, 6, 13)))
    assert 13 in slices_to_show(a_segment(prompts=prompts, mask_kji=mask))


# ---- orientation


def shown_ras(volume: Volume, axis: str) -> tuple[np.ndarray, np.ndarray]:
    """RAS directions that point right and up on the screen, from the view alone."""
    view = view_of_slices(volume, axis, (5, 5), (9, 9), 0.5, 10)
    earlier, later = (n for n in range(3) if n != "IJK".index(axis))
    horizontal, vertical = (later, earlier) if view.is_turned else (earlier, later)
    sign_x = np.sign(view.x_limits[1] - view.x_limits[0])
    sign_y = np.sign(view.y_limits[1] - view.y_limits[0])
    unit = volume.ijk_to_ras[:3, :3] / np.linalg.norm(volume.ijk_to_ras[:3, :3], axis=0)
    return np.round(unit[:, horizontal] * sign_x) + 0.0, np.round(unit[:, vertical] * sign_y) + 0.0


@pytest.mark.parametrize("letters", ["RAS", "LPS", "RAI", "LAS", "PSR", "SRA", "ILP", "ASL"])
@pytest.mark.parametrize(("normal", "right", "up"), [("SI", "L", "A"), ("AP", "L", "S"), ("RL", "P", "S")])
def test_patient_right_is_left_and_anterior_or_superior_is_up_whatever_the_file(
    letters: str, normal: str, right: str, up: str
) -> None:
    axis = "IJK"[next(n for n, letter in enumerate(letters) if letter in normal)]
    found_right, found_up = shown_ras(volume_along(letters), axis)
    assert tuple(found_right) == DIRECTIONS[right]
    assert tuple(found_up) == DIRECTIONS[up]


def test_an_oblique_slice_is_shown_as_the_orientation_it_is_nearest_to() -> None:
    volume = volume_along("LPS")
    c, s = np.cos(0.5), np.sin(0.5)
    tilt = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])
    view = view_of_slices(Volume(volume.voxels_kji, tilt @ volume.ijk_to_ras), "K", (5, 5), (9, 9), 0.5, 10)
    assert view.letters == ("R", "L", "P", "A")


def test_the_view_has_equal_millimetres_both_ways() -> None:
    view = view_of_slices(volume_along("LPS", (0.3, 0.9, 5.0)), "I", (4, 4), (10, 8), 0.5, 1)
    width, height = (abs(limits[1] - limits[0]) for limits in (view.x_limits, view.y_limits))
    assert width == pytest.approx(height)
    assert width >= 4 * 5.0


def test_a_view_at_the_border_stays_inside_the_volume() -> None:
    view = view_of_slices(volume_along("LPS", (1, 1, 1)), "K", (0, 0), (4, 4), 0.5, 1)
    assert min(*view.x_limits, *view.y_limits) >= -0.5


# ---- drawing


def drawn(folder: Path, *segments: PicturedSegment, volume: Volume | None = None) -> np.ndarray:
    write_picture(folder / "out.png", volume or volume_along("LPS"), segments, "embedded")
    return matplotlib.image.imread(folder / "out.png")


def has_color(image: np.ndarray, color: tuple[float, float, float]) -> bool:
    return bool((np.abs(image[..., :3] - np.array(color)).max(axis=-1) < 0.02).any())


def test_the_contour_is_drawn_in_the_colour_of_the_segment(tmp_path: Path) -> None:
    assert has_color(drawn(tmp_path, a_segment()), (0.9, 0.6, 0.0))


def test_a_segment_without_voxels_is_drawn_without_a_contour(tmp_path: Path) -> None:
    empty = a_segment(mask_kji=np.zeros(SHAPE_KJI, bool))
    assert not has_color(drawn(tmp_path, empty), (0.9, 0.6, 0.0))


@pytest.mark.parametrize(("ml", "text"), [(0.0, "0.000"), (0.0426, "0.043"), (4.263, "4.26"), (1234.5, "1234")])
def test_millilitres_are_readable_whatever_their_size(ml: float, text: str) -> None:
    assert three_digits(ml) == text


def test_every_segment_has_a_row(tmp_path: Path) -> None:
    one = drawn(tmp_path, a_segment())
    two = drawn(tmp_path, a_segment(), a_segment(name="Node"))
    assert two.shape[0] > 1.9 * one.shape[0]
    assert two.shape[1] == one.shape[1]


def test_points_and_masks_are_drawn_too(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE_KJI[1:], bool)
    mask[9:15, 12:19] = True
    prompts = (
        MaskPrompt("K", 8, region_of_slice(mask, 0, 8)),
        PointPrompt((14, 12, 8)),
        PointPrompt((25, 12, 8), positive=False),
    )
    image = drawn(tmp_path, a_segment(prompts=prompts))
    assert has_color(image, (0x5F / 255, 0xD3 / 255, 0x5F / 255))
    assert has_color(image, (1.0, 0x5A / 255, 0x4F / 255))


def test_lassos_and_scribbles_are_drawn_in_the_colour_of_their_sign(tmp_path: Path) -> None:
    lasso = LassoPrompt("K", 8, ((12, 9), (20, 9), (20, 16), (12, 16)))
    assert has_color(drawn(tmp_path, a_segment(prompts=(lasso,))), (0x5F / 255, 0xD3 / 255, 0x5F / 255))
    scribble = ScribblePrompt("K", 8, ((12, 9), (20, 16)), positive=False)
    image = drawn(tmp_path, a_segment(prompts=(scribble,)))
    assert has_color(image, (1.0, 0x5A / 255, 0x4F / 255))
    assert not has_color(image, (0x5F / 255, 0xD3 / 255, 0x5F / 255))


def test_a_single_picture_and_a_constant_one_can_be_drawn(tmp_path: Path) -> None:
    mask = np.zeros((1, 30, 40), bool)
    mask[0, 9:16, 11:20] = True
    segment = a_segment(prompts=(BoxPrompt("K", 0, (10, 8), (21, 17)),), mask_kji=mask)
    volume = Volume(np.zeros((1, 30, 40), np.uint8), np.eye(4))
    assert has_color(drawn(tmp_path, segment, volume=volume), (0.9, 0.6, 0.0))


def test_the_voxels_stay_as_they_are(tmp_path: Path) -> None:
    volume = volume_along("SRA")
    before = volume.voxels_kji.copy()
    write_picture(tmp_path / "out.png", volume, (a_segment(),), "embedded", Window(0, 10))
    assert np.array_equal(volume.voxels_kji, before)


def test_without_matplotlib_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnwritableResult, match=r"pip install .*\[pictures\]"):
        check_picture_path(tmp_path / "out.png")


@pytest.mark.parametrize("name", ["out.jpg", "out", "missing/out.png"])
def test_a_picture_that_cannot_be_written_is_refused_early(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnwritableResult):
        check_picture_path(tmp_path / name)
