from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from medsam2_engine.finetune.body_sides import right_of_left
from medsam2_engine.finetune.case_clips import ClipOptions, clip_of_case
from medsam2_engine.finetune.cases import Structure, TrainingCase, read_cases
from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.geometry import slice_axes
from training_phantoms import SHAPE_KJI, in_space


def clips(case: TrainingCase, count: int, length: int = 4) -> list[Clip]:
    rng = np.random.default_rng(0)
    thrown = (clip_of_case(rng, case, ClipOptions(length)) for _ in range(4 * count))
    return [clip for clip in thrown if clip is not None][:count]


@pytest.fixture
def case(case_folder: Path) -> TrainingCase:
    return read_cases(case_folder)[0]


@pytest.fixture
def coded_case(tmp_path: Path) -> TrainingCase:
    """A volume whose voxels say in which slice, row and column they lie, with a block segmented."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in SHAPE_KJI), indexing="ij")
    sitk.WriteImage(in_space((k * 10000 + j * 100 + i).astype(np.float32)), str(tmp_path / "c.nii.gz"))
    block = (k > 2) & (k < 11) & (j > 9) & (j < 24) & (i > 15) & (i < 25)
    sitk.WriteImage(in_space(block.astype(np.uint8)), str(tmp_path / "c_seg.nii.gz"))
    return read_cases(tmp_path)[0]


def test_masks_lie_on_the_voxels_they_were_drawn_on(coded_case: TrainingCase) -> None:
    untouched = [c for c in clips(coded_case, 20) if (c.images == np.rint(c.images)).all()]
    assert untouched
    for clip in untouched:
        k, rest = np.divmod(clip.images, 10000)
        j, i = np.divmod(rest, 100)
        block = (k > 2) & (k < 11) & (j > 9) & (j < 24) & (i > 15) & (i < 25)
        np.testing.assert_array_equal(clip.masks, block)


def test_turned_clips_keep_mask_and_image_together(case: TrainingCase) -> None:
    for clip in clips(case, 20):
        inside, outside = clip.images[0][clip.masks[0]], clip.images[0][~clip.masks[0]]
        assert inside.mean() - outside.mean() > 50


def test_slices_go_one_way_from_the_prompted_one(coded_case: TrainingCase) -> None:
    for clip in clips(coded_case, 10):
        steps = np.diff([np.floor_divide(part.max(), 10000) for part in clip.images])
        assert (steps >= 0).all() or (steps <= 0).all()


def test_many_clips_see_the_object_end(case: TrainingCase) -> None:
    ended = [not clip.masks[-1].any() for clip in clips(case, 40)]
    assert 0.2 < np.mean(ended) < 0.9


@pytest.fixture
def cone(tmp_path: Path) -> TrainingCase:
    """An object whose slices grow along K."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in SHAPE_KJI), indexing="ij")
    solid = (k > 1) & (abs(j - 16) <= k) & (abs(i - 20) <= k)
    sitk.WriteImage(in_space(solid.astype(np.float32)), str(tmp_path / "c.nii.gz"))
    sitk.WriteImage(in_space(solid.astype(np.uint8)), str(tmp_path / "c_seg.nii.gz"))
    return read_cases(tmp_path)[0]


def test_clips_of_growing_objects_begin_small_and_grow(cone: TrainingCase) -> None:
    rng = np.random.default_rng(0)
    options = ClipOptions(3, "K", near_end=0.0, growing=1.0)
    found = [clip for clip in (clip_of_case(rng, cone, options) for _ in range(60)) if clip is not None]
    areas = np.array([clip.masks.sum(axis=(1, 2)) for clip in found])
    assert len(found) > 20
    assert (np.diff(areas) >= 0).all(axis=1).mean() > 0.4  # those that were begun before the largest slice
    plain = [clip_of_case(rng, cone, ClipOptions(3, "K", near_end=0.0, growing=0.0)) for _ in range(60)]
    usual = np.array([clip.masks.sum(axis=(1, 2)) for clip in plain if clip is not None])
    assert (areas[:, 0] / areas.max()).mean() < (usual[:, 0] / usual.max()).mean()


def test_the_prompted_slice_always_holds_the_object(case: TrainingCase) -> None:
    assert all(clip.is_usable for clip in clips(case, 30))


def test_the_same_seed_gives_the_same_clip(case: TrainingCase) -> None:
    first, second = (clips(case, 5) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.masks, other.masks)


def test_slices_of_a_thick_volume_are_its_own_and_of_an_isotropic_one_any() -> None:
    assert slice_axes((0.8, 0.8, 3.0)) == "K"
    assert slice_axes((5.5, 5.5, 3.3)) == "K"  # PET: coarser in the plane
    assert slice_axes((3.0, 0.9, 0.9)) == "I"
    assert slice_axes((1.0, 1.0, 1.2)) == "IJK"


@pytest.fixture
def halves(tmp_path: Path) -> TrainingCase:
    """Shapes only: two halves that meet between I = 15 and I = 16, and a pair so small that nothing can be followed."""
    folder = tmp_path / "halves"
    folder.mkdir()
    k, j, i = np.meshgrid(np.arange(24), np.arange(28), np.arange(32), indexing="ij")
    body = (k - 12) ** 2 + (j - 14) ** 2 < 64
    labels = np.where(body & (i > 3) & (i < 16), 1, 0) + np.where(body & (i > 15) & (i < 28), 2, 0)
    labels[1:4, 1, 1], labels[1:4, 1, 30] = 3, 4
    sitk.WriteImage(sitk.GetImageFromArray(labels.astype(np.uint8)), str(folder / "label.nii.gz"))
    names = ("brain Left", "brain Right", "lens-Lt", "lens-Rt")
    structures = {name: {"label": number + 1} for number, name in enumerate(names)}
    (folder / "meta.json").write_text(json.dumps({"label_only": True, "structures": structures}))
    return read_cases(tmp_path)[0]


def test_left_and_right_are_known_by_their_names() -> None:
    names = ("Parotid-Lt", "kidney R", "FreeSurfer label 2", "Parotid-Rt", "FreeSurfer label 41", "liver", "kidney L")
    pairs = right_of_left(Structure(name, 0, number) for number, name in enumerate(names))
    assert {(left.name, right.name) for left, right in pairs.items()} == {
        ("Parotid-Lt", "Parotid-Rt"),
        ("FreeSurfer label 2", "FreeSurfer label 41"),
        ("kidney L", "kidney R"),
    }


def test_a_half_ends_where_its_partner_comes_and_looks_alike(halves: TrainingCase) -> None:
    rng = np.random.default_rng(4)
    thrown = [clip_of_case(rng, halves, ClipOptions(7, to_partner=True)) for _ in range(60)]
    found = [clip for clip in thrown if clip is not None]
    assert len(found) > 30
    ended = [clip for clip in found if not clip.masks[-1].any()]
    assert len(ended) > 0.6 * len(found)
    looks = [clip.images[:, clip.masks[0]].mean(1) for clip in ended]  # where the object was on the first slice
    around = [clip.images[0][~clip.masks[0]].mean() for clip in ended]
    change = np.median([abs(look[-1] - look[0]) for look in looks])
    contrast = np.median([abs(look[0] - other) for look, other in zip(looks, around, strict=True)])
    assert change < 0.5 * contrast


def test_shapes_alone_are_painted(case: TrainingCase) -> None:
    rng = np.random.default_rng(2)
    options = ClipOptions(3, paint_share=1.0)
    painted = next(clip for _ in range(20) if (clip := clip_of_case(rng, case, options)) is not None)
    assert painted.kind == "painted"
    inside, outside = painted.images[0][painted.masks[0]], painted.images[0][~painted.masks[0]]
    assert abs(inside.mean() - outside.mean()) > 0.02
