"""`medsam2 finetune` from a folder of cases to a model that segments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medsam2_engine.__main__ import main
from medsam2_engine.backends.load import load_backend
from medsam2_engine.exit_codes import ExitCode
from medsam2_engine.finetune import command, memory_need
from medsam2_engine.finetune.cases import read_cases
from medsam2_engine.finetune.scoring import score, tasks_of
from medsam2_engine.models import find_model


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(command, "VALIDATIONS", 1)
    monkeypatch.setattr(command, "set_thread_policy", lambda: None)


def finetune(folder: Path, *options: str) -> int:
    arguments = [str(folder), "-o", str(folder.parent / "out"), "--id", "mine", "--steps", "2", "--frames", "4"]
    return main(["finetune", *arguments, *options])


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
    (scored,) = json.loads((case_folder.parent / "out" / "state" / "after.json").read_text())
    task = next(task for task in tasks_of(read_cases(case_folder)) if task.case.id == scored["case_id"])
    assert score(task, load_backend("mine", "cpu"))[0].dice == pytest.approx(scored["dice"], abs=0.01)


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


def test_programs_are_told_every_step(case_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert finetune(case_folder, "--json") == ExitCode.OK
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in lines if "step" in line] == [1, 2]
    assert lines[-1]["end"] == "done"


def test_one_subject_alone_is_learnt_from_and_nobody_claims_a_gain(
    case_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in case_folder.glob("case[123]*"):
        path.unlink()
    assert finetune(case_folder) == ExitCode.OK
    assert "No case was kept apart" in capsys.readouterr().out
