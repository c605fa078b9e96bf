"""Where a device gains by it, the slices that will be asked for next are encoded together with the one asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from medsam2_engine.backends.batches import Batches, frames_at_once
from medsam2_engine.encoding import Encoder
from medsam2_engine.frames import FrameStack, SliceStack, WholeSliceFrames
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.session import Session
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import SegmentPrompts
from phantoms import Phantom
from threshold_backend import ThresholdBackend

WINDOW = Window(0.0, 255.0)


@dataclass
class TogetherBackend(ThresholdBackend):
    """Encodes `at_once` frames together, if they are not more than it has `memory` for."""

    at_once: int = 4
    memory: int = 100
    batches: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._runs = Batches(self.at_once)

    def encode_together(self, frames: Sequence[Tensor]) -> list[Tensor]:
        return self._runs.run(self._encode_batch, frames)

    def _encode_batch(self, frames: Sequence[Tensor]) -> list[Tensor]:
        self.batches.append(len(frames))
        if len(frames) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return [self.encode(frame) for frame in frames]


@pytest.fixture
def frames(phantom: Phantom) -> FrameStack:
    return WholeSliceFrames(SliceStack(phantom.volume, "K"), WINDOW, 32)


def known(encoder: Encoder, frames: FrameStack) -> list[int]:
    return [index for index in range(20) if encoder.knows(frames, index)]


def test_the_nearest_slices_come_along(frames: FrameStack) -> None:
    encoder = Encoder(TogetherBackend(), 1 << 20)
    encoder(frames, 9, range(20))
    assert known(encoder, frames) == [7, 8, 9, 10]


def test_what_is_known_does_not_come_along_again(frames: FrameStack) -> None:
    encoder = Encoder(TogetherBackend(), 1 << 20)
    for index in (9, 11):
        encoder(frames, index, range(20))
    assert known(encoder, frames) == list(range(7, 15))


def test_nothing_outside_the_range_comes_along(frames: FrameStack) -> None:
    encoder = Encoder(TogetherBackend(), 1 << 20)
    encoder(frames, 9, range(8, 11))
    assert known(encoder, frames) == [8, 9, 10]


def test_alone_where_nobody_knows_what_is_asked_next(frames: FrameStack) -> None:
    encoder = Encoder(TogetherBackend(), 1 << 20)
    encoder(frames, 9)
    assert known(encoder, frames) == [9]


def test_alone_where_the_device_gains_nothing(frames: FrameStack) -> None:
    encoder = Encoder(ThresholdBackend(), 1 << 20)
    encoder(frames, 9, range(20))
    assert known(encoder, frames) == [9]


def test_features_are_those_of_the_slice_itself(frames: FrameStack) -> None:
    together, alone = Encoder(TogetherBackend(), 1 << 20), Encoder(ThresholdBackend(), 1 << 20)
    together(frames, 9, range(20))
    for index in (7, 8, 9, 10):
        assert torch.equal(together(frames, index), alone(frames, index))


def test_the_slice_asked_for_stays_where_the_budget_holds_one(frames: FrameStack) -> None:
    backend = TogetherBackend()
    encoder = Encoder(backend, 1)
    encoder(frames, 9, range(20))
    assert known(encoder, frames) == [9]


def test_a_propagation_encodes_together_and_finds_the_same(phantom: Phantom) -> None:
    segment = SegmentPrompts("s", (phantom.box("K", 9),))
    backend = TogetherBackend()
    together = list(Session(phantom.volume, backend).propagate([segment], "K", (4, 14), WINDOW))
    alone = list(Session(phantom.volume, ThresholdBackend()).propagate([segment], "K", (4, 14), WINDOW))
    assert [(one.slice, one.mask.tolist()) for one in together] == [(one.slice, one.mask.tolist()) for one in alone]
    assert max(backend.batches) == 4
    assert backend.calls.count(("encode",)) == 11


def test_too_many_for_the_memory_become_fewer(phantom: Phantom) -> None:
    segment = SegmentPrompts("s", (phantom.box("K", 9),))
    backend = TogetherBackend(at_once=8, memory=3)
    found = list(Session(phantom.volume, backend).propagate([segment], "K", (4, 14), WINDOW))
    assert len(found) == 11
    assert backend.batches[:2] == [8, 4]
    assert max(backend.batches[2:]) <= 2


def test_one_frame_that_does_not_fit_is_not_hidden() -> None:
    def fail(batch: Sequence[int]) -> list[int]:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with pytest.raises(torch.OutOfMemoryError):
        Batches(4).run(fail, [1, 2, 3])


def test_another_error_is_no_lack_of_memory() -> None:
    def fail(batch: Sequence[int]) -> list[int]:
        raise ValueError("no")

    batches = Batches(4)
    with pytest.raises(ValueError, match="no"):
        batches.run(fail, [1, 2, 3])
    assert batches.size == 4


def test_results_come_in_the_order_of_the_items() -> None:
    assert Batches(2).run(lambda batch: [10 * item for item in batch], [1, 2, 3]) == [10, 20, 30]


@pytest.mark.parametrize(
    ("device", "free", "count"),
    [("cpu", 1 << 40, 1), ("mps", 1 << 40, 1), ("cuda", 1 << 40, 8), ("cuda", 1 << 30, 1), ("cuda", 4 << 30, 7)],
)
def test_as_many_as_the_memory_of_the_device_holds(
    monkeypatch: pytest.MonkeyPatch, device: str, free: int, count: int
) -> None:
    monkeypatch.setattr("medsam2_engine.backends.batches.free_memory", lambda device: free)
    assert frames_at_once(device, Sam2Config.hiera_tiny(512)) == count
