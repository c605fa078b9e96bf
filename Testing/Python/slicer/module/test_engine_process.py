"""Whatever a worker does, every request ends once, in words, and no process stays behind."""

import os
import signal
import time

import numpy as np
import pytest


class Request:
    """One request and what came of it."""

    def __init__(self, engine, message):
        self.events, self.ends = [], []
        self.id = engine.request(message, self.events.append, self.ends.append)

    @property
    def end(self):
        assert len(self.ends) == 1
        return self.ends[0]


@pytest.fixture
def engine(no_process_left, fake_engine):
    """``engine(first, later)``: an `EngineProcess` with short limits."""
    from MedSAM2SlicerLib.EngineProcess import EngineLimits, EngineProcess

    engines = []

    def make(first="normal", later="normal", start_s=20.0):
        limits = EngineLimits(start_s=start_s, pong_s=0.6, cancel_s=0.5, stop_s=0.3, ping_every_ms=50)
        engines.append(EngineProcess(fake_engine(first, later), limits))
        return engines[-1]

    yield make
    for one in engines:
        one.kill()


@pytest.fixture
def open_message(tmp_path):
    from medsam2_protocol.messages import OpenVolume

    path = tmp_path / "voxels.raw"
    np.full((9, 8, 8), 100, np.int16).tofile(path)
    identity = tuple(tuple(float(value) for value in row) for row in np.eye(4))
    return OpenVolume("", "v", str(path), "int16", (9, 8, 8), identity)


@pytest.fixture
def propagate_message():
    from medsam2_protocol.messages import Propagate
    from medsam2_protocol.prompts import BoxPrompt, SegmentPrompts

    box = BoxPrompt("K", 4, (1, 1), (5, 5))
    return Propagate("", "v", (SegmentPrompts("s", (box,)),), "K")


def propagate(engine, open_message, propagate_message):
    Request(engine, open_message)
    return Request(engine, propagate_message)


def masks(request):
    from medsam2_protocol.messages import MaskChanged

    return [event for event in request.events if isinstance(event, MaskChanged)]


def test_nothing_is_started_before_the_first_request(engine):
    one = engine()
    assert (one.state, one.environment.pids()) == ("stopped", [])


def test_a_request_starts_the_worker_and_gets_its_events_and_one_end(
    engine, open_message, propagate_message, wait_until
):
    from medsam2_protocol.messages import Done

    one = engine()
    request = propagate(one, open_message, propagate_message)
    assert one.state == "starting"
    wait_until(lambda: request.ends)
    assert isinstance(request.end, Done)
    assert len(masks(request)) == 7
    assert (one.state, one.hello.version) == ("ready", "fake")
    assert len(one.environment.pids()) == 1


def test_a_killed_worker_ends_its_requests_and_the_next_request_starts_another(
    engine, open_message, propagate_message, wait_until
):
    from medsam2_protocol.messages import Done

    one = engine("slow")
    request = propagate(one, open_message, propagate_message)
    wait_until(lambda: masks(request))
    os.kill(one.pid, signal.SIGKILL)
    wait_until(lambda: request.ends)
    assert request.end.code == "worker_died"
    again = propagate(one, open_message, propagate_message)
    wait_until(lambda: again.ends)
    assert isinstance(again.end, Done)
    assert len(one.environment.pids()) == 2


def test_a_worker_that_hangs_is_killed_and_said_to_hang(engine, open_message, propagate_message, wait_until):
    one = engine("hang")
    request = propagate(one, open_message, propagate_message)
    wait_until(lambda: request.ends)
    assert request.end.code == "worker_stuck"
    assert "hung" in request.end.message
    assert one.state == "stopped"


def test_a_slow_worker_that_answers_pings_is_left_alone(engine, open_message, propagate_message, wait_until):
    from medsam2_protocol.messages import Done

    one = engine("slow")
    request = propagate(one, open_message, propagate_message)
    wait_until(lambda: request.ends)
    assert isinstance(request.end, Done)


def test_cancel_ends_a_request_between_two_slices(engine, open_message, propagate_message, wait_until):
    from medsam2_protocol.messages import Cancelled

    one = engine("slow")
    request = propagate(one, open_message, propagate_message)
    wait_until(lambda: masks(request))
    one.cancel(request.id)
    wait_until(lambda: request.ends)
    assert isinstance(request.end, Cancelled)
    assert one.state == "ready"


def test_a_worker_that_ignores_cancel_is_killed(engine, open_message, propagate_message, wait_until):
    one = engine("deaf")
    request = propagate(one, open_message, propagate_message)
    wait_until(lambda: masks(request))
    one.cancel(request.id)
    wait_until(lambda: request.ends, 20)
    assert request.end.code == "worker_stuck"
    assert "Cancel" in request.end.message


@pytest.mark.parametrize(
    ("mode", "code", "words"),
    [
        ("protocol", "protocol_mismatch", "protocol 2"),
        ("garbage", "worker_died", "no message"),
        ("broken", "not_started", "there is no torch"),
        ("failed", "out_of_memory", "This is the smallest model"),
    ],
)
def test_a_worker_that_cannot_be_used_says_why(engine, open_message, propagate_message, wait_until, mode, code, words):
    one = engine(mode)
    request = propagate(one, open_message, propagate_message)
    wait_until(lambda: request.ends)
    assert request.end.code == code
    assert words in request.end.message
    assert one.state == ("ready" if mode == "failed" else "stopped")


def test_a_worker_that_never_says_hello_is_given_up(engine, open_message, wait_until):
    one = engine("silent", start_s=0.3)
    request = Request(one, open_message)
    wait_until(lambda: request.ends)
    assert (request.end.code, one.state) == ("not_started", "stopped")


def test_a_program_that_is_not_there_is_said(engine, open_message, wait_until, monkeypatch):
    from MedSAM2SlicerLib.Environment import EngineCommand

    one = engine()
    monkeypatch.setattr(one.environment, "command", lambda: EngineCommand("no-such-python", (), {}))
    request = Request(one, open_message)
    wait_until(lambda: request.ends)
    assert request.end.code == "not_started"
    assert "could not be started" in request.end.message


def test_a_program_that_fails_before_start_returns_is_said_and_not_watched(
    engine, open_message, wait_until, monkeypatch
):
    """As on Windows, where `QProcess.start` itself reports a file that is no program."""
    import qt

    from MedSAM2SlicerLib.WorkerRun import WorkerRun

    monkeypatch.setattr(WorkerRun, "start", lambda run, command: run.onProcessError(qt.QProcess.FailedToStart))
    one = engine()
    request = Request(one, open_message)
    assert (request.end.code, one.state) == ("not_started", "stopped")
    assert "could not be started" in request.end.message
    later_s = time.monotonic() + 0.2
    wait_until(lambda: time.monotonic() > later_s)  # whoever still watched would have failed by now


def test_an_engine_that_is_not_installed_says_what_to_do(engine, open_message, monkeypatch):
    from MedSAM2SlicerLib.Environment import EngineNotInstalled

    def command():
        raise EngineNotInstalled("Choose a Python.")

    one = engine()
    monkeypatch.setattr(one.environment, "command", command)
    request = Request(one, open_message)
    assert (request.end.code, request.end.message) == ("not_started", "Choose a Python.")


def test_stop_lets_the_worker_go_by_itself(engine, open_message, wait_until):
    from MedSAM2SlicerLib.WorkerRun import WorkerRun

    one = engine()
    request = Request(one, open_message)
    wait_until(lambda: request.ends)
    one.stop()
    assert one.state == "stopped"
    wait_until(lambda: WorkerRun.alive == [])


def test_what_the_worker_writes_to_stderr_is_kept(engine, open_message, wait_until):
    one = engine("broken")
    request = Request(one, open_message)
    wait_until(lambda: request.ends)
    assert any("torch" in line for line in one.log())


def test_the_workers_environment_is_free_of_slicers_own(app, monkeypatch, tmp_path):
    from MedSAM2SlicerLib.Environment import cleanEnvironment

    for name in ("PYTHONHOME", "LD_LIBRARY_PATH", "QT_PLUGIN_PATH", "QT_QPA_PLATFORM_PLUGIN_PATH"):
        monkeypatch.setenv(name, "Slicer's")
    monkeypatch.setenv("PYTHONPATH", "Slicer's")
    environment = cleanEnvironment(tmp_path)
    assert "Slicer's" not in environment.values()
    assert environment["PYTHONPATH"] == str(tmp_path)
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["PATH"] == os.environ["PATH"]


@pytest.fixture
def no_engine_named(app, monkeypatch):
    from MedSAM2SlicerLib.Environment import VARIABLE, setEnginePython

    monkeypatch.delenv(VARIABLE, raising=False)
    yield setEnginePython
    setEnginePython("")


def test_the_engines_python_is_the_one_in_the_panel_then_the_variable_then_the_venv(
    no_engine_named, monkeypatch, tmp_path
):
    from MedSAM2SlicerLib.Environment import VARIABLE, EngineEnvironment, EngineNotInstalled

    environment = EngineEnvironment(tmp_path / "module")
    with pytest.raises(EngineNotInstalled, match="not installed"):
        environment.python()
    paths = [tmp_path / ".venv" / "bin" / "python", tmp_path / "variable", tmp_path / "panel"]
    paths[0].parent.mkdir(parents=True)
    for path in paths:
        path.touch()
    assert environment.python() == str(paths[0])
    monkeypatch.setenv(VARIABLE, str(paths[1]))
    assert environment.python() == str(paths[1])
    no_engine_named(str(paths[2]))
    assert environment.python() == str(paths[2])


def test_a_python_that_was_named_and_is_gone_is_not_replaced_silently(no_engine_named, tmp_path):
    from MedSAM2SlicerLib.Environment import EngineEnvironment, EngineNotInstalled

    no_engine_named(str(tmp_path / "gone"))
    with pytest.raises(EngineNotInstalled, match="gone"):
        EngineEnvironment(tmp_path).python()
