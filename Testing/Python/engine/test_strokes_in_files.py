"""Scribbles and lassos of prompt files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam2_engine.errors import BadRequest
from medsam2_engine.prompt_file import SegmentJob, parse_prompts
from medsam2_engine.volume import Volume
from medsam2_protocol.prompts import LassoPrompt, ScribblePrompt

SHAPE_KJI = (6, 8, 10)
LASSO = {"type": "lasso", "axis": "K", "slice": 2, "path": [[1, 2], [6, 2], [6, 6.5], [1, 6]]}
SCRIBBLE = {"type": "scribble", "axis": "K", "slice": 2, "path": [[2, 3], [4, 4], [5, 3.5]]}


@pytest.fixture
def a_volume() -> Volume:
    """Oblique, left-handed, anisotropic."""
    turned = np.array([[0.8, -0.6, 0.0], [0.48, 0.64, -0.6], [0.36, 0.48, 0.8]])
    ijk_to_ras = np.eye(4)
    ijk_to_ras[:3, :3] = turned @ np.diag([0.7, 1.1, -4.0])
    ijk_to_ras[:3, 3] = (12.5, -40.0, 7.25)
    return Volume(np.zeros(SHAPE_KJI, np.int16), ijk_to_ras)


def document(*prompts: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"segments": [{"name": "GTVp", "prompts": list(prompts)}], **keys}


def parsed(data: object, volume: Volume) -> SegmentJob:
    (job,) = parse_prompts(data, volume, Path())
    return job


def test_a_lasso_and_a_scribble_keep_their_paths(a_volume: Volume) -> None:
    job = parsed(document(LASSO, SCRIBBLE, {**SCRIBBLE, "positive": False}), a_volume)
    assert job.prompts.prompts == (
        LassoPrompt("K", 2, ((1, 2), (6, 2), (6, 6.5), (1, 6))),
        ScribblePrompt("K", 2, ((2, 3), (4, 4), (5, 3.5))),
        ScribblePrompt("K", 2, ((2, 3), (4, 4), (5, 3.5)), False),
    )


@pytest.mark.parametrize("coordinates", ["RAS", "LPS"])
@pytest.mark.parametrize(("axis", "along"), [("I", 0), ("J", 1), ("K", 2)])
def test_a_path_in_millimetres_finds_its_slice(a_volume: Volume, coordinates: str, axis: str, along: int) -> None:
    path = [(1.0, 2.0), (4.0, 2.5), (3.0, 4.0)]
    positions = [
        np.insert(vertex, along, 3.0) @ a_volume.ijk_to_ras[:3, :3].T + a_volume.ijk_to_ras[:3, 3] for vertex in path
    ]
    sign = np.array([-1, -1, 1]) if coordinates == "LPS" else np.ones(3)
    lasso = {"type": "lasso", "axis": axis, "path": [(sign * position).tolist() for position in positions]}
    job = parsed(document(lasso, coordinates=coordinates), a_volume)
    assert job.prompts.prompts == (LassoPrompt(axis, 3, tuple(path)),)


def test_the_axis_of_a_stroke_is_that_of_the_segment(a_volume: Volume) -> None:
    stroke = {**SCRIBBLE, "axis": "I", "slice": 4}
    assert parsed(document(stroke), a_volume).axis == "I"


BAD = [
    (document({**LASSO, "path": [[1, 2], [6, 2]]}), "at least 3 different positions"),
    (document({**SCRIBBLE, "path": [[1, 2]]}), "at least 2 different positions"),
    (document({**SCRIBBLE, "path": []}), "at least one entry"),
    (document({**SCRIBBLE, "path": [[1, 2, 3], [2, 3, 4]]}), "a list of 2 numbers"),
    (document({**LASSO, "path": [[20, 2], [26, 2], [26, 6]]}), "(lasso) encloses no voxel"),
    (document({**LASSO, "path": [[2.1, 2.1], [2.9, 2.1], [2.9, 2.9]]}), "(lasso) encloses no voxel"),
    (document({**SCRIBBLE, "path": [[20, 2], [26, 2]]}), "(scribble) lies outside the volume"),
    (document({**SCRIBBLE, "slice": 6}), "(scribble): there is no slice 6"),
    (document({**LASSO, "positive": False}), "unknown key 'positive'"),
    (document({**SCRIBBLE, "positive": False}), "negative points only"),
    (document(LASSO, {**SCRIBBLE, "axis": "J"}), "has the slice axes J and K"),
    (
        document({"type": "lasso", "axis": "K", "path": [[0, 0, 0], [0, 0, 50], [9, 0, 0]]}, coordinates="RAS"),
        "it goes from slice",
    ),
]


@pytest.mark.parametrize(("data", "sentence"), BAD, ids=[sentence for _, sentence in BAD])
def test_a_stroke_that_makes_no_sense_is_refused_with_a_sentence(a_volume: Volume, data: object, sentence: str) -> None:
    with pytest.raises(BadRequest) as error:
        parsed(data, a_volume)
    assert sentence in str(error.value)
    assert 'segment "GTVp"' in str(error.value)
