"""Encoded frames are kept as long as their bytes fit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from medsam2_engine import features
from medsam2_engine.features import LARGEST_BUDGET, SMALLEST_BUDGET, UNKNOWN_BUDGET, FeatureCache, feature_budget


@dataclass(frozen=True)
class Features:
    nbytes: int


@pytest.fixture
def cache() -> FeatureCache[Features]:
    """Room for three frames of ten bytes."""
    return FeatureCache(30)


def fill(cache: FeatureCache[Features], *keys: str) -> None:
    for key in keys:
        cache.get(key, lambda: Features(10))


def is_kept(cache: FeatureCache[Features], key: str) -> bool:
    before = cache.misses
    fill(cache, key)
    return cache.misses == before


def test_a_new_frame_is_encoded(cache: FeatureCache[Features]) -> None:
    assert cache.get("a", lambda: Features(10)) == Features(10)


def test_a_kept_frame_is_the_same_object(cache: FeatureCache[Features]) -> None:
    first = cache.get("a", lambda: Features(10))
    assert cache.get("a", lambda: Features(10)) is first


def test_misses_count_the_frames_that_had_to_be_encoded(cache: FeatureCache[Features]) -> None:
    fill(cache, "a", "b", "a", "a", "b")
    assert cache.misses == 2


def test_frames_that_fit_are_all_kept(cache: FeatureCache[Features]) -> None:
    fill(cache, "a", "b", "c")
    assert [is_kept(cache, key) for key in "abc"] == [True, True, True]


def test_the_oldest_goes_first(cache: FeatureCache[Features]) -> None:
    fill(cache, "a", "b", "c", "d")
    assert not is_kept(cache, "a")


def test_a_frame_that_was_used_again_is_no_longer_the_oldest(cache: FeatureCache[Features]) -> None:
    fill(cache, "a", "b", "c", "a", "d")
    assert is_kept(cache, "a")


def test_only_as_many_go_as_have_to(cache: FeatureCache[Features]) -> None:
    fill(cache, "a", "b", "c", "d")
    assert [is_kept(cache, key) for key in "bcd"] == [True, True, True]


def test_a_large_frame_drives_out_several(cache: FeatureCache[Features]) -> None:
    fill(cache, "a", "b", "c")
    cache.get("large", lambda: Features(20))
    assert [is_kept(cache, "c"), is_kept(cache, "b")] == [True, False]


def test_a_frame_larger_than_the_budget_is_kept_alone(cache: FeatureCache[Features]) -> None:
    fill(cache, "a")
    huge = cache.get("huge", lambda: Features(1000))
    assert cache.get("huge", lambda: Features(1000)) is huge


def test_a_frame_that_cannot_be_encoded_leaves_no_trace(cache: FeatureCache[Features]) -> None:
    def fail() -> Features:
        raise MemoryError

    with pytest.raises(MemoryError):
        cache.get("a", fail)
    assert not is_kept(cache, "a")


def test_what_happened_is_counted(cache: FeatureCache[Features]) -> None:
    fill(cache, "a", "b", "a", "c", "d", "e")
    assert (cache.misses, cache.hits, cache.forgotten, len(cache), cache.nbytes) == (5, 1, 2, 3, 30)


def test_the_counts_read_as_a_sentence(cache: FeatureCache[Features]) -> None:
    fill(cache, "a", "a")
    assert str(cache) == "1 frames kept in 0 of 0 MiB; 1 encoded, 1 found again, 0 forgotten"


@pytest.mark.parametrize(
    ("free", "budget"),
    [
        (16 << 30, 4 << 30),
        (1 << 30, SMALLEST_BUDGET),
        (1 << 40, LARGEST_BUDGET),
        (None, UNKNOWN_BUDGET),
    ],
)
def test_the_budget_is_a_share_of_what_is_free(monkeypatch: pytest.MonkeyPatch, free: int | None, budget: int) -> None:
    monkeypatch.setattr(features, "free_memory", lambda device: free)
    assert feature_budget("cpu") == budget


def test_on_a_gpu_its_own_memory_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (24 << 30, 32 << 30))
    assert feature_budget("cuda") == 6 << 30
