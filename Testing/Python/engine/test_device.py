"""Devices are tried before they are offered."""

from __future__ import annotations

import pytest
import torch

from medsam2_engine import device
from medsam2_engine.device import Device, choose_device, list_devices, set_thread_policy
from medsam2_engine.errors import BadRequest


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def a_gpu_that_fails(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch can see it, but this build has no code for it."""
    ones = torch.ones

    def fail(*shape: int, device: str) -> torch.Tensor:
        if device == "cuda":
            raise RuntimeError("no kernel image is available for execution on the device\nCUDA kernel errors ...")
        return ones(*shape, device=device)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", fail)


@pytest.fixture
def a_gpu_that_miscalculates(no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = torch.zeros
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", lambda *shape, device: zeros(*shape) + (device == "cpu"))


def refusal(wanted: str) -> str:
    with pytest.raises(BadRequest) as error:
        choose_device(wanted)
    return str(error.value)


def test_without_a_gpu_the_cpu_is_chosen(no_gpu: None) -> None:
    assert choose_device().name == "cpu"


def test_a_gpu_that_is_not_there_is_no_fault(no_gpu: None) -> None:
    assert choose_device().note == ""


def test_a_gpu_that_fails_is_not_chosen(a_gpu_that_fails: None) -> None:
    assert choose_device().name == "cpu"


def test_a_gpu_that_fails_is_reported_in_one_line(a_gpu_that_fails: None) -> None:
    assert choose_device().note == "cuda: no kernel image is available for execution on the device"


def test_a_gpu_that_miscalculates_is_not_chosen(a_gpu_that_miscalculates: None) -> None:
    assert choose_device().note == "mps: it computes wrong results"


def test_a_gpu_asked_for_by_name_is_refused_with_the_reason(a_gpu_that_fails: None) -> None:
    assert refusal("cuda") == (
        "The device 'cuda' cannot be used here: cuda: no kernel image is available for execution on the device. "
        "Choose auto or cpu."
    )


def test_a_gpu_that_is_not_there_is_refused_with_the_reason(no_gpu: None) -> None:
    assert "no NVIDIA GPU that this build of torch can see" in refusal("cuda")


@pytest.mark.parametrize("wanted", ["", "gpu", "CPU", "cuda:7"])
def test_an_unknown_device_is_refused(wanted: str) -> None:
    assert "unknown device" in refusal(wanted)


def test_the_cpu_may_be_asked_for_by_name() -> None:
    assert choose_device("cpu").name == "cpu"


def test_the_list_starts_with_the_automatic_choice(no_gpu: None) -> None:
    assert [info.id for info in list_devices()] == ["auto", "cpu"]


def test_the_automatic_choice_says_what_it_is(no_gpu: None) -> None:
    assert list_devices()[0].title == "Automatic: CPU, 1 thread"


def test_a_gpu_that_fails_is_not_offered_but_explained(a_gpu_that_fails: None) -> None:
    devices = list_devices()
    assert [info.id for info in devices] == ["auto", "cpu"]
    assert "no kernel image" in devices[0].note


def test_a_device_reads_as_its_title_and_its_note() -> None:
    assert str(Device("cpu", "CPU, 1 thread", "cuda: too old")) == "CPU, 1 thread (cuda: too old)"


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (8, 7), (None, 1)])
def test_a_core_is_left_to_slicer(monkeypatch: pytest.MonkeyPatch, cores: int | None, threads: int) -> None:
    monkeypatch.setattr(device.os, "cpu_count", lambda: cores)
    set_thread_policy()
    assert torch.get_num_threads() == threads
