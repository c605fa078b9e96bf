"""dev.py: what it promises in the README, and what it says when a machine lacks something."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def dev():
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ask(*arguments, **variables):
    command = [sys.executable, ROOT / "dev.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": "", **variables})


def test_every_command_of_the_readme_exists():
    named = set(re.findall(r"python3 dev\.py (\w+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {"demo", "test", "bench", "lint", "setup"} <= named
    choices = re.search(r"\{(.*?)\}", ask("--help").stdout).group(1).split(",")
    assert named <= set(choices)


def test_ci_runs_the_command_of_the_readme_and_ends_with_it():
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == "exec python3 dev.py test"
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_runs_of_pytest_are_counted_together(dev, tmp_path):
    for number, counts in enumerate(('tests="9" failures="1" errors="2" skipped="3"', 'tests="5" failures="0"')):
        (tmp_path / f"{number}.xml").write_text(f"<testsuites><testsuite {counts}></testsuite></testsuites>")
    assert dev.closing_line(sorted(tmp_path.iterdir())) == "8 passed, 3 failed, 3 skipped"


def test_runs_side_by_side_are_shown_one_after_the_other_with_their_exit_codes(dev, tmp_path, capfd):
    for name, outcome in (("first", "assert True"), ("second", "assert False")):
        (tmp_path / f"test_{name}.py").write_text(f"def test_of_the_{name}():\n    {outcome}\n")
    arguments = ["-q", "-p", "no:cacheprovider", "-c", str(tmp_path / "pytest.ini")]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    passing, failing = ([*arguments, str(tmp_path / f"test_{name}.py")] for name in ("first", "second"))
    assert dev.two_at_a_time([passing, failing, passing], Path(sys.executable)) == [0, 1, 0]
    sys.stdout.flush()
    shown = capfd.readouterr().out
    assert shown.index("1 passed") < shown.index("test_of_the_second")


def test_an_unknown_command_is_refused_with_the_known_ones():
    answer = ask("tset")
    assert answer.returncode == 2
    assert "bench" in answer.stderr


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    answer = ask("--venv", str(tmp_path), "setup")
    assert answer.returncode == 1
    assert "is no Python environment" in answer.stderr
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_an_old_python_is_told_which_one_is_needed(dev, monkeypatch, tmp_path):
    monkeypatch.setattr(dev.sys, "version_info", (3, 9, 10))
    with pytest.raises(dev.DevError, match=r"Python 3\.9\.10; Python 3\.10 or later"):
        dev.prepare(tmp_path / "venv", "demo")


def test_a_python_without_ensurepip_is_told_the_debian_package(dev, monkeypatch, tmp_path):
    monkeypatch.setattr(dev, "can_make_environments", lambda python: False)
    with pytest.raises(dev.DevError, match="apt install python3-venv"):
        dev.create(tmp_path / "venv")


def test_a_full_disk_is_said_before_anything_is_installed(dev, monkeypatch, tmp_path):
    monkeypatch.setattr(dev.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1_000_000_000}))
    monkeypatch.setattr(dev, "pip", lambda *arguments: pytest.fail("pip was started"))
    with pytest.raises(dev.DevError, match=r"1\.0 GB are free.*needs 5 GB"):
        dev.install(tmp_path, tmp_path / "bin/python", "test")


def test_missing_libraries_are_said_with_the_line_that_installs_them(dev, monkeypatch):
    monkeypatch.setattr(dev, "is_loadable", lambda library: library != "libEGL.so.1")
    monkeypatch.setattr(dev.sys, "platform", "linux")
    with pytest.raises(dev.DevError, match=r"miss libEGL\.so\.1\.\n.*apt-get install -y libegl1$"):
        dev.refuse_without_libraries()


@pytest.mark.parametrize(
    ("complaint", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("NewConnectionError: Failed to establish a new connection", "network and proxy"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no build of a package"),
        ("ERROR: something else", "its message is above"),
    ],
)
def test_a_failed_pip_is_followed_by_advice(dev, complaint, advice):
    assert advice in dev.advice(complaint)


def test_torch_index_can_be_chosen_and_switched_off(dev, monkeypatch):
    monkeypatch.setattr(dev, "is_reachable", lambda index: pytest.fail("asked the network"))
    monkeypatch.setenv("MEDSAM2_TORCH_INDEX", "https://example.org/torch")
    assert dev.torch_index() == ["--extra-index-url", "https://example.org/torch"]
    monkeypatch.setenv("MEDSAM2_TORCH_INDEX", "")
    assert dev.torch_index() == []


def test_the_cpu_build_is_for_linux_without_a_card_and_only_if_its_index_answers(dev, monkeypatch):
    monkeypatch.delenv("MEDSAM2_TORCH_INDEX", raising=False)
    monkeypatch.setattr(dev.sys, "platform", "linux")
    monkeypatch.setattr(dev, "has_nvidia_card", lambda: False)
    monkeypatch.setattr(dev, "is_reachable", lambda index: True)
    assert dev.torch_index() == ["--extra-index-url", dev.TORCH_CPU_INDEX]
    monkeypatch.setattr(dev, "is_reachable", lambda index: False)
    assert dev.torch_index() == []
    monkeypatch.setattr(dev, "is_reachable", lambda index: True)
    monkeypatch.setattr(dev, "has_nvidia_card", lambda: True)
    assert dev.torch_index() == []


def test_a_stamped_environment_is_used_at_once(dev, monkeypatch, tmp_path):
    (tmp_path / "medsam2-test.stamp").write_text(dev.fingerprint())
    monkeypatch.setattr(dev, "has_modules", lambda python, *names: True)
    monkeypatch.setattr(dev, "install", lambda *arguments: pytest.fail("installed again"))
    assert dev.prepare(tmp_path, "demo").parent.parent == tmp_path


def test_other_pins_are_installed_and_stamped(dev, monkeypatch, tmp_path):
    (tmp_path / "medsam2-test.stamp").write_text("of older pins")
    installed = []
    monkeypatch.setattr(dev, "has_modules", lambda python, *names: True)
    monkeypatch.setattr(dev, "install", lambda venv, python, extra: installed.append(extra))
    dev.prepare(tmp_path, "test")
    dev.prepare(tmp_path, "test")
    assert installed == ["test"]


def test_a_broken_environment_is_made_anew(dev, monkeypatch, tmp_path):
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text("home = /nowhere")
    (venv / "bin/python").symlink_to("/nowhere/python")
    monkeypatch.setattr(dev, "install", lambda *arguments: None)
    python = dev.prepare(venv, "demo")
    assert subprocess.run([python, "-c", "import pip"]).returncode == 0
