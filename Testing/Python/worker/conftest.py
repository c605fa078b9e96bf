"""The real worker process, and a host for it that waits."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam2_protocol.client import EngineClient
from medsam2_protocol.messages import End, Event, MaskChanged, OpenVolume, Request
from phantoms import Phantom, a_phantom

PACKAGES = Path(__file__).parents[3] / "MedSAM2Slicer"
PATIENCE_S = 60.0


@dataclass
class Answer:
    """What came of a request; `end` stays None until it has ended."""

    id: str = ""
    events: list[Event] = field(default_factory=list)
    end: Any = None

    @property
    def masks(self) -> list[MaskChanged]:
        return [event for event in self.events if isinstance(event, MaskChanged)]

    def take_end(self, end: End) -> None:
        assert self.end is None, "a request ended twice"
        self.end = end


class Host:
    """Owns a worker process and speaks with it through `EngineClient`."""

    def __init__(self, *extra_path: Path, arguments: tuple[str, ...] = ()) -> None:
        path = os.pathsep.join(str(folder) for folder in (*extra_path, PACKAGES))
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "medsam2_engine", "worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**environment, "PYTHONPATH": path},
        )
        self.client = EngineClient(self)
        self._heard: queue.Queue[bytes] = queue.Queue()
        self._errors: list[bytes] = []
        self._threads = [
            threading.Thread(target=self._listen, daemon=True),
            threading.Thread(target=self._note_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def start(self, request: Request) -> Answer:
        answer = Answer()
        answer.id = self.client.request(request, answer.events.append, answer.take_end)
        return answer

    def ask(self, request: Request) -> Answer:
        """A request and its end."""
        answer = self.start(request)
        self.wait(lambda: answer.end is not None)
        return answer

    def wait(self, until: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
        """Hear the worker until something is so."""
        deadline = time.monotonic() + timeout_s
        while not until():
            data = self._heard.get(timeout=max(0.0, deadline - time.monotonic()))
            if data:
                self.client.receive(data)
            else:
                self.client.end_all("worker_died", self.errors)

    def wait_for_hello(self) -> None:
        self.wait(lambda: self.client.hello is not None)

    def wait_for_exit(self, timeout_s: float = 10.0) -> int:
        """The exit status, once everything it said was read."""
        status = self.process.wait(timeout_s)
        for thread in self._threads:
            thread.join(timeout_s)
        return status

    @property
    def errors(self) -> str:
        """What the worker has said on stderr."""
        return b"".join(self._errors).decode(errors="replace")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait_for_exit()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]

    def _listen(self) -> None:
        for data in iter(lambda: os.read(self.process.stdout.fileno(), 65536), b""):  # type: ignore[union-attr]
            self._heard.put(data)
        self._heard.put(b"")

    def _note_errors(self) -> None:
        for data in iter(lambda: os.read(self.process.stderr.fileno(), 65536), b""):  # type: ignore[union-attr]
            self._errors.append(data)


@pytest.fixture
def start_host() -> Iterator[Callable[..., Host]]:
    """A function that starts a worker of its own."""
    hosts: list[Host] = []

    def start(*extra_path: Path, arguments: tuple[str, ...] = ()) -> Host:
        hosts.append(Host(*extra_path, arguments=arguments))
        return hosts[-1]

    yield start
    for host in hosts:
        host.close()


@pytest.fixture(scope="module")
def shared_host() -> Iterator[Host]:
    """A worker for the tests that leave it as they found it."""
    host = Host()
    host.wait_for_hello()
    yield host
    host.close()


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    return a_phantom()


@pytest.fixture(scope="session")
def long_phantom() -> Phantom:
    """So many slices that something can happen meanwhile."""
    return a_phantom(shape_kji=(400, 48, 56), center_kji=(200.0, 21.0, 33.0), radii_kji=(300.0, 8.0, 11.0))


@pytest.fixture
def open_request(tmp_path: Path) -> Callable[..., OpenVolume]:
    """A function from a phantom to the request that opens it."""

    def request(phantom: Phantom, volume_id: str = "v1") -> OpenVolume:
        path = tmp_path / f"{volume_id}.raw"
        voxels = phantom.volume.voxels_kji
        np.ascontiguousarray(voxels).tofile(path)
        matrix = tuple(tuple(map(float, row)) for row in phantom.volume.ijk_to_ras)
        return OpenVolume("", volume_id, str(path), voxels.dtype.str, voxels.shape, matrix, phantom.volume.modality)

    return request
