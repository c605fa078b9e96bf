"""Objects and directions that go one frame further together find what they find one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch

from medsam2_engine.backends.base import Ahead
from medsam2_engine.backends.sam2 import Sam2Backend
from medsam2_engine.device import Device
from medsam2_engine.framing import WholeSliceFraming
from medsam2_engine.model.config import HieraConfig, Sam2Config
from medsam2_engine.model.frame import FrameMask, ImageFeatures
from medsam2_engine.session import Session
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import SegmentPrompts
from phantoms import Phantom
from seeded_networks import seeded_model
from threshold_backend import ThresholdBackend

FRAMES = 6


@pytest.fixture(scope="module")
def backend() -> Sam2Backend:
    trunk = HieraConfig(dims=(16, 32, 64, 128), heads=(1, 1, 2, 4), blocks=(1, 1, 2, 1), global_blocks=(3,))
    config = Sam2Config(image_size=128, hidden=128, hiera=trunk, memory_layers=2, memory_feed_forward=128)
    return Sam2Backend("seeded", seeded_model(config), WholeSliceFraming(128), Device("cpu", "CPU"))


@pytest.fixture(scope="module")
def features(backend: Sam2Backend) -> list[ImageFeatures]:
    generator = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        return [backend.encode(torch.randn(1, 3, 128, 128, generator=generator)) for _ in range(FRAMES)]


def conditioned(backend: Sam2Backend, features: list[ImageFeatures], frame: int, reverse: bool, corner: int):  # type: ignore[no-untyped-def]
    mask = torch.zeros(128, 128, dtype=torch.bool)
    mask[corner : corner + 40, 30:90] = True
    tracker = backend.tracker(FRAMES, reverse)
    tracker.condition(frame, features[frame], backend.from_mask(features[frame], mask))
    return tracker


def all_trackers(backend: Sam2Backend, features: list[ImageFeatures]) -> list[tuple[object, list[int]]]:
    """Two objects both ways from frame 2, and one that was prompted on another frame: it remembers less."""
    made = []
    for corner in (20, 60):
        for reverse, path in ((False, [3, 4, 5]), (True, [1, 0])):
            made.append((conditioned(backend, features, 2, reverse, corner), path))
    made.append((conditioned(backend, features, 4, True, 40), [3, 2, 1]))
    return made


def close(one: FrameMask, other: FrameMask) -> bool:
    scores = abs(one.object_score - other.object_score) + abs(one.predicted_iou - other.predicted_iou)
    return (
        torch.allclose(one.logits, other.logits, atol=1e-3)
        and torch.allclose(one.pointer, other.pointer, atol=1e-3)
        and scores < 1e-3
    )


@torch.inference_mode()
def test_together_is_one_after_the_other(backend: Sam2Backend, features: list[ImageFeatures]) -> None:
    alone = [
        [tracker.track(frame, features[frame]) for frame in path]  # type: ignore[attr-defined]
        for tracker, path in all_trackers(backend, features)
    ]
    trackers = all_trackers(backend, features)
    together: list[list[FrameMask]] = [[] for _ in trackers]
    for step in range(3):
        going = [number for number, (_, path) in enumerate(trackers) if step < len(path)]
        ahead = [Ahead(trackers[n][0], trackers[n][1][step], features[trackers[n][1][step]]) for n in going]  # type: ignore[arg-type]
        for number, mask in zip(going, backend.track_together(ahead), strict=True):
            together[number].append(mask)
    assert [len(one) for one in together] == [len(one) for one in alone]
    assert all(close(*pair) for pairs in zip(alone, together, strict=True) for pair in zip(*pairs, strict=True))


@torch.inference_mode()
def test_objects_that_are_absent_are_so_together(
    backend: Sam2Backend, features: list[ImageFeatures], monkeypatch: pytest.MonkeyPatch
) -> None:
    bias = backend._model.sam_mask_decoder.pred_obj_score_head.get_parameter("layers.2.bias")
    monkeypatch.setattr(bias, "data", torch.full_like(bias, -100.0))
    alone = conditioned(backend, features, 2, False, 20)
    one_by_one = [alone.track(frame, features[frame]) for frame in (3, 4)]
    tracker = conditioned(backend, features, 2, False, 20)
    found = [backend.track_together([Ahead(tracker, frame, features[frame])])[0] for frame in (3, 4)]
    assert not any(mask.is_present for mask in found)
    assert all(close(*pair) for pair in zip(one_by_one, found, strict=True))


@torch.inference_mode()
def test_too_many_together_become_fewer_and_nothing_is_remembered_twice(
    backend: Sam2Backend, features: list[ImageFeatures], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [conditioned(backend, features, 2, False, corner).track(3, features[3]) for corner in (10, 30, 50)]
    decode, sizes = backend._model._decode, []

    def tight(*arguments: object) -> object:
        sizes.append(len(arguments[1]))  # type: ignore[arg-type]
        if sizes[-1] > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return decode(*arguments)  # type: ignore[arg-type]

    trackers = [conditioned(backend, features, 2, False, corner) for corner in (10, 30, 50)]
    monkeypatch.setattr(backend._model, "_decode", tight)
    found = backend.track_together([Ahead(tracker, 3, features[3]) for tracker in trackers])
    assert sizes == [3, 1, 1, 1]
    assert all(close(*pair) for pair in zip(expected, found, strict=True))


def test_on_a_cpu_each_goes_alone(backend: Sam2Backend) -> None:
    assert not backend.gains_together


@dataclass
class GangBackend(ThresholdBackend):
    """Answers all trackers of a step together, and notes how many they were."""

    gains_together: bool = True
    gangs: list[int] = field(default_factory=list)

    def track_together(self, ahead: Sequence[Ahead]) -> list[FrameMask]:
        self.gangs.append(len(ahead))
        return [one.tracker.track(one.frame, one.features) for one in ahead]


def masks(phantom: Phantom, backend: ThresholdBackend) -> dict[tuple[str, int], list[object]]:
    segments = [SegmentPrompts(name, (phantom.box("K", index),)) for name, index in (("a", 9), ("b", 7))]
    results = Session(phantom.volume, backend).propagate(segments, "K", (4, 14), Window(0.0, 255.0))
    return {(one.segment_id, one.slice): one.mask.tolist() for one in results}


def test_all_directions_and_segments_are_one_batch(phantom: Phantom) -> None:
    backend = GangBackend()
    assert masks(phantom, backend) == masks(phantom, ThresholdBackend())
    assert backend.gangs[0] == 4
    assert sum(backend.gangs) == 20


def test_what_does_not_gain_is_not_made_a_batch(phantom: Phantom) -> None:
    backend = GangBackend(gains_together=False)
    masks(phantom, backend)
    assert backend.gangs == []
