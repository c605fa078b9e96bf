"""The number of threads follows what is faster, not what is written on the processor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from medsam2_engine.quiet_threads import quiet_waiting
from medsam2_engine.threads import CONTENT_STEPS, STEPS, ThreadGovernor


@pytest.fixture(autouse=True)
def eight_threads(one_thread: None) -> Iterator[None]:
    torch.set_num_threads(8)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def governor() -> ThreadGovernor:
    return ThreadGovernor()


def steps(governor: ThreadGovernor, wall_s: float, share: float, count: int = STEPS) -> None:
    for _ in range(count):
        governor.note(wall_s, wall_s * share * torch.get_num_threads())


def test_threads_that_are_not_disturbed_stay(governor: ThreadGovernor) -> None:
    steps(governor, 1.0, 0.9, 20 * STEPS)
    assert torch.get_num_threads() == 8


def test_starving_threads_are_halved(governor: ThreadGovernor) -> None:
    steps(governor, 1.0, 0.3)
    assert torch.get_num_threads() == 4


def test_one_slow_step_changes_nothing(governor: ThreadGovernor) -> None:
    steps(governor, 1.0, 0.9, STEPS - 1)
    steps(governor, 9.0, 0.1, 1)
    assert torch.get_num_threads() == 8


def test_fewer_threads_that_are_slower_are_taken_back(governor: ThreadGovernor) -> None:
    steps(governor, 1.0, 0.3)
    steps(governor, 1.5, 0.9)
    assert torch.get_num_threads() == 8


def test_fewer_threads_that_are_faster_stay(governor: ThreadGovernor) -> None:
    steps(governor, 1.0, 0.3)
    steps(governor, 0.5, 0.9, 3 * STEPS)
    assert torch.get_num_threads() == 4


def test_what_was_found_best_is_not_doubted_at_once(governor: ThreadGovernor) -> None:
    steps(governor, 1.0, 0.3)
    steps(governor, 1.5, 0.9)
    steps(governor, 1.0, 0.3, CONTENT_STEPS // 2)
    assert torch.get_num_threads() == 8


def test_threads_come_back_when_the_others_are_gone(governor: ThreadGovernor) -> None:
    steps(governor, 1.0, 0.3)
    steps(governor, 0.5, 0.9, CONTENT_STEPS + 2 * STEPS)
    assert torch.get_num_threads() == 8


def test_there_are_never_more_threads_than_at_first(governor: ThreadGovernor) -> None:
    for _ in range(10):
        steps(governor, 1.0, 1.0, CONTENT_STEPS)
    assert torch.get_num_threads() == 8


def test_a_single_thread_stays(governor: ThreadGovernor) -> None:
    torch.set_num_threads(1)
    steps(ThreadGovernor(), 1.0, 0.1)
    assert torch.get_num_threads() == 1


def test_a_watched_step_is_noted(governor: ThreadGovernor, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[tuple[float, float]] = []
    monkeypatch.setattr(governor, "note", lambda wall_s, cpu_s: noted.append((wall_s, cpu_s)))
    with governor.watching():
        sum(range(100_000))
    ((wall_s, cpu_s),) = noted
    assert wall_s > 0
    assert cpu_s > 0


def test_waiting_threads_sleep() -> None:
    environment: dict[str, str] = {}
    quiet_waiting(environment)
    assert environment == {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}


def test_how_threads_wait_is_the_users_choice() -> None:
    environment = {"OMP_WAIT_POLICY": "ACTIVE"}
    quiet_waiting(environment)
    assert environment["OMP_WAIT_POLICY"] == "ACTIVE"
