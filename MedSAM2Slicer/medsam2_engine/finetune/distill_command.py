"""`medsam2 distill`: a listed model teaches a smaller one.

What is segmented in the volumes only says where to look, and may be rough: the masks that are learnt are the
teacher's.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from medsam2_engine.backends.load import framing_of, load_sam2
from medsam2_engine.errors import BadRequest
from medsam2_engine.exit_codes import ExitCode, run_guarded
from medsam2_engine.finetune.case_clips import ClipOptions
from medsam2_engine.finetune.cases import TrainingCase, read_cases
from medsam2_engine.finetune.clip_sources import CaseClips
from medsam2_engine.finetune.distillation import Teacher
from medsam2_engine.finetune.distilling import Distilling
from medsam2_engine.finetune.result_model import list_model, require_free_id, write_weights
from medsam2_engine.finetune.settings import ALL, Settings
from medsam2_engine.interruption import interruptible
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.models import ModelEntry, TrainingData, find_model
from medsam2_engine.progress_bar import ProgressBar


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    return run_guarded(lambda: _run(arguments), arguments.debug)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="medsam2 distill", description="Let a large model teach a small one.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="volumes with segmentations that say where to look")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="the teacher's answers, state, result"
    )
    parser.add_argument("--id", required=True, help="the new model's name in the model list")
    parser.add_argument("--teacher", required=True, metavar="ID", help="a SAM 2 of the model list")
    parser.add_argument("--student", default="embedded", metavar="ID", help="what to begin with (default: embedded)")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--clips", type=int, default=100, help="different batches; each is asked of the teacher once")
    parser.add_argument("--frames", type=int, default=8, help="frames at a time (default: 8)")
    parser.add_argument("--rate", type=float, default=2e-4, help="learning rate (default: 2e-4)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _run(arguments: argparse.Namespace) -> ExitCode:
    student_entry, teacher_entry = (_sam2(model_id) for model_id in (arguments.student, arguments.teacher))
    require_free_id(arguments.id, student_entry)
    if student_entry.input_policy.kind != "object_crop":
        raise BadRequest(
            f"{student_entry.id} looks at whole slices; only students of object crops can be taught so far."
        )
    cases = read_cases(arguments.folder)
    state = arguments.output / "state"
    state.mkdir(parents=True, exist_ok=True)
    student = load_sam2(student_entry, student_entry)
    distilling = Distilling(
        student,
        Teacher(load_sam2(teacher_entry, teacher_entry), teacher_entry.id, arguments.output / "teacher"),
        CaseClips(cases, ClipOptions(1)),
        framing_of(student_entry.input_policy),
        _settings(arguments),
        arguments.clips,
        state,
        _digest(arguments, cases),
    )
    if not _taught(distilling, arguments.steps):
        print(f"Interrupted after step {distilling.step}. The same command goes on from there.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    _list(arguments, student, student_entry, teacher_entry, len(cases))
    return ExitCode.OK


def _taught(distilling: Distilling, steps: int) -> bool:
    with interruptible() as is_wanted, ProgressBar(sys.stderr, steps - distilling.step) as bar:
        return distilling.run(is_wanted, lambda: bar.advance(f"loss {distilling.loss:.3f}"))


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(
        seed=arguments.seed,
        trained=ALL,
        steps=arguments.steps,
        frames=arguments.frames,
        lengths=(1,),
        box=0.8,
        point=0.2,
        learning_rate=arguments.rate,
    )


def _digest(arguments: argparse.Namespace, cases: Sequence[TrainingCase]) -> str:
    """Of everything that is learnt from."""
    names = [arguments.teacher, arguments.student, str(arguments.clips), *(case.sha256 for case in cases)]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _sam2(model_id: str) -> ModelEntry:
    entry = find_model(model_id)
    if entry.backend != "sam2" or entry.base:
        raise BadRequest(f"{model_id} is no SAM 2 with weights of its own. Choose another model.")
    return entry


def _list(arguments: argparse.Namespace, student: Sam2, entry: ModelEntry, teacher: ModelEntry, cases: int) -> None:
    path = write_weights(arguments.output / "model", student.eval(), ALL, entry)
    data = [TrainingData(f"Answers of {teacher.title} to {cases} own cases", teacher.licence)]
    card = (
        f"# Model card: {arguments.id}\n\n{entry.title}, taught by {teacher.title} (licence: {teacher.licence}) on "
        f"{cases} cases, {arguments.steps} steps, seed {arguments.seed}. It was not measured. Not a medical device.\n"
    )
    list_model(path, arguments.id, arguments.id, entry, ALL, data, card)
    print(f"The model {arguments.id} is in the list. Measure it before you use it.")
