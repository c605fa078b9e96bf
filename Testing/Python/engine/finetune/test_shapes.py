from __future__ import annotations

import numpy as np

from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.painting import painted
from medsam2_engine.finetune.shapes import shape_clip


def shapes(count: int, length: int = 6) -> list[Clip]:
    rng = np.random.default_rng(3)
    return [clip for _ in range(4 * count) if (clip := shape_clip(rng, length)) is not None][:count]


def test_shapes_can_be_prompted_and_some_end() -> None:
    found = shapes(25)
    assert all(clip.is_usable for clip in found)
    assert 0.05 < np.mean([not clip.masks[-1].any() for clip in found]) < 0.8


def test_a_painted_object_is_set_off_from_its_surroundings() -> None:
    rng = np.random.default_rng(0)
    target = np.zeros((3, 48, 48), bool)
    target[:, 15:32, 12:30] = True
    labels = np.zeros((3, 48, 48), np.int64)
    labels[:, :10] = 4
    for _ in range(10):
        image = painted(rng, labels, target)
        assert image.shape == target.shape
        assert np.isfinite(image).all()
        near = np.zeros_like(target)
        near[:, 10:37, 7:35] = True
        assert abs(image[target].mean() - image[near & ~target].mean()) > 0.01


def alike_neighbours(rng: np.random.Generator, tissue_share: float) -> float:
    """Part of the pairs of 20 labelled stripes, none of them the object, whose grey is nearly the same."""
    labels = np.zeros((1, 64, 240), np.int64)
    labels[:] = np.arange(240) // 12 + 1
    target = np.zeros(labels.shape, bool)
    target[:, 28:36, 0:12] = True
    image = painted(rng, labels, target, tissue_share=tissue_share)[0]
    grey = np.array([np.median(image[48:, 12 * n + 3 : 12 * n + 9]) for n in range(20)])
    away = np.abs(grey[:, None] - grey[None])[np.triu_indices(20, 1)]
    return float((away < 0.05 * away.max()).mean())


def test_labels_of_a_few_tissues_look_alike() -> None:
    rng = np.random.default_rng(3)
    of_tissues, of_their_own = (np.mean([alike_neighbours(rng, share) for _ in range(30)]) for share in (1.0, 0.0))
    assert of_tissues > 1.6 * of_their_own


def test_a_twin_looks_as_the_object_does() -> None:
    rng = np.random.default_rng(0)
    target, twins = np.zeros((3, 48, 48), bool), np.zeros((3, 48, 48), bool)
    target[:2, 15:32, 12:30] = True
    twins[:, 20:28, 36:44] = True
    for _ in range(10):
        image = painted(rng, np.zeros((3, 48, 48), np.int64), target, twins=twins)
        around = ~target & ~twins
        own, other = image[:2][target[:2]].mean(), image[:2][twins[:2]].mean()
        assert abs(own - other) < 0.5 * abs(own - image[:2][around[:2]].mean())


def test_many_objects_with_a_twin_end() -> None:
    rng = np.random.default_rng(5)
    found = [clip for _ in range(120) if (clip := shape_clip(rng, 6, twin_share=1.0)) is not None]
    without = [clip for _ in range(120) if (clip := shape_clip(rng, 6)) is not None]
    ended, usual = (np.mean([not clip.masks[-1].any() for clip in clips]) for clips in (found, without))
    assert ended > 1.5 * usual
