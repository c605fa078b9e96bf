"""`medsam2 distill`: a listed model teaches a smaller one.

What is segmented in the volumes only says where to look, and may be rough: the masks that are learnt are the
teacher's.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from medsam2_engine.backends.load import framing_of, load_sam2
from medsam2_engine.errors import BadRequest
from medsam2_engine.exit_codes import ExitCode, run_guarded
from medsam2_engine.finetune.case_clips import ClipOptions
from medsam2_engine.finetune.cases import read_cases
from medsam2_engine.finetune.clip_sources import CaseClips, batch_of
from medsam2_engine.finetune.distillation import DistillationWeights, FeatureBridge, Teacher, distillation_loss
from medsam2_engine.finetune.network import Points
from medsam2_engine.finetune.result_model import list_model, require_free_id, write_weights
from medsam2_engine.finetune.settings import ALL, Settings
from medsam2_engine.finetune.training import BETAS
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
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="the teacher's answers, result"
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
    arguments.output.mkdir(parents=True, exist_ok=True)
    teacher = Teacher(load_sam2(teacher_entry, teacher_entry), teacher_entry.id, arguments.output / "teacher")
    student = load_sam2(student_entry, student_entry).train()
    source = CaseClips(cases, ClipOptions(1))
    settings = Settings(
        seed=arguments.seed,
        trained=ALL,
        steps=arguments.steps,
        frames=arguments.frames,
        lengths=(1,),
        box=0.8,
        point=0.2,
    )
    settings = replace(settings, learning_rate=arguments.rate)
    with interruptible() as is_stopped, ProgressBar(sys.stderr, arguments.steps) as bar:
        bridge = FeatureBridge(student.config.hidden, teacher.channels)
        parameters: list[nn.Parameter] = [*student.parameters(), *bridge.parameters()]
        optimiser = torch.optim.AdamW(parameters, lr=0.0, betas=BETAS, weight_decay=settings.weight_decay)
        for step in range(arguments.steps):
            if is_stopped():
                print("Interrupted; nothing was written but the teacher's answers.", file=sys.stderr)
                return ExitCode.INTERRUPTED
            loss = _step(student, bridge, teacher, source, student_entry, settings, step % max(1, arguments.clips))
            for group in optimiser.param_groups:
                group["lr"] = settings.rate(step)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, settings.clip)
            optimiser.step()
            bar.advance(f"loss {loss.item():.3f}")
    _list(arguments, student, student_entry, teacher_entry, len(cases))
    return ExitCode.OK


def _step(
    student: Sam2,
    bridge: FeatureBridge,
    teacher: Teacher,
    source: CaseClips,
    entry: ModelEntry,
    settings: Settings,
    number: int,
) -> torch.Tensor:
    batch = batch_of(np.random.default_rng([settings.seed, number]), source, framing_of(entry.input_policy), settings)
    assert isinstance(batch.points, Points), "clips of one slice are prompted by boxes or points"
    pixels = batch.pixels[:, 0]
    wanted = teacher.answers(pixels, batch.points)
    return distillation_loss(student, bridge, pixels, batch.points, wanted, DistillationWeights())


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
