"""Objects in real images that nobody drew: lesions set in, and voxels that belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from medsam2_engine.finetune.cases import Structure, TrainingCase
from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.embedded_recipe import IMPLANTS, MIXTURES, make_clip
from medsam2_engine.finetune.implants import implanted_clip
from medsam2_engine.finetune.pseudo_objects import pseudo_clip
from medsam2_engine.volume import Volume

LENGTH = 7
NOISE = 4.0
Throw = Callable[[np.random.Generator], "Clip | None"]


def a_case(level: float, modality: str = "", name: str = "tr_mr_sts001") -> TrainingCase:
    """A volume of one tissue with some noise, 20 x 96 x 96, thick slices; a block of it is outlined."""
    rng = np.random.default_rng(2)
    voxels = (level + NOISE * rng.standard_normal((20, 96, 96))).astype(np.float32)
    labels = np.zeros(voxels.shape, np.uint8)
    labels[5:12, 30:60, 30:60] = 1
    volume = Volume(voxels, np.diag([1.0, 1.0, 4.0, 1.0]), modality)
    return TrainingCase(name, name, volume, (labels,), (Structure("block", 0, 1),))


def thrown(throw: Throw, count: int) -> list[Clip]:
    rng = np.random.default_rng(1)
    return [clip for _ in range(6 * count) if (clip := throw(rng)) is not None][:count]


def contrast(clip: Clip, level: float) -> float:
    return float(np.median(clip.images[clip.masks]) - level)


def test_a_lesion_is_set_into_the_image_and_nothing_else_changes() -> None:
    case = a_case(100.0)
    before = case.volume.voxels_kji.copy()
    clips = thrown(lambda rng: implanted_clip(rng, case, LENGTH), 30)
    assert len(clips) == 30
    for clip in clips:
        assert clip.is_usable
        assert clip.length == LENGTH
        assert clip.spacing_xy == (1.0, 1.0)
        assert np.isfinite(clip.images).all()
        corner = clip.images[:, :4, :4]
        assert abs(np.median(corner) - 100) < NOISE
    assert np.mean([abs(contrast(clip, 100)) > 0.1 * NOISE for clip in clips]) > 0.9
    assert {np.sign(contrast(clip, 100)) for clip in clips} == {-1.0, 1.0}
    np.testing.assert_array_equal(case.volume.voxels_kji, before)


def test_some_lesions_end_before_the_clip_does() -> None:
    case = a_case(100.0)
    clips = thrown(lambda rng: implanted_clip(rng, case, LENGTH), 40)
    assert 0.1 < np.mean([not clip.masks[-1].any() for clip in clips]) < 0.9


def test_lesions_of_a_pet_are_hot() -> None:
    case = a_case(12.0, name="tr_pet_sts001")
    clips = thrown(lambda rng: implanted_clip(rng, case, LENGTH, is_uptake=True), 20)
    assert len(clips) == 20
    assert all(contrast(clip, 12) > 12 for clip in clips)


@pytest.mark.parametrize(("modality", "level", "is_uptake"), [("CT", -1000.0, False), ("", -20.0, True)])
def test_there_are_no_lesions_in_air(modality: str, level: float, is_uptake: bool) -> None:
    case = a_case(level, modality)
    assert not thrown(lambda rng: implanted_clip(rng, case, LENGTH, is_uptake), 3)


def test_lesions_of_a_lung_are_of_soft_tissue() -> None:
    case = a_case(-800.0, "CT")
    clips = thrown(lambda rng: implanted_clip(rng, case, LENGTH), 20)
    values = [float(np.median(clip.images[clip.masks])) for clip in clips]
    assert -150 < np.median(values) < 100
    assert min(values) > -600  # with a core


def test_a_volume_with_too_few_slices_holds_none() -> None:
    case = a_case(100.0)
    assert not thrown(lambda rng: implanted_clip(rng, case, 20), 3)
    assert not thrown(lambda rng: pseudo_clip(rng, case, 20), 3)


def test_half_of_the_mixture_is_implants() -> None:
    cases = [
        a_case(100.0),
        a_case(12.0, name="tr_pet_sts001"),
        a_case(100.0, name="tr_mr_hippocampus_001"),
        a_case(40.0, "CT", name="tr_ct_sts001"),
    ]
    rng, mixture = np.random.default_rng(0), replace(MIXTURES[IMPLANTS], pseudo=0.0, painted=0.0)
    kinds = [make_clip(rng, cases, mixture).kind for _ in range(150)]
    assert abs(kinds.count("implant") / len(kinds) - mixture.implant) < 0.15
