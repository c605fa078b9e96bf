"""On a GPU every tensor lies where it is needed, and the masks are those of the CPU. The GPU is pretended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from medsam2_engine.backends import batches, sam2
from medsam2_engine.backends.sam2 import Sam2Backend
from medsam2_engine.device import Device
from medsam2_engine.framing import WholeSliceFraming
from medsam2_engine.model.config import HieraConfig, Sam2Config
from medsam2_engine.precision import use_fastest_exact_products
from medsam2_engine.propagation import SliceMask
from medsam2_engine.session import Session
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import Prompt, SegmentPrompts
from phantoms import Phantom
from pretended_gpu import OnGpu, PretendedGpu, TwoDevices
from seeded_networks import seeded_model


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    monkeypatch.setattr(batches, "free_memory", lambda device: 1 << 40)
    monkeypatch.setattr("medsam2_engine.features.free_memory", lambda device: 1 << 34)
    with PretendedGpu():
        yield
    torch.set_float32_matmul_precision(before)
    torch.backends.cudnn.allow_tf32 = convolutions
    use_fastest_exact_products.cache_clear()


def a_backend(device: str) -> Sam2Backend:
    trunk = HieraConfig(dims=(16, 32, 64, 128), heads=(1, 1, 2, 4), blocks=(1, 1, 2, 1), global_blocks=(3,))
    config = Sam2Config(image_size=128, hidden=128, hiera=trunk, memory_layers=2, memory_feed_forward=128)
    return Sam2Backend("seeded", seeded_model(config), WholeSliceFraming(128), Device(device, device))


def segments(phantom: Phantom, *more: Prompt) -> list[SegmentPrompts]:
    return [SegmentPrompts("a", (phantom.box("K", 9), *more)), SegmentPrompts("b", (phantom.box("K", 7),))]


def followed(phantom: Phantom, backend: Sam2Backend, *more: Prompt) -> dict[tuple[str, int], SliceMask]:
    found = Session(phantom.volume, backend).propagate(segments(phantom, *more), "K", (4, 14), Window(0.0, 255.0))
    return {(one.segment_id, one.slice): one for one in found}


def alike(one: SliceMask, other: SliceMask) -> bool:
    """But for rounding: a voxel on the very border may change sides."""
    scores = abs(one.object_score - other.object_score) + abs(one.predicted_iou - other.predicted_iou)
    return int((one.mask ^ other.mask).sum()) <= 1 and scores < 1e-3


def test_the_pretended_gpu_knows_two_devices(gpu: None) -> None:
    there, here = torch.ones(3).to("cuda"), torch.ones(3)
    assert isinstance(there + 1, OnGpu)
    assert there.device.type == "cuda"
    assert here.device.type == "cpu"
    assert not isinstance(there.cpu(), OnGpu)
    with pytest.raises(TwoDevices):
        there + here


def test_a_propagation_on_a_gpu_finds_what_the_cpu_finds(phantom: Phantom, gpu: None) -> None:
    expected, found = followed(phantom, a_backend("cpu")), followed(phantom, a_backend("cuda"))
    assert found.keys() == expected.keys()
    assert all(alike(found[key], expected[key]) for key in expected)


def test_clicks_and_drawn_masks_are_answered_on_a_gpu(phantom: Phantom, gpu: None) -> None:
    more = (phantom.point("K", 9, positive=False), phantom.mask("K", 12))
    expected, found = followed(phantom, a_backend("cpu"), *more), followed(phantom, a_backend("cuda"), *more)
    assert all(alike(found[key], expected[key]) for key in expected)


def test_on_a_gpu_slices_and_walks_are_batches(phantom: Phantom, gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded, tracked = [], []
    encode, track = Sam2Backend._encode_batch, sam2.track_together

    def encode_batch(self, frames):  # type: ignore[no-untyped-def]
        encoded.append(len(frames))
        return encode(self, frames)

    def track_batch(model, features, *others):  # type: ignore[no-untyped-def]
        tracked.append(len(features))
        return track(model, features, *others)

    monkeypatch.setattr(Sam2Backend, "_encode_batch", encode_batch)
    monkeypatch.setattr(sam2, "track_together", track_batch)
    backend = a_backend("cuda")
    followed(phantom, backend)
    assert max(encoded) == backend.at_once == 8
    assert tracked[0] == 4


def test_features_stay_on_the_gpu(phantom: Phantom, gpu: None) -> None:
    features = a_backend("cuda").encode(torch.zeros(1, 3, 128, 128))
    assert isinstance(features.coarse, OnGpu)
