"""``qt.QProcess`` as a module uses it for a worker: real processes, real signals."""

import os
import sys

import pytest

import slicerhost

ECHO = """
import sys
for line in sys.stdin.buffer:
    sys.stdout.buffer.write(b"echo " + line)
    sys.stdout.buffer.flush()
"""
SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def a_process(app):
    import qt

    process = qt.QProcess()
    yield process
    process.kill()
    process.waitForFinished(5000)
    assert slicerhost.slot_errors == []


@pytest.fixture
def finished(a_process):
    """(exit code, exit status) of every end of ``a_process``."""
    ends = []
    a_process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ends.append((code, int(status))))
    return ends


def test_a_resident_worker_answers_line_by_line(a_process, finished, wait_until):
    heard = []
    a_process.connect("readyReadStandardOutput()", lambda: heard.append(a_process.readAllStandardOutput().data()))
    a_process.start(sys.executable, ["-u", "-c", ECHO])
    assert a_process.write(b"one\n") == 4
    wait_until(lambda: b"".join(heard) == b"echo one\n")
    a_process.write(b"two\xff\n")
    wait_until(lambda: b"".join(heard) == b"echo one\necho two\xff\n")
    a_process.closeWriteChannel()
    wait_until(lambda: finished)
    assert finished == [(0, 0)]


def test_standard_error_comes_separately(a_process, finished, wait_until):
    heard = []
    a_process.connect("readyReadStandardError()", lambda: heard.append(a_process.readAllStandardError().data()))
    a_process.start(sys.executable, ["-c", "import sys; sys.stderr.write('oh'); sys.exit(7)"])
    wait_until(lambda: finished)
    assert b"".join(heard) == b"oh"
    assert finished == [(7, 0)]


def test_a_started_process_says_so(a_process, wait_until):
    import qt

    started = []
    a_process.connect("started()", lambda: started.append(a_process.processId()))
    assert a_process.state() == qt.QProcess.NotRunning
    a_process.start(sys.executable, ["-c", SLEEP])
    wait_until(lambda: started)
    assert a_process.state() == qt.QProcess.Running
    os.kill(started[0], 0)


def test_a_missing_executable_fails_to_start(a_process, wait_until):
    import qt

    errors = []
    a_process.connect("errorOccurred(QProcess::ProcessError)", errors.append)
    a_process.start("no-such-executable", [])
    wait_until(lambda: errors)
    assert errors == [qt.QProcess.FailedToStart]
    assert a_process.errorString()


def test_a_killed_process_has_crashed(a_process, finished, wait_until):
    import qt

    errors = []
    a_process.connect("errorOccurred(QProcess::ProcessError)", errors.append)
    a_process.start(sys.executable, ["-c", SLEEP])
    a_process.waitForStarted()
    a_process.kill()
    wait_until(lambda: finished)
    assert [status for _code, status in finished] == [qt.QProcess.CrashExit]
    assert errors == [qt.QProcess.Crashed]


def test_environment_and_folder_are_those_given(a_process, finished, wait_until, tmp_path):
    import qt

    environment = qt.QProcessEnvironment.systemEnvironment()
    environment.insert("SAMPLE", "value")
    environment.remove("HOME")
    a_process.setProcessEnvironment(environment)
    a_process.setWorkingDirectory(str(tmp_path))
    script = "import os; print(os.environ['SAMPLE'], 'HOME' in os.environ, os.getcwd())"
    a_process.start(sys.executable, ["-c", script])
    wait_until(lambda: finished)
    assert a_process.readAllStandardOutput().data().decode().split() == ["value", "False", str(tmp_path)]


def test_a_console_process_of_slicer_reports_without_blocking(app, wait_until):
    import slicer

    heard = []
    slicer.util.launchConsoleProcess(
        [sys.executable, "-u", "-c", "print('a'); print('b')"],
        blocking=False,
        logCallback=lambda line: heard.append(line.strip()),
        completedCallback=heard.append,
    )
    wait_until(lambda: 0 in heard)
    assert heard == ["a", "b", 0]
