"""Which followed frames are recalled: the last ones, those that say something else, or those that can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2_engine.backends.base import Backend
from medsam2_engine.errors import BadRequest
from medsam2_engine.memory_policies import POLICIES, GatedFrames, PrunedFrames, find_policy
from medsam2_engine.model.bank import SAM2, Memory, MemoryBank, MemoryPolicy
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.session import Session
from medsam2_protocol import messages
from medsam2_protocol.prompts import SegmentPrompts
from phantoms import Phantom, dice

COUNT = 6
CONFIG = Sam2Config.hiera_tiny()


def memory(name: int, direction: float = 0.0, score: float = 5.0, iou: float = 0.9, area: float = 100.0) -> Memory:
    """A memory that points in a direction (radians), and can be told by its pointer."""
    angle = torch.tensor(direction)
    return Memory(torch.stack([angle.cos(), angle.sin()])[None], torch.tensor([float(name)]), None, score, iou, area)


def aged(*memories: Memory) -> list[tuple[int, Memory]]:
    return list(enumerate(memories, 1))


def names(recalled: Sequence[tuple[int, Memory]]) -> list[int]:
    return [int(one.pointer[0]) for _, one in recalled]


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
@given(directions=st.lists(st.floats(-3, 3), max_size=24), scores=st.lists(st.floats(-9, 9), min_size=24, max_size=24))
def test_no_policy_recalls_more_than_it_may_and_all_recall_the_newest(
    policy: MemoryPolicy, directions: list[float], scores: list[float]
) -> None:
    followed = aged(*(memory(n, d, s) for n, (d, s) in enumerate(zip(directions, scores, strict=False), 1)))
    recalled = policy.recall(followed[: policy.reach(COUNT)], COUNT)
    assert len(recalled) <= COUNT
    assert [age for age, _ in recalled] == list(range(1, len(recalled) + 1))
    assert names(recalled) == sorted(names(recalled))
    assert names(recalled)[:1] == ([1] if followed else [])


@pytest.mark.parametrize("policy", POLICIES.values(), ids=list(POLICIES))
def test_as_long_as_there_are_few_sure_frames_all_policies_are_alike(policy: MemoryPolicy) -> None:
    followed = aged(*(memory(n) for n in range(1, COUNT + 1)))
    assert policy.recall(followed, COUNT) == SAM2.recall(followed, COUNT)


def test_of_frames_that_look_alike_the_pruned_policy_recalls_few() -> None:
    alike = [memory(n, 0.01 * n) for n in range(1, 8)]
    other = [memory(n, 1.5) for n in range(8, 13)]
    assert names(PrunedFrames().recall(aged(*alike, *other), COUNT)) == [1, 8, 9, 10, 11, 12]


@pytest.mark.parametrize(
    "doubtful",
    [memory(3, score=-1.0), memory(3, iou=0.2), memory(3, area=10.0), memory(3, area=900.0)],
    ids=["absent", "a poor mask", "a collapsed mask", "a leaked mask"],
)
def test_a_doubtful_frame_passes_no_gate(doubtful: Memory) -> None:
    followed = aged(memory(1), memory(2), doubtful, *(memory(n) for n in range(4, 9)))
    assert names(GatedFrames().recall(followed, COUNT)) == [1, 2, 4, 5, 6, 7]


def test_the_newest_frame_passes_every_gate() -> None:
    followed = aged(memory(1, score=-3.0), memory(2), memory(3))
    assert names(GatedFrames().recall(followed, COUNT)) == [1, 2, 3]


def test_the_host_is_offered_the_policies_there_are() -> None:
    assert tuple(POLICIES) == messages.POLICIES


def test_an_unknown_policy_is_named_with_those_there_are() -> None:
    with pytest.raises(BadRequest, match=r"no memory policy 'best'.*sam2, pruned, gated"):
        find_policy("best")


@pytest.mark.parametrize(("name", "reach"), [("sam2", 6), ("pruned", 12), ("gated", 24)])
def test_a_bank_forgets_what_its_policy_cannot_recall(name: str, reach: int) -> None:
    bank = MemoryBank(CONFIG, 100, policy=find_policy(name))
    bank.add_conditioning(0, memory(0))
    for frame in range(1, 60):
        bank.add(frame, memory(frame))
    assert len(bank._maps) == reach + 1


@pytest.mark.parametrize("name", POLICIES)
def test_the_embedded_model_follows_an_object_under_every_policy(
    name: str, phantom: Phantom, embedded: Backend
) -> None:
    asked = SegmentPrompts("s1", (phantom.box("K", 9),))
    found = torch.zeros(phantom.truth_kji.shape, dtype=torch.bool).numpy()
    for result in Session(phantom.volume, embedded).propagate([asked], "K", policy=name):
        found[result.slice] = result.mask
    assert dice(found, phantom.truth_kji) > 0.93
