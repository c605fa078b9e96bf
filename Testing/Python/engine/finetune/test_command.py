"""`medsam2 finetune` from a folder of cases to a model that segments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from medsam2_engine.__main__ import main
from medsam2_engine.backends.load import load_backend, load_sam2
from medsam2_engine.exit_codes import ExitCode
from medsam2_engine.finetune import command, memory_need, trainable, training_state
from medsam2_engine.finetune.cases import read_cases
from medsam2_engine.finetune.scoring import score, tasks_of
from medsam2_engine.finetune.sole_training import sole_training_in
from medsam2_engine.models import find_model
from training_phantoms import write_pair


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(command, "VALIDATIONS", 1)
    monkeypatch.setattr(command, "set_thread_policy", lambda: None)


def finetune(folder: Path, *options: str) -> int:
    arguments = [str(folder), "-o", str(folder.parent / "out"), "--id", "mine", "--steps", "2", "--frames", "4"]
    return main(["finetune", *arguments, *options])


def told(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def here() -> dict[str, str]:
    """The environment of a process that runs this tree."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("MedSAM2Slicer"))}


def test_the_result_is_in_the_list_at_once_with_card_and_report(case_folder: Path) -> None:
    assert finetune(case_folder) == ExitCode.OK
    out = case_folder.parent / "out"
    entry = find_model("mine")
    assert entry.title == "mine"
    assert entry.training_data[-1].name == "3 own cases"
    task = next(tasks_of(read_cases(case_folder)))
    assert score(task, load_backend("mine", "cpu"))[0].dice > 0.3
    card = (out / "README.md").read_text()
    assert sum(case.sha256 in card for case in read_cases(case_folder)) == 3
    page = (out / "report.html").read_text()
    assert "label 1" in page
    assert (out / "worst-1.png").stat().st_size > 10_000


def test_low_rank_differences_become_an_adapter_over_an_unchanged_base(case_folder: Path) -> None:
    pytest.importorskip("peft")
    before = find_model("embedded").files
    assert finetune(case_folder, "--train", "lora", "--rate", "1e-3") == ExitCode.OK
    entry = find_model("mine")
    assert entry.base == "embedded"
    assert {file.name for file in entry.files} == {"adapter_config.json", "adapter_model.safetensors"}
    assert find_model("embedded").files == before
    (scored,) = json.loads((case_folder.parent / "out" / "state" / "after.json").read_text())["scores"]
    task = next(task for task in tasks_of(read_cases(case_folder)) if task.case.id == scored["case_id"])
    assert score(task, load_backend("mine", "cpu"))[0].dice == pytest.approx(scored["dice"], abs=0.01)


def test_an_adapter_learnt_over_an_adapter_holds_both(case_folder: Path) -> None:
    pytest.importorskip("peft")
    for path in case_folder.glob("case[123]*"):
        path.unlink()  # without a validation the last weights are the best
    assert finetune(case_folder, "--train", "lora", "--rate", "1e-2") == ExitCode.OK
    second = [str(case_folder), "-o", str(case_folder.parent / "second"), "--id", "again", "--model", "mine"]
    assert main(["finetune", *second, "--steps", "1", "--frames", "4", "--train", "lora", "--rate", "1e-9"]) == 0
    again, first, base = (weights_of(name) for name in ("again", "mine", "embedded"))
    assert torch.linalg.norm(first - base) > 0.01
    # Whole models are written in half precision.
    assert torch.linalg.norm(again - first) < 0.2 * torch.linalg.norm(first - base)
    assert [data.name for data in find_model("again").training_data[-2:]] == ["1 own cases", "1 own cases"]


def weights_of(model_id: str) -> torch.Tensor:
    entry = find_model(model_id)
    model = load_sam2(entry, find_model(entry.base) if entry.base else entry)
    return torch.cat([p.detach().ravel() for _, p in sorted(model.named_parameters())])


def test_the_same_command_again_goes_on_and_replaces_its_own_result(case_folder: Path) -> None:
    assert finetune(case_folder) == ExitCode.OK
    assert finetune(case_folder, "--steps", "3") == ExitCode.OK
    steps = [json.loads(line)["step"] for line in (case_folder.parent / "out/state/log.jsonl").read_text().splitlines()]
    assert max(steps) == 3


def test_another_models_id_is_refused_before_anything_is_trained(
    case_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(case_folder), "-o", str(case_folder.parent / "out"), "--id", "embedded"]
    assert main(["finetune", *arguments]) == ExitCode.NO_MODEL
    assert "already" in capsys.readouterr().err
    assert not (case_folder.parent / "out" / "state").exists()


def test_too_little_memory_is_said_before_the_first_step(
    case_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory_need, "free_memory", lambda device: 100_000_000)
    assert finetune(case_folder) == ExitCode.BAD_PROMPTS
    assert "only 100 MB are free" in capsys.readouterr().err
    assert not (case_folder.parent / "out" / "state").exists()


def test_programs_are_told_every_step_and_what_came_out(case_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert finetune(case_folder, "--json") == ExitCode.OK
    lines = told(capsys)
    (about,) = (line for line in lines if "memory" in line)
    assert about["cases"] == [3, 1]
    assert about["memory"] > 100_000_000
    steps = [line for line in lines if "step" in line]
    assert [line["step"] for line in steps] == [1, 2]
    assert all(line["loss"] > 0 and line["seconds_left"] >= 0 for line in steps)
    assert [line["phase"] for line in lines if "phase" in line] == ["before", "after"]
    end = lines[-1]
    assert (end["end"], end["model"], end["count"]) == ("done", "mine", 1)
    assert end["change"] == pytest.approx(end["after"] - end["before"], abs=2e-4)
    assert Path(end["report"]).is_file()


def test_programs_are_told_why_there_is_no_training(
    case_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory_need, "free_memory", lambda device: 100_000_000)
    finetune(case_folder, "--json")
    end = told(capsys)[-1]
    assert end["end"] == "too_little_memory"
    assert "Close other programs, choose a smaller model" in end["text"]


def in_the_background(case_folder: Path, steps: int) -> subprocess.Popen[str]:
    arguments = [str(case_folder), "-o", str(case_folder.parent / "out"), "--id", "mine", "--steps", str(steps)]
    options = ["--frames", "4", "--background", "--json"]
    command = [sys.executable, "-m", "medsam2_engine", "finetune", *arguments, *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=here())


def test_a_training_in_the_background_ends_with_the_program_that_started_it(case_folder: Path) -> None:
    """Nothing is lost: the same command goes on from the step that it came to."""
    with in_the_background(case_folder, 500) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        while '"step": 2,' not in process.stdout.readline():
            assert process.poll() is None
        process.stdin.close()
        last = json.loads(process.stdout.read().splitlines()[-1])
    assert process.returncode == ExitCode.INTERRUPTED
    assert last["end"] == "interrupted"
    state = torch.load(case_folder.parent / "out" / "state" / "state.pt", weights_only=True)
    assert state["step"] == last["step"] >= 2


def test_a_training_in_the_background_that_comes_to_its_end_ends_well(case_folder: Path) -> None:
    """Though its standard input is still open."""
    with in_the_background(case_folder, 1) as process:
        assert process.stdout is not None
        last = json.loads(process.stdout.read().splitlines()[-1])
        assert process.wait() == ExitCode.OK
    assert last["end"] == "done"


def test_a_full_disk_is_said_and_not_called_an_error_of_ours(
    case_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_arguments: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 128 vs 22")

    monkeypatch.setattr(training_state.torch, "save", full)
    assert finetune(case_folder, "--json") == ExitCode.UNWRITABLE
    said = capsys.readouterr()
    assert "state.pt could not be written" in said.err
    assert json.loads(said.out.splitlines()[-1])["end"] == "unwritable"


def test_memory_that_runs_out_is_said_with_advice_for_a_training(
    case_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(command, "read_cases", full)
    assert finetune(case_folder, "--json") == ExitCode.OUT_OF_MEMORY
    said = capsys.readouterr()
    end = json.loads(said.out.splitlines()[-1])
    assert end["end"] == "too_little_memory"
    for text in (end["text"], said.err):
        assert "Close other programs, learn from fewer cases" in text
        assert "--range" not in text


def test_a_measurement_that_was_cut_short_by_a_full_disk_is_made_again(case_folder: Path) -> None:
    kept = case_folder.parent / "out" / "state" / "before.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('[{"case_id": "cas')
    assert finetune(case_folder) == ExitCode.OK
    json.loads(kept.read_text())


def test_a_case_drawn_anew_before_the_first_checkpoint_is_measured_anew(case_folder: Path) -> None:
    assert finetune(case_folder) == ExitCode.OK
    state = case_folder.parent / "out" / "state"
    earlier = (state / "before.json").read_text()
    (scored,) = json.loads((state / "after.json").read_text())["scores"]
    write_pair(case_folder, scored["case_id"], 17)
    (state / "state.pt").unlink()
    assert finetune(case_folder) == ExitCode.OK
    assert (state / "before.json").read_text() != earlier


def test_a_line_of_the_log_that_was_cut_short_does_not_cost_the_report(case_folder: Path) -> None:
    state = case_folder.parent / "out" / "state"
    state.mkdir(parents=True)
    (state / "log.jsonl").write_text('{"step": 10, "lo')
    assert finetune(case_folder) == ExitCode.OK
    assert (case_folder.parent / "out" / "curves.png").is_file()


def test_a_second_process_in_the_folder_of_a_training_is_refused(
    case_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as a second Slicer that was told to go on with it."""
    state = case_folder.parent / "out" / "state"
    state.mkdir(parents=True)
    with sole_training_in(state):
        assert finetune(case_folder) == ExitCode.BAD_PROMPTS
    assert "Wait until it has ended, or stop it there" in capsys.readouterr().err
    assert not (state / "before.json").exists()


def test_a_training_whose_cases_were_drawn_anew_is_not_gone_on_with_and_says_why(
    case_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune(case_folder) == ExitCode.OK
    for number in range(4):
        write_pair(case_folder, f"case{number}", 20 + number)
    assert finetune(case_folder, "--steps", "3") == ExitCode.BAD_PROMPTS
    assert "its cases have changed since. Begin a new one" in capsys.readouterr().err


def test_cases_that_came_later_do_not_disturb_a_training_that_goes_on(case_folder: Path) -> None:
    names = [f"case{number}" for number in range(4)]
    assert finetune(case_folder, "--only", *names) == ExitCode.OK
    write_pair(case_folder, "later", 9)
    assert finetune(case_folder, "--steps", "3", "--only", *names) == ExitCode.OK


def test_a_case_that_is_gone_is_named(case_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert finetune(case_folder, "--only", "case0", "case7") == ExitCode.BAD_PROMPTS
    assert "has no case case7" in capsys.readouterr().err


def test_left_to_itself_all_of_a_small_model_learns(case_folder: Path) -> None:
    assert finetune(case_folder, "--train", "auto") == ExitCode.OK
    assert "What learnt: everything, 100.0 %" in (case_folder.parent / "out" / "README.md").read_text()


def test_lora_without_its_package_names_the_package(
    case_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trainable.importlib.util, "find_spec", lambda name: None)
    assert finetune(case_folder, "--train", "lora", "--json") == ExitCode.BAD_PROMPTS
    assert told(capsys)[-1]["end"] == "missing_packages"


def test_one_subject_alone_is_learnt_from_and_nobody_claims_a_gain(
    case_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in case_folder.glob("case[123]*"):
        path.unlink()
    assert finetune(case_folder) == ExitCode.OK
    assert "No case was kept apart" in capsys.readouterr().out
