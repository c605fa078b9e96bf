"""What every backend must do, whichever family it is of: the same tests for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from medsam2_engine.backends.base import Backend
from medsam2_engine.backends.edgetam import build_edgetam
from medsam2_engine.backends.load import load_backend
from medsam2_engine.backends.sam1 import Sam1Backend
from medsam2_engine.backends.transformers_video import VideoBackend
from medsam2_engine.device import Device
from medsam2_engine.framing import WholeSliceFraming
from medsam2_engine.model.frame import FramePrompt
from medsam2_engine.session import Session
from medsam2_engine.whole_slice import HALF, IMAGENET, PlainSliceFraming
from medsam2_protocol.prompts import SegmentPrompts
from phantoms import Phantom
from video_oracles import seeded_edgetam, small_sam3

SIZES = {"sam2": 128, "sam1": 256, "edgetam": 256, "sam3": 224}
LOGITS = {128: 32, 256: 64, 224: 64}  # by the size of the frame; SAM 3 divides it into patches of 14 pixels


@pytest.fixture(scope="module", params=SIZES)
def family(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def backend(family: str) -> Backend:
    makers = {"sam1": a_small_sam1, "edgetam": a_seeded_edgetam, "sam3": a_small_sam3}
    return load_backend("embedded", "cpu") if family == "sam2" else makers[family]()


@pytest.fixture(scope="module")
def pixels(family: str) -> torch.Tensor:
    size = SIZES[family]
    return torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def box(family: str) -> FramePrompt:
    return FramePrompt(torch.tensor([[0.3, 0.3], [0.6, 0.7]]) * SIZES[family], torch.tensor([2, 3]))


def a_small_sam1() -> Sam1Backend:
    transformers = pytest.importorskip("transformers", reason="SAM 1 runs on transformers")
    torch.manual_seed(1)
    vision = transformers.SamVisionConfig(
        image_size=256, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, mlp_dim=256, global_attn_indexes=[1]
    )
    prompts = transformers.SamPromptEncoderConfig(image_size=256)
    config = transformers.SamConfig(vision_config=vision.to_dict(), prompt_encoder_config=prompts.to_dict())
    framing = PlainSliceFraming(256, True, *IMAGENET)
    return Sam1Backend("small", transformers.SamModel(config), framing, Device("cpu", "CPU"))


def a_seeded_edgetam() -> VideoBackend:
    pytest.importorskip("transformers", reason="EdgeTAM runs on transformers")
    model = build_edgetam(seeded_edgetam(256).state_dict(), 256, Path("seeded.pt"))
    return VideoBackend("seeded", model, WholeSliceFraming(256), Device("cpu", "CPU"))


def a_small_sam3() -> VideoBackend:
    pytest.importorskip("transformers", reason="SAM 3 runs on transformers")
    return VideoBackend("small", small_sam3(224), PlainSliceFraming(224, False, *HALF), Device("cpu", "CPU"))


def test_it_says_who_it_is_and_where_it_computes(backend: Backend) -> None:
    assert backend.model_id
    assert "CPU" in backend.device_name


@torch.inference_mode()
def test_features_know_their_bytes(backend: Backend, pixels: torch.Tensor) -> None:
    assert backend.encode(pixels).nbytes > 0


@torch.inference_mode()
def test_a_prompt_is_answered_by_logits_over_the_frame(
    backend: Backend, pixels: torch.Tensor, box: FramePrompt
) -> None:
    mask = backend.prompt(backend.encode(pixels), box)
    assert mask.logits.shape == (LOGITS[pixels.shape[-1]],) * 2
    assert mask.logits.isfinite().all()


@torch.inference_mode()
def test_the_same_question_has_the_same_answer(backend: Backend, pixels: torch.Tensor, box: FramePrompt) -> None:
    features = backend.encode(pixels)
    assert torch.equal(backend.prompt(features, box).logits, backend.prompt(features, box).logits)


@torch.inference_mode()
def test_a_correction_changes_the_answer(backend: Backend, pixels: torch.Tensor, box: FramePrompt) -> None:
    features = backend.encode(pixels)
    first = backend.prompt(features, box)
    assert not torch.equal(backend.prompt(features, box, first.logits).logits, first.logits)


@torch.inference_mode()
def test_a_drawn_mask_is_taken_at_its_word(backend: Backend, pixels: torch.Tensor) -> None:
    size = pixels.shape[-1]
    drawn = torch.zeros(size, size, dtype=torch.bool)
    drawn[size // 4 : size // 2, size // 4 : 3 * size // 4] = True
    mask = backend.from_mask(backend.encode(pixels), drawn)
    assert mask.is_present
    assert int((mask.logits > 0).sum()) * 8 == mask.logits.numel()


@torch.inference_mode()
def test_an_empty_drawn_mask_means_absent(backend: Backend, pixels: torch.Tensor) -> None:
    assert not backend.from_mask(backend.encode(pixels), torch.zeros(pixels.shape[-2:], dtype=torch.bool)).is_present


@torch.inference_mode()
@pytest.mark.parametrize("reverse", [False, True])
def test_trackers_share_nothing(backend: Backend, pixels: torch.Tensor, box: FramePrompt, reverse: bool) -> None:
    features = backend.encode(pixels)
    answer = backend.prompt(features, box)
    logits = []
    for _ in range(2):
        tracker = backend.tracker(10, reverse)
        tracker.condition(5, features, answer)
        logits.append(tracker.track(4 if reverse else 6, features).logits)
    assert torch.equal(*logits)


def test_a_box_on_one_slice_reaches_every_slice_of_a_known_range(backend: Backend, phantom: Phantom) -> None:
    segment = SegmentPrompts("s1", (phantom.box("K", 9),))
    results = list(Session(phantom.volume, backend).propagate([segment], "K", (7, 11)))
    assert sorted(result.slice for result in results) == [7, 8, 9, 10, 11]
    assert {result.mask.shape for result in results} == {phantom.volume.shape_kji[1:]}


def test_kept_slices_stand_and_are_walked_from(backend: Backend, phantom: Phantom) -> None:
    asked = SegmentPrompts("s1", (), (phantom.mask("K", 7), phantom.mask("K", 10)))
    last = {one.slice: one for one in Session(phantom.volume, backend).propagate([asked], "K", (6, 11))}
    assert sorted(last) == [6, 8, 9, 11]
    assert [last[k].agreement is not None for k in (6, 8, 9, 11)] == [False, True, True, False]


def test_a_correction_after_a_propagation_encodes_nothing(backend: Backend, phantom: Phantom) -> None:
    session = Session(phantom.volume, backend)
    list(session.propagate([SegmentPrompts("s1", (phantom.box("K", 9),))], "K", (6, 12)))
    before = session.encoded
    correction = SegmentPrompts("s1", (phantom.mask("K", 11),), (phantom.mask("K", 9),))
    results = list(session.propagate([correction], "K", (6, 12), corrected=11))
    assert session.encoded == before
    assert {one.slice for one in results} == {10, 11, 12}
