"""`medsam2 finetune`: a folder of segmented volumes in, a model of the list and a report out.

What can be refused is refused before the first step: the folder, the name, packages, memory.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from medsam2_engine.backends.load import framing_of, load_sam2
from medsam2_engine.device import choose_device, set_thread_policy
from medsam2_engine.errors import BadRequest
from medsam2_engine.exit_codes import ExitCode, run_guarded
from medsam2_engine.finetune.arguments import parse_arguments
from medsam2_engine.finetune.case_clips import ClipOptions
from medsam2_engine.finetune.cases import TrainingCase, read_cases
from medsam2_engine.finetune.clip_sources import CaseClips
from medsam2_engine.finetune.losses import CROSS_ENTROPY, LossWeights
from medsam2_engine.finetune.memory_need import memory_need, require_memory
from medsam2_engine.finetune.model_card import model_card
from medsam2_engine.finetune.outcome import Outcome
from medsam2_engine.finetune.pseudo_labels import with_pseudo_labels
from medsam2_engine.finetune.report_page import WORST, write_report
from medsam2_engine.finetune.result_model import CARD_FILE, list_model, require_free_id, write_weights
from medsam2_engine.finetune.scoring import Mask, Score, Task, score, tasks_of
from medsam2_engine.finetune.settings import Settings
from medsam2_engine.finetune.splitting import split_by_subject
from medsam2_engine.finetune.team import find_team
from medsam2_engine.finetune.trainable import make_trainable, put, share_of
from medsam2_engine.finetune.trained_model import as_backend
from medsam2_engine.finetune.training import LOG_FILE, Rhythm, Training
from medsam2_engine.framing import Framing, ObjectFraming
from medsam2_engine.interruption import interruptible
from medsam2_engine.models import ModelEntry, TrainingData, find_model
from medsam2_engine.precision import use_fastest_exact_products
from medsam2_engine.progress_bar import ProgressBar

MOST_TASKS = 12  # structures that a validation looks at; the report looks at all
VALIDATIONS = 6  # per training
LENGTHS = (1, 3, 4, 5)

Scored = tuple[Task, Score, Mask]


def main(argv: Sequence[str]) -> int:
    arguments = parse_arguments(argv)
    return run_guarded(lambda: _run(arguments), arguments.debug)


@dataclass(frozen=True)
class _Plan:
    """What is to be done, checked."""

    arguments: argparse.Namespace
    entry: ModelEntry
    base: ModelEntry
    framing: Framing
    settings: Settings
    device: str
    training: tuple[TrainingCase, ...]
    validation: tuple[TrainingCase, ...]


def _run(arguments: argparse.Namespace) -> ExitCode:
    plan = _planned(arguments)
    state = arguments.output / "state"
    state.mkdir(parents=True, exist_ok=True)
    tasks = list(tasks_of(plan.validation, arguments.axis))
    training = _training(plan, state, tasks[:: max(1, -(-len(tasks) // MOST_TASKS))])
    before = _before(plan, state, tasks)
    if not _train(plan, training):
        print(f"Interrupted after step {training.step}. The same command goes on from there.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    _finish(plan, training, tasks, before)
    return ExitCode.OK


def _planned(arguments: argparse.Namespace) -> _Plan:
    """
    Raises:
        EngineError: the sentence says which of the wishes cannot be granted.
    """
    entry = find_model(arguments.model)
    base = find_model(entry.base) if entry.base else entry
    if base.backend != "sam2":
        raise BadRequest(f"{entry.id} is no SAM 2, and cannot be trained here. Choose another --model.")
    if arguments.output.exists() and not arguments.output.is_dir():
        raise BadRequest(f"{arguments.output} is a file. Name a folder.")
    require_free_id(arguments.id, base)
    cases = read_cases(arguments.folder)
    if not any(case.has_image for case in cases):
        raise BadRequest(f"{arguments.folder} holds label maps without images. Nothing could be validated on them.")
    if arguments.validation:
        training, validation = cases, read_cases(arguments.validation)
    else:
        training, validation = split_by_subject(cases, arguments.seed)
    validation = tuple(case for case in validation if case.reviewed is None)
    settings = Settings(
        seed=arguments.seed,
        trained=arguments.train,
        rank=arguments.rank,
        steps=arguments.steps,
        frames=arguments.frames,
        accumulation=max(1, arguments.accumulate),
        lengths=LENGTHS,
        learning_rate=arguments.rate,
        losses=CROSS_ENTROPY if base.input_policy.kind == "object_crop" else LossWeights(),
    )
    set_thread_policy()
    device = choose_device(arguments.device).name
    if device == "cpu":
        use_fastest_exact_products()
    model = load_sam2(entry, base)
    if any(case.reviewed for case in training):
        backend = as_backend(model, framing_of(base.input_policy), device)
        training = tuple(with_pseudo_labels(case, backend) for case in training)
    need = memory_need(model, list(make_trainable(model, settings).values()), settings.frames)
    require_memory(need, device)
    _say(arguments, f"{len(training)} cases to learn from, {len(validation)} kept apart. Memory: {need}.")
    return _Plan(arguments, entry, base, framing_of(base.input_policy), settings, device, training, validation)


def _training(plan: _Plan, state: Path, tasks: Sequence[Task]) -> Training:
    options = ClipOptions(
        max(LENGTHS), plan.arguments.axis, not isinstance(plan.framing, ObjectFraming), plan.arguments.painted
    )
    every = max(1, plan.settings.steps // VALIDATIONS)
    training = Training(
        load_sam2(plan.entry, plan.base),
        CaseClips(plan.training, options),
        plan.framing,
        plan.settings,
        state,
        None,
        Rhythm(log=10, validation=every),
        find_team(),
        plan.device,
        _digest(plan),
    )
    if tasks:
        training.validate = _validation(training, tasks, plan)
    return training


def _validation(training: Training, tasks: Sequence[Task], plan: _Plan) -> Callable[[], float]:
    def validate() -> float:
        backend = as_backend(training.model, plan.framing, plan.device)
        return mean(score(task, backend)[0].dice for task in tasks)

    return validate


def _before(plan: _Plan, state: Path, tasks: Sequence[Task]) -> list[Score]:
    """Scores of the model that is begun with; kept, so that a training that goes on does not ask again."""
    kept = state / "before.json"
    if kept.is_file():
        return [Score(**item) for item in json.loads(kept.read_text(encoding="utf-8"))]
    backend = as_backend(load_sam2(plan.entry, plan.base), plan.framing, plan.device)
    scores = [score(task, backend)[0] for task in tasks]
    _write_scores(kept, scores)
    return scores


def _write_scores(path: Path, scores: Sequence[Score]) -> None:
    path.write_text(json.dumps([vars(item) for item in scores]), encoding="utf-8")


def _train(plan: _Plan, training: Training) -> bool:
    """Train to the end, or for the time that was given; False if the user stopped it before."""
    limit = None if plan.arguments.minutes is None else time.monotonic() + 60 * plan.arguments.minutes
    bar = ProgressBar(sys.stderr, plan.settings.steps - training.step, not plan.arguments.json)

    def report(step: int) -> None:
        bar.advance(f"step {step}")
        if plan.arguments.json:
            print(json.dumps({"step": step, "steps": plan.settings.steps}), flush=True)

    with interruptible() as is_wanted, bar:
        training.run(lambda: is_wanted() or (limit is not None and time.monotonic() > limit), report)
        return not is_wanted()


def _finish(plan: _Plan, training: Training, tasks: Sequence[Task], before: Sequence[Score]) -> None:
    """Weights, list entry, card and report of the best averaged weights."""
    put(training.parameters, training.best if training.validate else training.average)
    training.model.eval()
    backend = as_backend(training.model, plan.framing, plan.device)
    scored: list[Scored] = [(task, *score(task, backend)) for task in tasks]
    arguments, output = plan.arguments, plan.arguments.output
    _write_scores(output / "state" / "after.json", [found for _, found, _ in scored])
    outcome = Outcome(
        arguments.title or arguments.id,
        plan.entry.title,
        plan.entry.licence,
        plan.settings,
        training.step,
        share_of(training.parameters, training.model),
        plan.training,
        plan.validation,
        before,
        [found for _, found, _ in scored],
    )
    card = model_card(outcome)
    (output / CARD_FILE).write_text(card, encoding="utf-8")
    path = write_weights(output / "model", training.model, plan.settings.trained, plan.base)
    data = [TrainingData(f"{count} own cases", licence) for licence, count in outcome.licences.items()]
    list_model(path, arguments.id, outcome.title, plan.base, plan.settings.trained, data, card)
    worst = sorted(scored, key=lambda item: item[1].dice)[:WORST]
    page = write_report(output, outcome, output / "state" / LOG_FILE, worst)
    _say(arguments, f"{outcome.summary}\nThe model {arguments.id} is in the list. Report: {page}", end="done")


def _digest(plan: _Plan) -> str:
    """Of everything that is learnt from."""
    names = [plan.entry.id, plan.arguments.axis, str(plan.arguments.painted), *(case.sha256 for case in plan.training)]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _say(arguments: argparse.Namespace, text: str, end: str = "") -> None:
    if arguments.json:
        print(json.dumps({"end": end, "text": text} if end else {"text": text}, ensure_ascii=False), flush=True)
    else:
        print(text, flush=True)
