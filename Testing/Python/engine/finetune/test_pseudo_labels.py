from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medsam2_engine.backends.base import Backend
from medsam2_engine.errors import BadRequest
from medsam2_engine.finetune.case_clips import ClipOptions, clip_of_case
from medsam2_engine.finetune.cases import TrainingCase, read_cases
from medsam2_engine.finetune.pseudo_labels import confidence_of, with_pseudo_labels
from training_phantoms import ellipsoid, in_space

REVIEWED = (3, 6, 9)


def write_case(folder: Path, reviewed: object) -> None:
    image, labels = ellipsoid(0)
    drawn = np.zeros_like(labels)
    drawn[list(REVIEWED)] = labels[list(REVIEWED)]
    folder.mkdir(parents=True)
    sitk.WriteImage(in_space(image), str(folder / "image.nii.gz"))
    sitk.WriteImage(in_space(drawn), str(folder / "label.nii.gz"))
    (folder / "meta.json").write_text(json.dumps({"reviewed": reviewed}))


@pytest.fixture
def completed(tmp_path: Path, embedded: Backend) -> TrainingCase:
    write_case(tmp_path / "cases" / "a", {"axis": "K", "slices": list(REVIEWED)})
    return with_pseudo_labels(read_cases(tmp_path / "cases")[0], embedded)


def test_slices_between_reviewed_ones_are_filled_and_the_reviewed_stay(completed: TrainingCase) -> None:
    mask, truth = completed.mask(completed.structures[0]), ellipsoid(0)[1] > 0
    np.testing.assert_array_equal(mask[list(REVIEWED)], truth[list(REVIEWED)])
    assert mask[4].any()
    assert mask[8].any()
    assert not mask[:3].any()


def test_what_a_person_drew_counts_fully_and_the_rest_as_far_as_it_is_believed(completed: TrainingCase) -> None:
    confidence = completed.confidence_kji
    assert confidence is not None
    assert (confidence[list(REVIEWED)] == 1).all()
    assert confidence.max() <= 1
    assert (confidence[0] == 0).all()


def test_clips_carry_the_confidence_of_their_slices(completed: TrainingCase) -> None:
    rng = np.random.default_rng(0)
    clips = [c for _ in range(20) if (c := clip_of_case(rng, completed, ClipOptions(3, axes="K"))) is not None]
    assert clips
    assert all(c.confidence is not None and c.confidence.min() >= 0 for c in clips)
    assert any(c.weights.max() == 1 for c in clips)


def test_doubt_below_a_half_counts_nothing() -> None:
    assert confidence_of(0.9, 5.0) == pytest.approx(0.9, abs=0.01)
    assert confidence_of(0.9, -1.0) == 0
    assert confidence_of(0.4, 9.0) == 0


def test_a_wrong_list_of_reviewed_slices_is_named(tmp_path: Path) -> None:
    write_case(tmp_path / "cases" / "a", ["K", 3])
    with pytest.raises(BadRequest, match="reviewed"):
        read_cases(tmp_path / "cases")
