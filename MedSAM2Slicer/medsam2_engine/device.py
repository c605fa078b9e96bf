"""Which device computes, found out by computing on it, and said honestly."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from medsam2_engine.errors import NoSuchDevice
from medsam2_protocol.messages import DeviceInfo

PREFERRED = ("cuda", "mps", "cpu")


@dataclass(frozen=True)
class Device:
    """A torch device that has passed a real computation; `note` says why a better one is not used."""

    name: str
    title: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.title} ({self.note})" if self.note else self.title


def choose_device(wanted: str = "auto") -> Device:
    """The wanted device, or with "auto" the best that works.

    Raises:
        NoSuchDevice: a device was asked for by name and does not work here.
    """
    faults: list[str] = []
    for name in PREFERRED if wanted == "auto" else (wanted,):
        fault = _fault_of(name)
        if not fault:
            return Device(name, _title(name), " ".join(faults))
        if fault != _ABSENT.get(name):
            faults.append(f"{name}: {fault}")
    reason = "; ".join(faults) or _ABSENT.get(wanted, "unknown device")
    raise NoSuchDevice(f"The device {wanted!r} cannot be used here: {reason}. Choose auto or cpu.")


def list_devices() -> tuple[DeviceInfo, ...]:
    """ "auto" and every device that works, for a person to choose from."""
    automatic = choose_device()
    usable = [Device(name, _title(name)) for name in PREFERRED if not _fault_of(name)]
    first = DeviceInfo("auto", f"Automatic: {automatic.title}", automatic.note)
    return (first, *(DeviceInfo(device.name, device.title, device.note) for device in usable))


def has_gpu() -> bool:
    """Whether torch can see one, full or not."""
    return torch.cuda.is_available() or torch.backends.mps.is_available()


def sent_to(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """A tensor of the CPU on a device. From page-locked memory it travels to CUDA while the CPU goes on."""
    if device == "cuda" and torch.cuda.is_available():
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def set_thread_policy() -> None:
    """Leave a core to Slicer: two busy threads on one free core are many times slower than one thread."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))


_ABSENT = {"cuda": "no NVIDIA GPU that this build of torch can see", "mps": "no Apple GPU that torch can see"}


def _fault_of(name: str) -> str:
    """Why a device cannot be used, or ""."""
    if name not in PREFERRED:
        return "unknown device"
    if name == "cuda" and not torch.cuda.is_available():
        return _ABSENT[name]
    if name == "mps" and not torch.backends.mps.is_available():
        return _ABSENT[name]
    try:
        ones = torch.ones(64, 64, device=name)
        return "" if float((ones @ ones)[0, 0]) == 64.0 else "it computes wrong results"
    except (RuntimeError, AssertionError) as error:
        return str(error).splitlines()[0]


def _title(name: str) -> str:
    if name == "cuda":
        return f"GPU {torch.cuda.get_device_name()}"
    if name == "mps":
        return "Apple GPU"
    return f"CPU, {torch.get_num_threads()} threads" if torch.get_num_threads() > 1 else "CPU, 1 thread"
