"""`medsam2 finetune`: a folder of segmented volumes in, a model of the list and a report out.

What can be refused is refused before the first step: the folder, the name, packages, memory.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from medsam2_engine.backends.load import framing_of, load_sam2
from medsam2_engine.device import choose_device, set_thread_policy
from medsam2_engine.errors import BadRequest, EngineError, TooLittleMemory, UnwritableResult, is_out_of_memory
from medsam2_engine.exit_codes import ExitCode, run_guarded
from medsam2_engine.finetune.arguments import AUTO, parse_arguments
from medsam2_engine.finetune.background import end_of_input, never, step_back
from medsam2_engine.finetune.case_clips import ClipOptions
from medsam2_engine.finetune.cases import TrainingCase, read_cases
from medsam2_engine.finetune.clip_sources import CaseClips
from medsam2_engine.finetune.losses import CROSS_ENTROPY, LossWeights
from medsam2_engine.finetune.memory_need import memory_need, require_memory
from medsam2_engine.finetune.model_card import model_card
from medsam2_engine.finetune.outcome import Outcome
from medsam2_engine.finetune.pseudo_labels import with_pseudo_labels
from medsam2_engine.finetune.report_page import WORST, has_pictures, write_report
from medsam2_engine.finetune.result_model import CARD_FILE, list_model, require_free_id, write_weights
from medsam2_engine.finetune.score_file import digest_of, read_scores, write_scores
from medsam2_engine.finetune.scoring import Mask, Score, Task, score, tasks_of
from medsam2_engine.finetune.settings import ALL, HEAD, Settings
from medsam2_engine.finetune.sole_training import sole_training_in
from medsam2_engine.finetune.splitting import split_by_subject
from medsam2_engine.finetune.team import Team, find_team
from medsam2_engine.finetune.telling import AFTER, BEFORE, LABELLING, Telling
from medsam2_engine.finetune.trainable import make_trainable, put, share_of
from medsam2_engine.finetune.trained_model import as_backend
from medsam2_engine.finetune.training import LOG_FILE, Rhythm, Training
from medsam2_engine.framing import Framing, ObjectFraming
from medsam2_engine.interruption import interruptible
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.models import ModelEntry, TrainingData, find_model
from medsam2_engine.precision import use_fastest_exact_products

MOST_TASKS = 12  # structures that a validation looks at; the report looks at all
VALIDATIONS = 6  # per training
SMALL = 20_000_000  # parameters; where a person leaves the choice to us, so small a model learns with all of them
LENGTHS = (1, 3, 4, 5)

NOT_ENOUGH_MEMORY = (
    "The memory is not enough. Close other programs, learn from fewer cases, choose a smaller model, or let less of it "
    "learn (`--train head`). What was learnt until the last checkpoint is kept."
)

Scored = tuple[Task, Score, Mask]
IsWanted = Callable[[], bool]


def main(argv: Sequence[str]) -> int:
    arguments = parse_arguments(argv)
    telling = Telling(arguments.json)
    return run_guarded(lambda: _told(arguments, telling), arguments.debug, NOT_ENOUGH_MEMORY)


def _told(arguments: argparse.Namespace, telling: Telling) -> ExitCode:
    """As `_run`; programs hear of an error on stdout as well, with its code."""
    try:
        with _disk(arguments.output):
            return _run(arguments, telling)
    except EngineError as error:
        telling.failed(error)
        raise
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            telling.failed(TooLittleMemory(NOT_ENOUGH_MEMORY))
        raise


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnwritableResult(
            f"Nothing can be written into {folder} ({error.strerror or error}). Free some space, or choose another "
            "folder. What was learnt until the last checkpoint is kept."
        ) from error


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


def _run(arguments: argparse.Namespace, telling: Telling) -> ExitCode:
    is_wanted = never
    if arguments.background:
        step_back()
        is_wanted = end_of_input()
    # First: it says which GPU is this process's own.
    team = find_team()
    telling.is_silent = team.rank > 0
    plan = _planned(arguments, telling)
    state = arguments.output / "state"
    state.mkdir(parents=True, exist_ok=True)
    # The others of a team are under the lock of the first.
    with sole_training_in(state) if team.rank == 0 else nullcontext():
        return _played(plan, team, state, telling, is_wanted)


def _played(plan: _Plan, team: Team, state: Path, telling: Telling, is_wanted: IsWanted) -> ExitCode:
    arguments = plan.arguments
    tasks = list(tasks_of(plan.validation, arguments.axis))
    training = _training(plan, team, state, tasks[:: max(1, -(-len(tasks) // MOST_TASKS))])
    before = [] if team.rank else _before(plan, state, tasks, telling, is_wanted)
    if before is None or not _train(plan, training, telling, is_wanted):
        text = f"Interrupted after step {training.step}. The same command goes on from there."
        telling.end("interrupted", text, step=training.step, steps=plan.settings.steps)
        return ExitCode.INTERRUPTED
    if team.rank == 0:
        _finish(plan, training, tasks, before, telling)
    return ExitCode.OK


def _planned(arguments: argparse.Namespace, telling: Telling) -> _Plan:
    """
    Raises:
        EngineError: the sentence says which of the wishes cannot be granted.
    """
    entry = find_model(arguments.model)
    base = find_model(entry.base) if entry.base else entry
    if base.backend != "sam2":
        raise BadRequest(f"{entry.title} is no SAM 2, and cannot be trained here. Choose another model (`--model`).")
    if arguments.output.exists() and not arguments.output.is_dir():
        raise BadRequest(f"{arguments.output} is a file. Name a folder.")
    require_free_id(arguments.id, base)
    cases = read_cases(arguments.folder, arguments.only)
    if not any(case.has_image for case in cases):
        raise BadRequest(f"{arguments.folder} holds label maps without images. Nothing could be validated on them.")
    if arguments.validation:
        training, validation = cases, read_cases(arguments.validation)
    else:
        training, validation = split_by_subject(cases, arguments.seed)
    validation = tuple(case for case in validation if case.reviewed is None)
    set_thread_policy()
    device = choose_device(arguments.device).name
    if device == "cpu":
        use_fastest_exact_products()
    model = load_sam2(entry, base)
    settings = Settings(
        seed=arguments.seed,
        trained=_fitting(model) if arguments.train == AUTO else arguments.train,
        rank=arguments.rank,
        steps=arguments.steps,
        frames=arguments.frames,
        accumulation=max(1, arguments.accumulate),
        lengths=LENGTHS,
        learning_rate=arguments.rate,
        losses=CROSS_ENTROPY if base.input_policy.kind == "object_crop" else LossWeights(),
    )
    if any(case.reviewed for case in training):
        backend = as_backend(model, framing_of(base.input_policy), device)
        training = tuple(with_pseudo_labels(case, backend) for case in telling.phase(LABELLING, training))
    need = memory_need(model, list(make_trainable(model, settings).values()), settings.frames)
    require_memory(need, device)
    telling.say(
        f"{len(training)} cases to learn from, {len(validation)} kept apart. Memory: {need}.",
        cases=[len(training), len(validation)],
        memory=need.total,
    )
    return _Plan(arguments, entry, base, framing_of(base.input_policy), settings, device, training, validation)


def _fitting(model: Sam2) -> str:
    """What learns where nobody has chosen: all of a small model, the head of a large one."""
    return ALL if sum(p.numel() for p in model.parameters()) <= SMALL else HEAD


def _training(plan: _Plan, team: Team, state: Path, tasks: Sequence[Task]) -> Training:
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
        team,
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


def _before(
    plan: _Plan, state: Path, tasks: Sequence[Task], telling: Telling, is_wanted: IsWanted
) -> list[Score] | None:
    """Scores of the model that is begun with; kept, so that a training that goes on does not ask again.

    None if somebody wished to stop.
    """
    kept, digest = state / "before.json", digest_of(plan.entry, tasks)
    known = read_scores(kept, digest)
    if known is not None:
        return known
    backend = as_backend(load_sam2(plan.entry, plan.base), plan.framing, plan.device)
    scores = []
    for task in telling.phase(BEFORE, tasks):
        if is_wanted():
            return None
        scores.append(score(task, backend)[0])
    write_scores(kept, digest, scores)
    return scores


def _train(plan: _Plan, training: Training, telling: Telling, is_wanted: IsWanted) -> bool:
    """Train to the end, or for the time that was given; False if the user stopped it before."""
    minutes = plan.arguments.minutes
    limit = None if minutes is None else time.monotonic() + 60 * minutes

    def report(step: int) -> None:
        left = None if limit is None else limit - time.monotonic()
        telling.step(step, plan.settings.steps, training.loss, left)

    with interruptible() as is_interrupted, telling.begin_steps(training.step, plan.settings.steps):
        training.run(
            lambda: is_interrupted() or is_wanted() or (limit is not None and time.monotonic() > limit), report
        )
        return training.is_finished or not (is_interrupted() or is_wanted())


def _finish(plan: _Plan, training: Training, tasks: Sequence[Task], before: Sequence[Score], telling: Telling) -> None:
    """Weights, list entry, card and report of the best averaged weights."""
    put(training.parameters, training.best if training.validate else training.average)
    training.model.eval()
    backend = as_backend(training.model, plan.framing, plan.device)
    scored: list[Scored] = [(task, *score(task, backend)) for task in telling.phase(AFTER, tasks)]
    arguments, output = plan.arguments, plan.arguments.output
    write_scores(output / "state" / "after.json", digest_of(plan.entry, tasks), [found for _, found, _ in scored])
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
    # An adapter over an adapter would be one over the base alone: both are then laid over it, and the whole is written.
    form = plan.settings.trained if plan.entry is plan.base else ALL
    path = write_weights(output / "model", training.model, form, plan.base)
    data = [TrainingData(f"{count} own cases", licence) for licence, count in outcome.licences.items()]
    base = replace(plan.base, training_data=plan.entry.training_data)
    list_model(path, arguments.id, outcome.title, base, form, data, card)
    worst = sorted(scored, key=lambda item: item[1].dice)[:WORST]
    page = write_report(output, outcome, output / "state" / LOG_FILE, worst)
    telling.end(
        "done",
        f"{outcome.summary}\nThe model {arguments.id} is in the list. Report: {page}",
        model=arguments.id,
        report=str(page.absolute()),
        pictures=has_pictures(),
        **outcome.facts,
    )


def _digest(plan: _Plan) -> str:
    """Of everything that is learnt from."""
    names = [plan.entry.id, plan.arguments.axis, str(plan.arguments.painted), *(case.sha256 for case in plan.training)]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
