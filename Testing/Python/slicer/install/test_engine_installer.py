"""Installing, cancelling, resuming, repairing and removing the engine, with imitated programs and real processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest


def python_setting():
    from MedSAM2SlicerLib.Environment import enginePython

    return enginePython()


# ---- before anybody asked


def test_constructing_starts_and_writes_nothing(computer):
    assert computer.calls() == computer.calls("PythonSlicer") == []
    assert not (computer.folder / "data").exists()
    assert computer.installer.state == "missing"


def test_importing_the_installer_starts_no_process(app, monkeypatch):
    import qt

    for name in [name for name in sys.modules if name.startswith("MedSAM2SlicerLib.Install")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "MedSAM2SlicerLib.EngineInstaller", raising=False)
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **more: started.append(arguments))
    monkeypatch.setattr(qt, "QProcess", lambda *arguments: started.append(arguments))
    import MedSAM2SlicerLib.EngineInstaller  # noqa: F401

    assert started == []


def test_asking_what_would_be_installed_writes_nothing(computer):
    text = computer.installer.installText()
    assert text.title == "Install the engine?"
    assert not (computer.folder / "data").exists()


# ---- an installation


def test_an_installation_ends_with_a_python_that_has_computed(computer):
    outcome = computer.install()
    assert (outcome.kind, outcome.sentence) == ("installed", "Ready: CPU, 1 thread (PyTorch 2.13.0+cpu).")
    folder = computer.installer.folder()
    assert python_setting() == str(folder.python)
    assert folder.record()["torch"] == "2.13.0+cpu"
    assert computer.installer.state == "ready"


def test_the_worker_is_started_with_the_installed_python(computer):
    from MedSAM2SlicerLib.Environment import EngineEnvironment

    computer.install()
    assert EngineEnvironment(computer.package).command().program == str(computer.installer.folder().python)


def test_progress_rises_to_the_end_and_names_the_largest_download(computer):
    computer.behave(pip="slow")
    computer.install()
    fractions = [fraction for fraction, _text in computer.progress if fraction >= 0]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)
    assert any("torch (189 MB) and 2 more" in text for _fraction, text in computer.progress)


def test_the_uv_of_the_path_is_used_if_it_is_new_enough(computer):
    computer.put_uv_on_path()
    assert computer.install().kind == "installed"
    assert computer.calls("PythonSlicer") == []


def test_an_old_uv_of_the_path_is_not_used(computer):
    computer.put_uv_on_path()
    computer.behave(version="uv 0.4.1")
    assert computer.install().kind == "installed"
    assert [call["arguments"][:3] for call in computer.calls("PythonSlicer")] == [["-m", "pip", "install"]]


def test_a_second_installation_does_not_fetch_uv_again(computer):
    computer.install()
    computer.install()
    pips = [call for call in computer.calls("PythonSlicer") if call["arguments"][:2] == ["-m", "pip"]]
    assert len(pips) == 1


def test_a_python_of_the_system_is_taken_where_none_can_be_downloaded(computer):
    computer.behave(managed="no_network")
    assert computer.install().kind == "installed"
    assert "--no-python-downloads" in computer.call("venv")["arguments"]


def test_the_engine_is_stopped_before_its_files_are_touched(computer):
    said = []
    computer.installer.onAboutToChange = lambda: said.append(computer.installer.folder().environment.exists())
    computer.install()
    assert said == [False]


# ---- what the programs are told


def test_no_variable_of_slicer_reaches_uv_or_the_engine(computer):
    slicer_home = computer.folder / "Slicer"
    foreign = {
        "PYTHONHOME": "x",
        "LD_LIBRARY_PATH": "x",
        "DYLD_LIBRARY_PATH": "x",
        "QT_PLUGIN_PATH": "x",
        "VIRTUAL_ENV": "x",
        "SSL_CERT_FILE": str(slicer_home / "Slicer.crt"),
        "UV_PYTHON": "x",
    }
    computer.set_variables(**foreign)
    computer.install()
    for call in computer.calls("uv") + computer.calls("python"):
        assert set(foreign) & set(call["environment"]) == set()


def test_slicers_own_python_keeps_the_variables_it_needs(computer):
    computer.install()
    assert "OF_SLICERS_LAUNCHER" in computer.calls("PythonSlicer")[0]["environment"]
    assert "OF_SLICERS_LAUNCHER" not in computer.call("pip")["environment"]


def test_the_engine_is_checked_with_the_engine_of_this_extension(computer):
    computer.install()
    assert computer.calls("python")[-1]["environment"]["PYTHONPATH"] == str(computer.package)


def test_a_proxy_set_in_the_panel_reaches_every_program(computer):
    computer.set_variables(https_proxy="http://other:1")
    computer.installer.setOption("proxy", "proxy.hospital:8080")
    computer.install()
    for call in computer.calls("uv") + computer.calls("PythonSlicer")[:1]:
        assert call["environment"]["HTTPS_PROXY"] == "http://proxy.hospital:8080"
        assert "https_proxy" not in call["environment"]


def test_the_systems_proxy_is_used_where_none_is_set(computer):
    computer.be(systemProxy="http://system:3128")
    computer.install()
    assert computer.call("pip")["environment"]["HTTPS_PROXY"] == "http://system:3128"


def test_a_password_of_the_proxy_is_not_in_the_log(computer):
    computer.installer.setOption("proxy", "http://me:secret@proxy:8080")
    computer.install()
    assert "secret" not in computer.installer.logText()
    assert "secret" not in " ".join(computer.installer.installText().lines)


def test_everything_that_uv_keeps_stays_in_the_engines_folder(computer):
    computer.install()
    environment, root = computer.call("pip")["environment"], str(computer.installer.folder().root)
    assert environment["UV_CACHE_DIR"].startswith(root)
    assert environment["UV_PYTHON_INSTALL_DIR"].startswith(root)
    assert (environment["UV_PYTHON_INSTALL_BIN"], environment["UV_PYTHON_INSTALL_REGISTRY"]) == ("0", "0")


def test_an_offline_installation_uses_the_wheel_folder_and_nothing_else(computer):
    wheels = computer.folder / "wheels"
    wheels.mkdir()
    (wheels / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    computer.set_variables(UV_DEFAULT_INDEX="https://index.example")
    computer.installer.setOption("wheelFolder", str(wheels))
    assert computer.install().kind == "installed"
    pip, venv = computer.call("pip"), computer.call("venv")["arguments"]
    assert pip["arguments"][-3:] == ["--no-index", "--find-links", str(wheels)]
    assert "UV_DEFAULT_INDEX" not in pip["environment"]
    assert venv[1:4] == ["--no-python-downloads", "--python", "3.11"]
    assert "--no-index" in computer.calls("PythonSlicer")[0]["arguments"]


# ---- failures


def test_a_wheel_folder_without_wheels_is_refused_at_once(computer):
    computer.installer.setOption("wheelFolder", str(computer.folder / "on-path"))
    outcome = computer.install()
    assert (outcome.kind, outcome.code) == ("failed", "wheels_missing")
    assert computer.calls() == []


def test_a_wheel_folder_that_lacks_a_package_is_named_with_it(computer):
    (computer.folder / "on-path" / "numpy-2.0-cp312-cp312-win_amd64.whl").touch()
    computer.installer.setOption("wheelFolder", str(computer.folder / "on-path"))
    computer.behave(pip="no_wheel")
    outcome = computer.install()
    assert outcome.code == "wheels_missing"
    assert "no torch for this system" in outcome.sentence


@pytest.mark.parametrize(
    ("behaviour", "code", "says"),
    [
        ({"pip": "no_network"}, "no_network", "pypi.org could not be reached"),
        ({"get_uv": "no_network"}, "no_network", "could not be reached"),
        ({"pip": "disk_full"}, "disk_full", "The disk is full"),
        ({"managed": "no_network", "venv": "no_python"}, "no_python", "python.org"),
        ({"pip": "crash"}, "blocked", "virus scanner"),
    ],
)
def test_a_failure_says_what_to_do_next(computer, behaviour, code, says):
    computer.behave(**behaviour)
    outcome = computer.install()
    assert (outcome.kind, outcome.code) == ("failed", code)
    assert says in outcome.sentence
    assert computer.installer.state == "unfinished"
    assert python_setting() == ""


def test_an_engine_that_crashes_while_it_computes_is_not_called_installed(computer):
    computer.behave(check="crash")
    outcome = computer.install()
    assert (outcome.kind, outcome.code) == ("failed", "check_failed")
    assert computer.installer.state == "unfinished"


def test_a_uv_that_a_virus_scanner_removed_is_reported_as_such(computer):
    computer.be(slicerPython=str(computer.folder / "pip-without-uv"))
    pip = computer.folder / "pip-without-uv"
    pip.write_text("#!/bin/sh\nexit 0\n")
    pip.chmod(0o755)
    outcome = computer.install()
    assert outcome.code == "blocked"
    assert "virus scanner" in outcome.sentence


def test_too_little_space_is_said_before_anything_is_downloaded(computer, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=200_000_000))
    outcome = computer.install()
    assert outcome.code == "disk_full"
    assert "0.2 GB free" in outcome.sentence
    assert computer.calls("PythonSlicer") == []


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_said(computer):
    (computer.folder / "data").mkdir(mode=0o500)
    assert computer.install().code == "no_permission"


def test_a_file_where_the_folder_should_be_is_said(computer):
    (computer.folder / "data").touch()
    outcome = computer.install()
    assert outcome.code == "no_permission"
    assert "Choose another folder" in outcome.sentence


def test_an_intel_mac_is_refused_with_a_reason(computer):
    computer.be(system="darwin", architecture="x86_64")
    assert computer.install().code == "unsupported_platform"


# ---- Cancel and after


def test_cancel_ends_the_programs_and_their_children_at_once(computer, wait_until):
    computer.behave(pip="hang")
    computer.start_and_wait_for("grandchild")
    before = time.monotonic()
    computer.installer.cancel()
    assert time.monotonic() - before < 0.5
    assert computer.outcomes[-1].kind == "cancelled"
    assert computer.installer.state == "unfinished"
    wait_until(lambda: computer.alive() == [], 3)


def test_a_cancelled_installation_can_be_continued(computer):
    computer.behave(pip="hang")
    computer.start_and_wait_for("grandchild")
    computer.installer.cancel()
    assert "interrupted" in computer.installer.installText().lines[-1]
    computer.behave()
    assert computer.install().kind == "installed"


def test_downloads_are_kept_and_a_half_made_environment_is_not(computer, wait_until):
    computer.behave(pip="hang")
    computer.start_and_wait_for("grandchild")
    computer.installer.cancel()
    folder = computer.installer.folder()
    old = (folder.environment / "pyvenv.cfg").stat().st_ino
    computer.behave()
    computer.install()
    assert (folder.root / "cache" / "numpy.whl").is_file()
    assert (folder.environment / "pyvenv.cfg").stat().st_ino != old
    wait_until(lambda: list(folder.root.glob("trash-*")) == [])


def test_half_downloads_of_killed_installations_are_swept_when_they_are_old(computer, wait_until):
    cache = computer.installer.folder().root / "cache"
    computer.install()
    for name, age_s in ((".tmpOld", 7200), (".tmpNew", 0)):
        (cache / name).mkdir()
        os.utime(cache / name, (time.time() - age_s,) * 2)
    computer.install()
    wait_until(lambda: not (cache / ".tmpOld").exists())
    assert (cache / ".tmpNew").exists()


def test_slicer_closed_during_an_installation_leaves_one_that_continues(computer, wait_until):
    from MedSAM2SlicerLib.EngineInstaller import EngineInstaller

    computer.behave(pip="hang")
    computer.start_and_wait_for("grandchild")
    computer.installer.stop()
    wait_until(lambda: computer.alive() == [], 3)
    computer.installer = EngineInstaller(computer.package, computer.describe)
    assert computer.installer.state == "unfinished"
    computer.behave()
    assert computer.install().kind == "installed"


def test_a_failed_repair_leaves_the_engine_that_was_there(computer):
    computer.install()
    computer.behave(pip="no_network")
    assert computer.install().code == "no_network"
    assert computer.installer.state == "ready"
    assert python_setting() == str(computer.installer.folder().python)


def test_a_cancelled_repair_leaves_the_engine_that_was_there(computer):
    computer.install()
    computer.behave(pip="hang")
    computer.start_and_wait_for("grandchild")
    assert python_setting() == ""
    computer.installer.cancel()
    assert computer.installer.state == "ready"
    assert python_setting() == str(computer.installer.folder().python)


def test_a_repair_makes_the_environment_anew_and_deletes_the_old_one(computer, wait_until):
    computer.install()
    folder = computer.installer.folder()
    (folder.environment / "damage").touch()
    assert computer.installer.installText().title == "Repair the engine?"
    assert computer.install().kind == "installed"
    assert not (folder.environment / "damage").exists()
    wait_until(lambda: not folder.previous.exists())


def test_two_installations_do_not_run_at_once(computer):
    computer.behave(pip="hang")
    computer.start_and_wait_for("grandchild")
    computer.installer.install()
    assert len([call for call in computer.calls() if call["arguments"][0] == "pip"]) == 1


# ---- removal


def test_removing_deletes_the_folder_and_forgets_the_python(computer):
    computer.install()
    root = computer.installer.folder().root
    computer.installer.remove()
    assert computer.finish().kind == "removed"
    assert list(root.parent.iterdir()) == [computer.installer.folder().log]
    assert python_setting() == ""
    assert computer.installer.state == "missing"


def test_a_folder_without_our_mark_is_never_removed(computer):
    root = computer.installer.folder().root
    root.mkdir(parents=True)
    (root / "thesis.txt").write_text("years of work")
    computer.installer.remove()
    assert computer.finish().code == "not_ours"
    assert (root / "thesis.txt").is_file()


def test_nothing_is_installed_into_a_folder_with_other_files(computer):
    root = computer.installer.folder().root
    root.mkdir(parents=True)
    (root / "thesis.txt").touch()
    assert computer.install().code == "not_ours"
    assert sorted(path.name for path in root.iterdir()) == ["thesis.txt"]


def test_a_link_to_a_folder_of_ours_is_not_removed(computer):
    computer.install()
    root = computer.installer.folder().root
    root.rename(root.with_name("elsewhere"))
    root.symlink_to(root.with_name("elsewhere"))
    computer.installer.remove()
    assert computer.finish().code == "not_ours"
    assert root.with_name("elsewhere").is_dir()


def test_removing_keeps_an_existing_python_that_is_not_ours(computer):
    computer.install()
    from MedSAM2SlicerLib.Environment import setEnginePython

    setEnginePython(sys.executable)
    computer.installer.remove()
    computer.finish()
    assert python_setting() == sys.executable


# ---- another folder, another Python, another version


def test_the_engine_goes_where_the_user_wants_it(computer):
    computer.installer.setOption("folder", str(computer.folder / "big disk"))
    assert computer.install().kind == "installed"
    assert Path(python_setting()).is_relative_to(computer.folder / "big disk" / "MedSAM2Slicer-engine")


def test_the_parts_for_training_come_into_the_engine_and_pytorch_stays(computer):
    computer.install()
    installed = computer.call("pip", "install")["arguments"]
    computer.installer.addParts()
    outcome = computer.finish()
    assert (outcome.kind, outcome.sentence) == ("installed", "What training needs is installed.")
    added = computer.call("pip", "install")["arguments"]
    assert [word for word in added if word.endswith(".txt")][-1].endswith("training-requirements.txt")
    assert added[:6] == installed[:6]  # the same Python, within the engine's own requirements
    assert not {"--upgrade", "--reinstall"} & set(added)


def test_the_parts_for_training_never_come_into_somebody_elses_python(computer):
    python = computer.folder / "python"
    python.symlink_to(sys.executable)
    computer.behave(report="wrong")
    computer.installer.useExisting(str(python))
    computer.finish()
    before = len(computer.calls())
    computer.installer.addParts()
    outcome = computer.finish()
    assert "is taken care of by somebody else: let them install matplotlib" in outcome.sentence
    assert len(computer.calls()) == before


def test_an_existing_python_is_used_and_reported_honestly(computer):
    python = computer.folder / "existing"
    shutil.copy(computer.folder / "PythonSlicer", python)
    python.write_text(python.read_text().replace("PythonSlicer", "python"))
    computer.behave(report={"missing": ["torch", "nrrd"]})
    computer.installer.useExisting(str(python))
    outcome = computer.finish()
    assert outcome.sentence.startswith("This Python lacks torch, nrrd.")
    assert python_setting() == str(python)


def test_a_python_that_cannot_start_is_said(computer):
    computer.installer.useExisting(str(computer.folder / "behaviour.json"))
    assert "could not be started" in computer.finish().sentence


def test_an_engine_of_another_version_is_recognised(computer):
    from MedSAM2SlicerLib.Environment import setEnginePython

    other = computer.installer.folder().root / "env-0.0.1" / "bin"
    other.mkdir(parents=True)
    (other / "python").touch()
    setEnginePython(str(other / "python"))
    assert computer.installer.state == "ready"
    assert computer.installer.isOutdated


# ---- the log, and the time it takes


def test_the_log_has_every_command_and_every_line(computer):
    computer.install()
    log = computer.installer.logText()
    assert log == computer.installer.folder().log.read_text()
    for part in ("-m pip install", " venv ", "Downloading torch (180.4MiB)", "medsam2_check", "installed"):
        assert part in log


def test_the_log_is_there_after_a_restart_of_slicer(computer):
    from MedSAM2SlicerLib.EngineInstaller import EngineInstaller

    computer.install()
    assert "Downloading torch" in EngineInstaller(computer.package, computer.describe).logText()


def test_slicers_main_thread_is_never_blocked(computer, app):
    """Blocking code would block every time, a busy machine only sometimes: the best of three counts."""
    longest_s = []
    for _attempt in range(3):
        longest_s.append(longest_gap_s(computer, app))
        if longest_s[-1] <= 0.05:
            return
    pytest.fail(f"Slicer stood still for {longest_s} s")


def longest_gap_s(computer, app):
    computer.behave(pip="slow")
    beats = [time.perf_counter()]
    computer.installer.install()
    beats.append(time.perf_counter())
    while computer.installer.lastOutcome is None:
        app.processEvents()
        beats.append(time.perf_counter())
        time.sleep(0.001)
        beats.append(time.perf_counter())
    assert computer.outcomes[-1].kind == "installed"
    return max(later - earlier for earlier, later in pairwise(beats))
