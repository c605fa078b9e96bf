"""The worker's desk and its inbox: every request gets exactly one end, whatever happens to it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medsam2_engine import service
from medsam2_engine.errors import NoSuchModel, is_out_of_memory
from medsam2_engine.service import Desk, Inbox, LineWriter, hello
from medsam2_engine.stopping import stop_if_unwanted
from medsam2_engine.version import VERSION
from medsam2_protocol.messages import (
    PROTOCOL,
    Cancel,
    Cancelled,
    CloseVolume,
    Done,
    Failed,
    MaskChanged,
    Message,
    OpenVolume,
    Ping,
    Pong,
    Predict,
    Prefetch,
    Progress,
    Propagate,
    Window,
)
from medsam2_protocol.prompts import SegmentPrompts
from medsam2_protocol.tagged import from_json, to_json
from phantoms import Phantom, a_phantom
from threshold_backend import ThresholdBackend

WINDOW = Window(60.0, 170.0)


@dataclass
class Loader:
    """Stands in for `load_backend`, and counts."""

    loaded: list[tuple[str, str]] = field(default_factory=list)
    backends: list[ThresholdBackend] = field(default_factory=list)

    def __call__(self, model: str, device: str) -> ThresholdBackend:
        if model == "missing":
            raise NoSuchModel("There is no model 'missing'. Choose another.")
        self.loaded.append((model, device))
        self.backends.append(ThresholdBackend(64))
        return self.backends[-1]


@dataclass
class Office:
    """A desk with its inbox, and what it wrote."""

    stream: io.BytesIO = field(default_factory=io.BytesIO)

    def __post_init__(self) -> None:
        writer = LineWriter(self.stream)
        self.inbox = Inbox(writer)
        self.desk = Desk(writer, self.inbox)

    @property
    def written(self) -> list[Message]:
        return [from_json(line, Message) for line in self.stream.getvalue().splitlines()]

    def say(self, message: Message) -> None:
        self.inbox.take(to_json(message).encode())


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    loader = Loader()
    monkeypatch.setattr(service, "load_backend", loader)
    return loader


@pytest.fixture
def office(loader: Loader, phantom: Phantom, open_request: Callable[..., OpenVolume]) -> Office:
    """The volume v1 is open."""
    office = Office()
    office.desk.end_of(open_request(phantom))
    return office


@pytest.fixture
def segment(phantom: Phantom) -> SegmentPrompts:
    return SegmentPrompts("s1", (phantom.box("K", 9),))


@pytest.fixture
def predict(segment: SegmentPrompts) -> Predict:
    return Predict("r1", "v1", segment, "K", 9, window=WINDOW)


@pytest.fixture
def propagate(segment: SegmentPrompts) -> Propagate:
    return Propagate("r2", "v1", (segment,), "K", 6, 12, window=WINDOW)


@pytest.fixture
def prefetch() -> Prefetch:
    return Prefetch("r3", "v1", "K", 9, window=WINDOW)


def fail(error: Exception) -> Callable[..., Any]:
    def failing(*args: object) -> None:
        raise error

    return failing


# ---- what is done


def test_hello_says_who_speaks() -> None:
    assert (hello().protocol, hello().version) == (PROTOCOL, VERSION)


def test_the_embedded_model_is_installed() -> None:
    assert {model.id: model.installed for model in hello().models}["embedded"]


def test_a_prediction_is_one_mask(office: Office, predict: Predict) -> None:
    office.desk.end_of(predict)
    assert [event.slice for event in office.written if isinstance(event, MaskChanged)] == [9]


def test_a_mask_says_whose_it_is(office: Office, predict: Predict) -> None:
    office.desk.end_of(predict)
    (mask,) = (event for event in office.written if isinstance(event, MaskChanged))
    assert (mask.id, mask.volume_id, mask.segment_id, mask.axis) == ("r1", "v1", "s1", "K")


def test_a_mask_lies_on_the_object(office: Office, predict: Predict, phantom: Phantom) -> None:
    office.desk.end_of(predict)
    (mask,) = (event for event in office.written if isinstance(event, MaskChanged))
    found = np.zeros(phantom.truth_kji.shape, bool)
    mask.region.paste_into(found)
    difference = np.argwhere(found).mean(axis=0) - np.argwhere(phantom.truth_kji[9:10]).mean(axis=0)
    assert np.abs(difference - [9, 0, 0]).max() < 0.5


def test_every_mask_is_followed_by_its_progress(office: Office, propagate: Propagate) -> None:
    office.desk.end_of(propagate)
    kinds = [type(event).__name__ for event in office.written[1:]]  # the first says that the model is loaded
    assert kinds == ["MaskChanged", "Progress"] * 7


def test_progress_counts_up_to_the_total(office: Office, propagate: Propagate) -> None:
    office.desk.end_of(propagate)
    steps = [(event.done, event.total) for event in office.written[1:] if isinstance(event, Progress)]
    assert steps == [(done, 7) for done in range(1, 8)]


def test_the_end_counts_slices_and_encodings(office: Office, propagate: Propagate) -> None:
    end = office.desk.end_of(propagate)
    assert isinstance(end, Done)
    assert (end.id, end.slices, end.encoded, end.device) == ("r2", 7, 7, "no device")


def test_a_first_look_is_marked_and_not_counted(office: Office, propagate: Propagate) -> None:
    end = office.desk.end_of(replace(propagate, first=0, last=19, progressive=True))
    sent = [event for event in office.written if isinstance(event, MaskChanged)]
    rough = {event.slice for event in sent if event.provisional}
    assert {1, 5, 13, 17} <= rough <= set(range(20)) - {9}
    assert {event.slice for event in sent[-19:]} >= rough
    assert not any(event.provisional for event in sent[-19:])
    assert isinstance(end, Done)
    assert (end.slices, end.encoded) == (20, 20)
    counted = [event.done for event in office.written[1:] if isinstance(event, Progress)]
    assert counted == sorted(counted)
    assert counted[-1] == 20


def test_the_second_time_nothing_is_encoded(office: Office, propagate: Propagate) -> None:
    office.desk.end_of(propagate)
    end = office.desk.end_of(replace(propagate, id="r3"))
    assert isinstance(end, Done)
    assert (end.slices, end.encoded) == (7, 0)


# ---- corrections


@pytest.fixture
def correction(phantom: Phantom) -> Propagate:
    """Of slice 11, where slice 9 stands and the range is known."""
    segment = SegmentPrompts("s1", (phantom.box("K", 11),), (phantom.mask("K", 9),))
    return Propagate("r4", "v1", (segment,), "K", 6, 12, window=WINDOW, corrected=11)


def masks_of(office: Office, request_id: str) -> list[MaskChanged]:
    return [event for event in office.written if isinstance(event, MaskChanged) and event.id == request_id]


def test_a_correction_sends_what_lies_up_to_the_slice_that_stands(office: Office, correction: Propagate) -> None:
    office.desk.end_of(correction)
    assert [event.slice for event in masks_of(office, "r4")] == [11, 10, 12, 10]


def test_a_correction_after_a_propagation_encodes_nothing(
    office: Office, propagate: Propagate, correction: Propagate
) -> None:
    office.desk.end_of(propagate)
    end = office.desk.end_of(correction)
    assert isinstance(end, Done)
    assert (end.slices, end.encoded) == (4, 0)


def test_the_agreement_of_both_directions_is_sent(office: Office, correction: Propagate) -> None:
    office.desk.end_of(correction)
    assert [event.agreement for event in masks_of(office, "r4")] == [None, None, None, 1.0]


def test_the_progress_of_a_correction_counts_up_to_its_total(office: Office, correction: Propagate) -> None:
    office.desk.end_of(correction)
    progress = [event for event in office.written if isinstance(event, Progress) and event.total]
    assert [(event.done, event.total) for event in progress] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_unknown_policy_is_a_bad_request(office: Office, propagate: Propagate) -> None:
    end = office.desk.end_of(replace(propagate, policy="best"))
    assert isinstance(end, Failed)
    assert end.code == "bad_request"
    assert "sam2, pruned, gated" in end.message


def test_a_correction_without_a_prompt_is_a_bad_request(office: Office, propagate: Propagate) -> None:
    end = office.desk.end_of(replace(propagate, corrected=7))
    assert isinstance(end, Failed)
    assert end.code == "bad_request"
    assert "nothing to correct it by" in end.message


# ---- models


def test_a_model_is_loaded_once(office: Office, loader: Loader, predict: Predict, propagate: Propagate) -> None:
    office.desk.end_of(predict)
    office.desk.end_of(propagate)
    assert loader.loaded == [("embedded", "auto")]


def test_loading_a_model_is_announced(office: Office, predict: Predict) -> None:
    office.desk.end_of(predict)
    assert office.written[0] == Progress("r1", 0, 0, "Loading the model embedded")


def test_another_device_is_another_backend(office: Office, loader: Loader, predict: Predict) -> None:
    office.desk.end_of(predict)
    office.desk.end_of(replace(predict, device="cpu"))
    assert loader.loaded == [("embedded", "auto"), ("embedded", "cpu")]


# ---- volumes


def test_two_volumes_do_not_mix(
    office: Office, predict: Predict, phantom: Phantom, open_request: Callable[..., OpenVolume]
) -> None:
    empty = phantom.with_voxels(np.zeros(phantom.volume.shape_kji, np.float32))
    office.desk.end_of(open_request(empty, "v2"))
    office.desk.end_of(replace(predict, volume_id="v2"))
    (mask,) = (event for event in office.written if isinstance(event, MaskChanged))
    assert (mask.volume_id, mask.region.is_empty) == ("v2", True)


def test_a_volume_opened_again_is_the_new_one(
    office: Office, predict: Predict, phantom: Phantom, open_request: Callable[..., OpenVolume]
) -> None:
    office.desk.end_of(predict)
    moved = a_phantom(center_kji=(9.0, 26.0, 20.0))
    office.desk.end_of(open_request(moved))
    office.desk.end_of(predict)
    first, second = (event.region for event in office.written if isinstance(event, MaskChanged))
    assert second != first


def test_a_closed_volume_is_gone(office: Office, predict: Predict) -> None:
    office.desk.end_of(CloseVolume("r0", "v1"))
    end = office.desk.end_of(predict)
    assert isinstance(end, Failed)
    assert (end.id, end.code) == ("r1", "no_such_volume")


def test_an_unknown_volume_is_named(office: Office, predict: Predict) -> None:
    end = office.desk.end_of(replace(predict, volume_id="v9"))
    assert end == Failed("r1", "no_such_volume", "No volume 'v9' is open. Open it again.")


def test_closing_an_unknown_volume_is_no_failure(office: Office) -> None:
    assert isinstance(office.desk.end_of(CloseVolume("r0", "v9")), Done)


def test_a_volume_whose_file_is_gone_is_unreadable(
    office: Office, phantom: Phantom, open_request: Callable[..., OpenVolume]
) -> None:
    request = open_request(phantom, "v2")
    Path(request.path).unlink()
    end = office.desk.end_of(request)
    assert isinstance(end, Failed)
    assert end.code == "unreadable"


# ---- what fails


def test_a_bad_prompt_is_a_bad_request(office: Office, predict: Predict) -> None:
    end = office.desk.end_of(replace(predict, slice=3))
    assert end == Failed("r1", "bad_request", "There is no prompt on slice 3. Draw a box or click a point on it.")


def test_a_model_that_is_not_there_is_named(office: Office, predict: Predict) -> None:
    end = office.desk.end_of(replace(predict, model="missing"))
    assert end == Failed("r1", "no_such_model", "There is no model 'missing'. Choose another.")


def test_a_programming_error_is_reported_with_its_words(
    office: Office, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ThresholdBackend, "encode", fail(RuntimeError("shapes do not match")))
    end = office.desk.end_of(predict)
    assert isinstance(end, Failed)
    assert (end.id, end.code, "shapes do not match" in end.message) == ("r1", "internal", True)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["CUDA", "Python", "torch on the CPU"],
)
def test_too_little_memory_is_said_in_words(
    office: Office, predict: Predict, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(ThresholdBackend, "encode", fail(error))
    end = office.desk.end_of(predict)
    assert isinstance(end, Failed)
    assert (end.id, end.code) == ("r1", "out_of_memory")
    assert "not enough memory" in end.message


@pytest.mark.parametrize("has_gpu", [False, True])
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_too_little_memory_is_said_of_the_devices_that_were_tried(
    office: Office, predict: Predict, monkeypatch: pytest.MonkeyPatch, device: str, has_gpu: bool
) -> None:
    monkeypatch.setattr(ThresholdBackend, "encode", fail(MemoryError()))
    monkeypatch.setattr(service, "has_gpu", lambda: has_gpu)
    end = office.desk.end_of(replace(predict, device=device))
    assert isinstance(end, Failed)
    assert ("neither on the GPU nor on the CPU, which was tried" in end.message) == (has_gpu and device == "auto")
    assert "choose the CPU" not in end.message


def test_a_volume_that_does_not_fit_says_nothing_of_models(
    office: Office, phantom: Phantom, open_request: Callable[..., OpenVolume], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "map_volume", fail(MemoryError()))
    end = office.desk.end_of(open_request(phantom))
    assert isinstance(end, Failed)
    assert end.message == (
        "There is not enough memory. Close other programs, or work on a cropped volume. The prompts are kept."
    )


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("shapes do not match")], ids=["memory", "internal"])
def test_the_next_request_succeeds_after_a_failure(
    office: Office, predict: Predict, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(ThresholdBackend, "encode", fail(error))
        office.desk.end_of(predict)
    assert isinstance(office.desk.end_of(predict), Done)


def test_models_are_let_go_when_memory_is_short(
    office: Office, loader: Loader, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(ThresholdBackend, "encode", fail(MemoryError()))
        office.desk.end_of(predict)
    office.desk.end_of(predict)
    assert loader.loaded == [("embedded", "auto"), ("embedded", "auto"), ("embedded", "cpu"), ("embedded", "auto")]


def test_what_does_not_fit_on_the_gpu_is_computed_on_the_cpu(
    office: Office, loader: Loader, propagate: Propagate, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = ThresholdBackend.encode

    def full(backend: ThresholdBackend, pixels: torch.Tensor) -> torch.Tensor:
        if loader.loaded[-1][1] != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return encode(backend, pixels)

    monkeypatch.setattr(ThresholdBackend, "encode", full)
    assert isinstance(office.desk.end_of(replace(propagate, device="cuda")), Done)
    assert [device for _, device in loader.loaded] == ["cuda", "cuda", "cpu"]


def test_what_is_kept_is_let_go_before_another_device_is_tried(
    office: Office, loader: Loader, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, failures = ThresholdBackend.encode, [MemoryError()]

    def full_once(backend: ThresholdBackend, pixels: torch.Tensor) -> torch.Tensor:
        if failures:
            raise failures.pop()
        return encode(backend, pixels)

    monkeypatch.setattr(ThresholdBackend, "encode", full_once)
    assert isinstance(office.desk.end_of(replace(predict, device="cuda")), Done)
    assert [device for _, device in loader.loaded] == ["cuda", "cuda"]


# ---- prefetch


def test_a_prefetch_encodes_the_volume_while_nothing_else_is_asked(office: Office, prefetch: Prefetch) -> None:
    end = office.desk.end_of(prefetch)
    assert isinstance(end, Done)
    assert (end.slices, end.encoded) == (0, 20)


def test_a_prediction_after_a_prefetch_encodes_nothing(office: Office, prefetch: Prefetch, predict: Predict) -> None:
    office.desk.end_of(prefetch)
    end = office.desk.end_of(predict)
    assert isinstance(end, Done)
    assert end.encoded == 0


def test_a_prefetch_gives_way_to_a_waiting_request(office: Office, prefetch: Prefetch, predict: Predict) -> None:
    office.say(predict)
    end = office.desk.end_of(prefetch)
    assert isinstance(end, Done)
    assert end.encoded == 0


def test_a_prefetch_can_be_cancelled(office: Office, prefetch: Prefetch) -> None:
    office.say(Cancel("r3"))
    assert office.desk.end_of(prefetch) == Cancelled("r3")


def test_a_prefetch_of_a_slice_outside_the_volume_is_refused(office: Office, prefetch: Prefetch) -> None:
    end = office.desk.end_of(replace(prefetch, slice=20))
    assert isinstance(end, Failed)
    assert end.code == "bad_request"


@pytest.mark.parametrize(
    "words",
    [
        "MPS backend out of memory (MPS allocated: 9.05 GB)",
        "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes.",
    ],
)
def test_torch_says_in_many_ways_that_memory_is_short(words: str) -> None:
    assert is_out_of_memory(RuntimeError(words))


def test_a_real_allocation_that_cannot_succeed_is_recognised() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**55)
    assert is_out_of_memory(error.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("out of memory"), KeyError("x")])
def test_other_errors_are_no_lack_of_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)


# ---- cancel


def test_a_request_cancelled_before_its_turn_is_not_begun(office: Office, propagate: Propagate) -> None:
    office.say(Cancel("r2"))
    assert office.desk.end_of(propagate) == Cancelled("r2")
    assert office.written == []


def test_a_cancel_is_heard_while_a_slice_is_encoded(
    office: Office, propagate: Propagate, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = ThresholdBackend.encode

    def encode_and_cancel(backend: ThresholdBackend, pixels: torch.Tensor) -> torch.Tensor:
        if backend.calls.count(("encode",)) == 3:
            office.say(Cancel("r2"))
        stop_if_unwanted()
        return encode(backend, pixels)

    monkeypatch.setattr(ThresholdBackend, "encode", encode_and_cancel)
    assert office.desk.end_of(propagate) == Cancelled("r2")
    assert len([event for event in office.written if isinstance(event, MaskChanged)]) == 3


def test_a_cancel_is_heard_between_two_slices(
    office: Office, propagate: Propagate, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = ThresholdBackend.encode

    def encode_and_cancel(backend: ThresholdBackend, pixels: torch.Tensor) -> torch.Tensor:
        if backend.calls.count(("encode",)) == 3:
            office.say(Cancel("r2"))
        return encode(backend, pixels)

    monkeypatch.setattr(ThresholdBackend, "encode", encode_and_cancel)
    assert office.desk.end_of(propagate) == Cancelled("r2")
    assert len([event for event in office.written if isinstance(event, MaskChanged)]) == 4


def test_a_prediction_is_cancelled_while_its_slice_is_encoded(
    office: Office, predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel_and_encode(backend: ThresholdBackend, pixels: torch.Tensor) -> torch.Tensor:
        office.say(Cancel("r1"))
        stop_if_unwanted()
        return pixels[0, 0]

    monkeypatch.setattr(ThresholdBackend, "encode", cancel_and_encode)
    assert office.desk.end_of(predict) == Cancelled("r1")


def test_a_cancel_concerns_its_own_request_only(office: Office, predict: Predict) -> None:
    office.say(Cancel("r2"))
    assert isinstance(office.desk.end_of(predict), Done)


# ---- the inbox


def test_a_ping_is_answered_at_once(office: Office) -> None:
    office.say(Ping(7))
    assert office.written == [Pong(7)]


def test_requests_come_out_in_their_order(office: Office, predict: Predict, propagate: Propagate) -> None:
    office.say(propagate)
    office.say(predict)
    assert [office.inbox.next().id, office.inbox.next().id] == ["r2", "r1"]


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        (b"nonsense", ""),
        (b"[" * 100_000, ""),
        (b"\xff\xfe\xfd", ""),
        (b'["id"]', ""),
        (b'{"id":5}', ""),
        (b'{"type":[],"id":"r7"}', "r7"),
        (b'{"type":"dance","id":"r7"}', "r7"),
        (b'{"type":"predict","id":"r7"}', "r7"),
        (b'{"type":"close_volume","id":"r7","volume_id":1' + b"0" * 400 + b"}", "r7"),
    ],
)
def test_a_line_that_is_no_request_fails_under_its_id(office: Office, line: bytes, request_id: str) -> None:
    office.inbox.take(line)
    (end,) = office.written
    assert isinstance(end, Failed)
    assert (end.id, end.code) == (request_id, "bad_request")


def test_lines_of_two_threads_stay_whole() -> None:
    stream = io.BytesIO()
    writer = LineWriter(stream)
    writers = [
        threading.Thread(target=lambda n=n: [writer.write(Progress(f"r{n}", n, n, "x" * 5000)) for _ in range(50)])
        for n in range(4)
    ]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert len([from_json(line, Message) for line in stream.getvalue().splitlines()]) == 200
