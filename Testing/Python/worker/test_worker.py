"""The worker as Slicer starts it: a process, a pipe in, a pipe out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medsam2_engine.backends.load import load_backend
from medsam2_engine.device import set_thread_policy
from medsam2_engine.parent import is_alive
from medsam2_engine.session import Session
from medsam2_protocol.messages import (
    PROTOCOL,
    Cancelled,
    CloseVolume,
    Done,
    Failed,
    OpenVolume,
    Predict,
    Propagate,
)
from medsam2_protocol.prompts import SegmentPrompts
from phantoms import Phantom

Open = Callable[..., OpenVolume]
StartHost = Callable[..., Any]
PACKAGES = Path(__file__).parents[3] / "MedSAM2Slicer"
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and inherited pipes")


@pytest.fixture
def segment(phantom: Phantom) -> SegmentPrompts:
    return SegmentPrompts("s1", (phantom.box("K", 9),))


@pytest.fixture
def long_request(long_phantom: Phantom) -> Propagate:
    """Some seconds of work."""
    return Propagate("", "long", (SegmentPrompts("s1", (long_phantom.box("K", 200),)),), "K", 0, 399)


@pytest.fixture
def host(shared_host: Any, phantom: Phantom, open_request: Open) -> Any:
    """The volume v1 is open."""
    assert isinstance(shared_host.ask(open_request(phantom)).end, Done)
    return shared_host


def volume_of(masks: list[Any], shape: tuple[int, ...]) -> np.ndarray:
    found = np.zeros(shape, bool)
    for mask in masks:
        mask.region.paste_into(found)
    return found


# ---- the main job


def test_the_worker_says_hello(shared_host: Any) -> None:
    hello = shared_host.client.hello
    assert (hello.protocol, hello.pid) == (PROTOCOL, shared_host.process.pid)
    assert "embedded" in [model.id for model in hello.models if model.installed]
    assert {"auto", "cpu"} <= {device.id for device in hello.devices}


def test_a_box_becomes_a_mask(host: Any, segment: SegmentPrompts) -> None:
    answer = host.ask(Predict("", "v1", segment, "K", 9, device="cpu"))
    assert isinstance(answer.end, Done)
    assert [mask.slice for mask in answer.masks] == [9]


def test_the_masks_are_exactly_those_of_a_session(host: Any, phantom: Phantom, segment: SegmentPrompts) -> None:
    answer = host.ask(Propagate("", "v1", (segment,), "K", device="cpu"))
    set_thread_policy()  # the worker's: another number of threads adds in another order
    results = list(Session(phantom.volume, load_backend("embedded", "cpu")).propagate([segment], "K"))
    assert [mask.slice for mask in answer.masks] == [result.slice for result in results]
    for mask, result in zip(answer.masks, results, strict=True):
        found = np.zeros(phantom.truth_kji.shape, bool)
        mask.region.paste_into(found)
        assert np.array_equal(found[mask.slice], result.mask)


def test_the_users_file_is_bit_identical_afterwards(
    shared_host: Any, phantom: Phantom, open_request: Open, segment: SegmentPrompts
) -> None:
    request = open_request(phantom)
    before = Path(request.path).read_bytes()
    shared_host.ask(request)
    shared_host.ask(Propagate("", "v1", (segment,), "K", device="cpu"))
    assert Path(request.path).read_bytes() == before


def test_a_closed_volume_can_be_deleted(
    shared_host: Any, phantom: Phantom, open_request: Open, segment: SegmentPrompts
) -> None:
    request = open_request(phantom)
    shared_host.ask(request)
    shared_host.ask(Predict("", "v1", segment, "K", 9, device="cpu"))
    assert isinstance(shared_host.ask(CloseVolume("", "v1")).end, Done)
    Path(request.path).unlink()  # Windows refuses this while it is mapped


# ---- bad requests, and it lives on


def assert_lives(host: Any, segment: SegmentPrompts) -> None:
    assert isinstance(host.ask(Predict("", "v1", segment, "K", 9, device="cpu")).end, Done)


def test_a_wrong_volume_id_fails(host: Any, segment: SegmentPrompts) -> None:
    answer = host.ask(Predict("", "v9", segment, "K", 9))
    assert (answer.end.id, answer.end.code) == (answer.id, "no_such_volume")
    assert_lives(host, segment)


def test_a_prompt_outside_the_volume_fails(host: Any, segment: SegmentPrompts) -> None:
    answer = host.ask(Predict("", "v1", segment, "K", 12))
    assert (answer.end.id, answer.end.code) == (answer.id, "bad_request")
    assert_lives(host, segment)


def test_an_unknown_model_fails(host: Any, segment: SegmentPrompts) -> None:
    answer = host.ask(Predict("", "v1", segment, "K", 9, model="sam9"))
    assert (answer.end.id, answer.end.code) == (answer.id, "no_such_model")
    assert_lives(host, segment)


def test_an_unknown_device_fails(host: Any, segment: SegmentPrompts) -> None:
    answer = host.ask(Predict("", "v1", segment, "K", 9, device="abacus"))
    assert (answer.end.id, answer.end.code) == (answer.id, "no_such_device")
    assert_lives(host, segment)


@pytest.mark.parametrize("line", [b"nonsense\n", b"\n", b"[" * 50_000 + b"\n", b'{"type":[]}\n', b'{"type":"dance"}\n'])
def test_nonsense_does_not_stop_the_worker(host: Any, segment: SegmentPrompts, line: bytes) -> None:
    host.send(line)
    assert_lives(host, segment)


def test_a_request_cut_in_two_arrives_whole(host: Any) -> None:
    line = b'{"type":"ping","number":4711}\n'
    host.send(line[:11])
    time.sleep(0.05)
    host.send(line[11:])
    host.wait(lambda: host.client.last_pong == 4711)


# ---- busy


def test_a_ping_is_answered_while_busy(
    shared_host: Any, long_phantom: Phantom, open_request: Open, long_request: Propagate
) -> None:
    shared_host.ask(open_request(long_phantom, "long"))
    answer = shared_host.start(long_request)
    shared_host.wait(lambda: bool(answer.masks))
    shared_host.client.ping(99)
    shared_host.wait(lambda: shared_host.client.last_pong == 99)
    assert answer.end is None
    shared_host.client.cancel(answer.id)
    shared_host.wait(lambda: answer.end is not None)


def test_a_running_request_is_cancelled_between_two_slices(
    shared_host: Any, long_phantom: Phantom, open_request: Open, long_request: Propagate
) -> None:
    shared_host.ask(open_request(long_phantom, "long"))
    answer = shared_host.start(long_request)
    shared_host.wait(lambda: len(answer.masks) >= 3)
    shared_host.client.cancel(answer.id)
    shared_host.wait(lambda: answer.end is not None)
    assert answer.end == Cancelled(answer.id)
    assert len(answer.masks) < 100


def test_a_waiting_request_is_cancelled_without_beginning(
    shared_host: Any, long_phantom: Phantom, open_request: Open, long_request: Propagate
) -> None:
    shared_host.ask(open_request(long_phantom, "long"))
    running, waiting = shared_host.start(long_request), shared_host.start(long_request)
    shared_host.client.cancel(waiting.id)
    shared_host.client.cancel(running.id)
    shared_host.wait(lambda: waiting.end is not None)
    assert (waiting.end, waiting.events) == (Cancelled(waiting.id), [])


def test_a_request_after_a_cancelled_one_succeeds(
    host: Any, long_phantom: Phantom, open_request: Open, long_request: Propagate, segment: SegmentPrompts
) -> None:
    host.ask(open_request(long_phantom, "long"))
    cancelled = host.start(long_request)
    host.client.cancel(cancelled.id)
    assert_lives(host, segment)
    assert cancelled.end == Cancelled(cancelled.id)


# ---- stdout belongs to the protocol


def test_what_libraries_print_does_not_reach_the_host(
    start_host: StartHost, tmp_path: Path, phantom: Phantom, open_request: Open, segment: SegmentPrompts
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent("""
            import builtins, os, sys

            print("a greeting that is still in the buffer")
            plain = builtins.__import__

            def noisy(name, *args, **options):
                if name == "torch" and "medsam2_engine" in sys.modules:
                    print("a banner", flush=True)
                    os.write(1, b"words from C\\n")
                return plain(name, *args, **options)

            builtins.__import__ = noisy
        """)
    )
    host = start_host(tmp_path)
    host.ask(open_request(phantom))
    assert_lives(host, segment)
    host.process.stdin.close()
    assert host.wait_for_exit() == 0
    assert "a banner" in host.errors
    assert "words from C" in host.errors


# ---- the end of life


def busy(host: Any, phantom: Phantom, open_request: Open, request: Propagate) -> Any:
    """In the middle of a propagation."""
    host.ask(open_request(phantom, "long"))
    answer = host.start(request)
    host.wait(lambda: bool(answer.masks))
    return answer


def test_the_worker_exits_when_stdin_closes(start_host: StartHost) -> None:
    host = start_host()
    host.wait_for_hello()
    host.process.stdin.close()
    assert host.wait_for_exit(5.0) == 0


def test_a_busy_worker_exits_when_stdin_closes(
    start_host: StartHost, long_phantom: Phantom, open_request: Open, long_request: Propagate
) -> None:
    host = start_host()
    answer = busy(host, long_phantom, open_request, long_request)
    host.process.stdin.close()
    assert host.wait_for_exit(5.0) == 0
    assert answer.end is None


def test_a_worker_nobody_listens_to_exits(
    start_host: StartHost, long_phantom: Phantom, open_request: Open, long_request: Propagate
) -> None:
    """Its own pipe out is closed; somebody else holds the pipe in."""
    read_end, write_end = os.pipe()
    command = [sys.executable, "-m", "medsam2_engine", "worker"]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    process = subprocess.Popen(
        command, stdin=read_end, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    os.close(read_end)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        os.write(write_end, b'{"type":"close_volume","id":"r1","volume_id":"v1"}\n')
        assert process.wait(10) != 0
    finally:
        process.kill()
        process.wait()
        os.close(write_end)


@posix
def test_the_worker_exits_when_its_host_is_killed_though_the_pipe_stays_open() -> None:
    """The host is a process of its own here; this one holds a copy of the worker's pipe in, as a stray child would."""
    read_end, write_end = os.pipe()
    start_worker = textwrap.dedent("""
        import os, subprocess, sys
        worker = [sys.executable, "-m", "medsam2_engine", "worker", "--parent-pid", str(os.getpid())]
        subprocess.Popen(worker, stdin=int(sys.argv[1])).wait()
    """)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    host = subprocess.Popen(
        [sys.executable, "-c", start_worker, str(read_end)],
        pass_fds=[read_end, write_end],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    os.close(read_end)
    assert host.stdout is not None
    try:
        worker_pid = json.loads(host.stdout.readline())["pid"]
        host.kill()
        host.wait()
        assert host.stdout.read() == b""  # a process closes its pipes first, and is gone a moment later
        deadline = time.monotonic() + 10
        while is_alive(worker_pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        host.kill()
        host.stdout.close()
        os.close(write_end)


@posix
def test_a_killed_worker_fails_its_request_at_once(
    start_host: StartHost, long_phantom: Phantom, open_request: Open, long_request: Propagate
) -> None:
    host = start_host()
    answer = busy(host, long_phantom, open_request, long_request)
    os.kill(host.process.pid, signal.SIGKILL)
    host.wait(lambda: answer.end is not None, timeout_s=5.0)
    assert isinstance(answer.end, Failed)
    assert answer.end.code == "worker_died"
    assert host.wait_for_exit() == -signal.SIGKILL


@posix
def test_another_worker_gives_the_masks_that_the_killed_one_would_have_given(
    start_host: StartHost, shared_host: Any, phantom: Phantom, open_request: Open, segment: SegmentPrompts
) -> None:
    request = Propagate("", "v1", (segment,), "K", device="cpu")
    first = start_host()
    first.ask(open_request(phantom))
    answer = first.start(request)
    first.wait(lambda: bool(answer.masks))
    os.kill(first.process.pid, signal.SIGKILL)
    shared_host.ask(open_request(phantom))
    again, once_more = shared_host.ask(request), shared_host.ask(request)
    shape = phantom.truth_kji.shape
    assert np.array_equal(volume_of(again.masks, shape), volume_of(once_more.masks, shape))
    assert again.masks[0].region == answer.masks[0].region


@posix
def test_a_worker_leaves_no_process_behind(
    start_host: StartHost, phantom: Phantom, open_request: Open, segment: SegmentPrompts
) -> None:
    if not Path("/proc/self/task").exists():
        pytest.skip("looks for children in /proc")
    host = start_host()
    host.ask(open_request(phantom))
    assert_lives(host, segment)
    pid = host.process.pid
    assert [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children") if path.read_text()] == []


def test_a_worker_that_watches_its_host_lives_as_long(start_host: StartHost) -> None:
    host = start_host(arguments=("--parent-pid", str(os.getpid())))
    host.wait_for_hello()
    time.sleep(1.5)  # longer than it waits between two looks
    host.client.ping(1)
    host.wait(lambda: host.client.last_pong == 1)
