"""`medsam2 distill` from a folder of cases to a model that segments: the model that ships teaches itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medsam2_engine.__main__ import main
from medsam2_engine.backends.load import load_backend
from medsam2_engine.exit_codes import ExitCode
from medsam2_engine.finetune import distilling
from medsam2_engine.finetune.cases import read_cases
from medsam2_engine.finetune.scoring import score, tasks_of
from medsam2_engine.models import find_model


@pytest.fixture(autouse=True)
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))


def distill(folder: Path, out: str = "out", steps: int = 4, model_id: str = "pupil") -> int:
    arguments = [str(folder), "-o", str(folder.parent / out), "--id", model_id, "--teacher", "embedded"]
    return main(["distill", *arguments, "--steps", str(steps), "--clips", "2", "--frames", "4"])


def weights(folder: Path, out: str) -> dict[str, torch.Tensor]:
    return load_file(folder.parent / out / "model" / "model.safetensors")


def test_the_pupil_is_in_the_list_and_bound_to_its_teachers_licence(case_folder: Path) -> None:
    assert distill(case_folder) == ExitCode.OK
    entry = find_model("pupil")
    assert entry.training_data[-1].name.startswith("Answers of ")
    assert entry.training_data[-1].licence == find_model("embedded").licence
    task = next(tasks_of(read_cases(case_folder)))
    assert score(task, load_backend("pupil", "cpu"))[0].dice > 0.3
    # Two different batches, each asked of the teacher once.
    assert len(list((case_folder.parent / "out" / "teacher").glob("*.safetensors"))) == 2


def test_a_distillation_that_was_interrupted_goes_on_to_the_same_weights(
    case_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = distilling.Distilling._take_step

    def killed_at_the_third(self: distilling.Distilling) -> None:
        if self.step == 2:
            self.save()
            raise KeyboardInterrupt
        taken(self)

    assert distill(case_folder, "whole", model_id="whole") == ExitCode.OK
    with monkeypatch.context() as patch:
        patch.setattr(distilling.Distilling, "_take_step", killed_at_the_third)
        assert distill(case_folder, "parts", model_id="parts") == ExitCode.INTERRUPTED
    assert not (case_folder.parent / "parts" / "model").exists()
    assert distill(case_folder, "parts", model_id="parts") == ExitCode.OK
    whole, parts = weights(case_folder, "whole"), weights(case_folder, "parts")
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_answers_that_are_kept_are_not_asked_for_again(case_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert distill(case_folder, steps=2) == ExitCode.OK

    def silent(*_arguments: object) -> None:
        raise AssertionError("the teacher was asked again")

    monkeypatch.setattr(distilling.Teacher, "_asked", silent)
    assert distill(case_folder, steps=4) == ExitCode.OK


def test_other_cases_are_another_distillation(case_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert distill(case_folder, steps=1) == ExitCode.OK
    for path in case_folder.glob("case0*"):
        path.unlink()
    assert distill(case_folder, steps=2) == ExitCode.BAD_PROMPTS
    assert "other settings or other data" in capsys.readouterr().err


def test_a_teacher_that_is_no_sam2_is_refused(case_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(case_folder), "-o", str(case_folder.parent / "out"), "--id", "pupil", "--teacher", "medsam"]
    assert main(["distill", *arguments]) == ExitCode.BAD_PROMPTS
    assert "is no SAM 2" in capsys.readouterr().err
