"""The training of the embedded model: what it may learn from, in which mixture, and with which settings.

    python -m medsam2_engine.finetune.embedded_recipe clips DATA STATE --recipe scratch --seed 11 --shards 24
    python -m medsam2_engine.finetune.embedded_recipe train STATE --recipe scratch --steps 38000

or the last line on two cores:

    export ACCELERATE_USE_CPU=true OMP_NUM_THREADS=1
    torchrun --nproc-per-node 2 -m medsam2_engine.finetune.embedded_recipe train STATE --recipe scratch --steps 38000

The recipe "scratch" begins with random weights; its clips are its own and those of five more mixtures (`POOLS`), each
made by a line like the first. "walks" goes on from an installed model, whose image encoder gets more blocks, with
longer walks too; "beside" comes after it and goes on from its averaged weights, with long walks to where an object ends
beside another that looks like it. "training" goes on from the weights of an installed model. "endings" comes after
"training" in the same way: it sees more objects that end, many beside something that looks just like them, and counts
an absent object more.

DATA holds one folder per case with a `meta.json` that names its licence; a licence that forbids passing on what was
made from it, or reserves it for research, leaves its case out. STATE keeps clips, checkpoints and the log; the same
command goes on where the last one ended. See embedded-v2.md and embedded-v3.md in docs/models.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from medsam2_engine.backends.load import framing_of, load_sam2
from medsam2_engine.finetune.body_sides import right_of_left
from medsam2_engine.finetune.case_clips import NEAR_END_SHARE, ClipOptions, clip_of_case
from medsam2_engine.finetune.cases import TrainingCase, read_cases
from medsam2_engine.finetune.clip_pool import ClipPool, write_shard
from medsam2_engine.finetune.clip_sources import batch_of
from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.deepening import Depth, deepened
from medsam2_engine.finetune.implants import implanted_clip
from medsam2_engine.finetune.initialisation import initialise
from medsam2_engine.finetune.losses import CROSS_ENTROPY
from medsam2_engine.finetune.probes import Probes
from medsam2_engine.finetune.pseudo_objects import pseudo_clip
from medsam2_engine.finetune.settings import ALL, CORRECTIONS, Settings
from medsam2_engine.finetune.shapes import shape_clip
from medsam2_engine.finetune.team import find_team
from medsam2_engine.finetune.training import Rhythm, Training
from medsam2_engine.finetune.training_state import STATE_FILE, put_average
from medsam2_engine.model.checkpoint import load_model
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.models import ModelEntry, all_models, find_model

EMBEDDED = "embedded"
REFUSED_LICENCES = ("NC", "GPL", "research only", "see repo")
VALIDATION_SUBJECTS = ("sts012", "sts023", "hippocampus_011", "hippocampus_044", "hippocampus_083", "synthseg_15")
CLIP_LENGTH = 7
PER_SHARD = 200
PAIRS_OF_A_BRAIN = 10
PSEUDO_CT_SHARE, THROWS = 0.6, 40
SETTINGS = Settings(
    seed=2026,
    trained=ALL,
    rank=8,
    frames=12,
    lengths=(1, 2, 3, 4, 5, 7),
    box=0.75,
    point=0.12,
    learning_rate=3e-4,
    warmup=50,
    cooldown=0.6,
    average=0.996,
    patience=0,
    losses=CROSS_ENTROPY,
)
# Only what corrections pass through, and the guess of the own overlap: boxes and following stay as they are.
CORRECTION_SETTINGS = Settings(
    seed=7,
    trained=CORRECTIONS,
    frames=10,
    lengths=(1, 1, 2),
    box=0.8,
    point=0.15,
    learning_rate=1e-3,
    warmup=20,
    cooldown=0.7,
    average=0.98,
    patience=0,
    losses=CROSS_ENTROPY,
)
ENDING_SETTINGS = replace(
    SETTINGS,
    seed=2027,
    lengths=(1, 3, 4, 5, 7, 7),
    learning_rate=2e-4,
    warmup=100,
    cooldown=0.75,
    average=0.998,
    losses=replace(CROSS_ENTROPY, absent=6.0, object_score=1.5),
)
# Random weights need large steps, and single slices among the clips: who cannot see an object cannot follow it.
SCRATCH_SETTINGS = replace(
    SETTINGS,
    seed=2028,
    frames=14,
    lengths=(1, 1, 2, 3, 5, 7),
    learning_rate=7e-4,
    warmup=200,
    cooldown=0.75,
    lowest=0.01,
    average=0.998,
    losses=replace(CROSS_ENTROPY, absent=5.0, object_score=1.25),
)
# A walk of seven slices hardly shows where following on from one's own masks leads.
WALK_SETTINGS = replace(
    SCRATCH_SETTINGS,
    seed=2029,
    lengths=(1, 2, 3, 5, 7, 13, 13),
    drift=0.35,
    learning_rate=4e-4,
    warmup=100,
    cooldown=1.0,
)
# Long walks among tumours make the model forget that what looks like the object need not be it.
BESIDE_SETTINGS = replace(
    WALK_SETTINGS,
    seed=2030,
    drift=0.0,
    learning_rate=3e-4,
    losses=replace(CROSS_ENTROPY, absent=6.0, object_score=1.5),
)
SCRATCH, TRAINING, ENDINGS, CORRECTING = "scratch", "training", "endings", "corrections"
WALKS, BESIDE = "walks", "beside"
SIDES, PATIENTS, IMPLANTS, GROWING = "sides", "patients", "implants", "growing"  # only clips
RECIPES = {  # by the folder in STATE
    SCRATCH: SCRATCH_SETTINGS,
    WALKS: WALK_SETTINGS,
    BESIDE: BESIDE_SETTINGS,
    TRAINING: SETTINGS,
    ENDINGS: ENDING_SETTINGS,
    CORRECTING: CORRECTION_SETTINGS,
}
BEFORE = {ENDINGS: TRAINING, BESIDE: WALKS}  # whose averaged weights a recipe goes on from
DEPTHS: dict[str, Depth] = {WALKS: (2, 2, 6, 1), BESIDE: (2, 2, 6, 1)}  # of the image encoder, where some are added
FIRST_DEPTH: Depth = (1, 1, 4, 1)  # of the image encoder that begins with random weights
FIRST_GLOBAL_BLOCKS = (3, 4, 5)  # those that look at the whole map
POOLS = {
    SCRATCH: (SCRATCH, ENDINGS, SIDES, PATIENTS, IMPLANTS, GROWING),
    WALKS: (SCRATCH, ENDINGS, SIDES, PATIENTS, IMPLANTS, GROWING, WALKS),
    BESIDE: (SCRATCH, ENDINGS, SIDES, PATIENTS, IMPLANTS, GROWING, WALKS, BESIDE),
    TRAINING: (TRAINING,),
    ENDINGS: (TRAINING, ENDINGS),
    CORRECTING: (TRAINING,),
}


@dataclass(frozen=True)
class Mixture:
    """What clips are made of: shares whose sum is at most 1; the rest are shapes.

    Attributes:
        near_end: part of the clips of cases that begin near the object's end.
        twins: part of the shapes beside something that looks just like them.
        tissues: part of the painted label maps whose labels are made of a few tissues.
        sides: part of the painted label maps that are brains, followed to the middle, where the other side looks alike.
        by_number: whether body parts with more label maps come more often.
        pet: part of the real tumours that are seen in PET.
        implant: made-up lesions in real images, PET as often as among the real tumours.
        growing: part of the clips of cases, but for those near an end, that go to where the object is largest.
        length: slices of a clip.
    """

    real: float
    hippocampus: float
    pseudo: float
    painted_real: float
    painted: float
    near_end: float = NEAR_END_SHARE
    twins: float = 0.0
    tissues: float = 0.0
    sides: float = 0.0
    by_number: bool = False
    pet: float = 0.3
    implant: float = 0.0
    growing: float = 0.0
    length: int = CLIP_LENGTH


MIXTURES = {
    SCRATCH: Mixture(0.32, 0.05, 0.08, 0.04, 0.30, near_end=0.5, twins=0.5, tissues=0.4, by_number=True),
    TRAINING: Mixture(0.38, 0.08, 0.12, 0.04, 0.18),
    ENDINGS: Mixture(0.30, 0.04, 0.04, 0.06, 0.24, near_end=0.7, twins=0.7),
    SIDES: Mixture(0.20, 0.12, 0.04, 0.04, 0.50, near_end=0.6, twins=0.7, tissues=0.5, sides=0.6, by_number=True),
    PATIENTS: Mixture(0.60, 0.05, 0.08, 0.05, 0.10, near_end=0.4, twins=0.5, tissues=0.4, by_number=True, pet=0.5),
    IMPLANTS: Mixture(0.20, 0.02, 0.08, 0.0, 0.10, near_end=0.4, twins=0.5, tissues=0.4, by_number=True, implant=0.5),
    GROWING: Mixture(
        0.56, 0.06, 0.06, 0.04, 0.16, near_end=0.1, twins=0.3, tissues=0.4, by_number=True, pet=0.4, growing=0.9
    ),
    WALKS: Mixture(
        0.60,
        0.06,
        0.04,
        0.04,
        0.15,
        near_end=0.2,
        twins=0.5,
        tissues=0.4,
        by_number=True,
        pet=0.4,
        growing=0.4,
        length=13,
    ),
    BESIDE: Mixture(
        0.20,
        0.10,
        0.02,
        0.04,
        0.48,
        near_end=0.4,
        twins=0.8,
        tissues=0.6,
        sides=0.5,
        by_number=True,
        pet=0.3,
        growing=0.2,
        length=13,
    ),
}


def allowed_cases(folder: Path) -> tuple[TrainingCase, ...]:
    """The cases whose licence allows a model that may be passed on, each with the patient it comes from."""
    cases = read_cases(folder)
    return tuple(
        replace(case, subject=subject_of(case.id))
        for case in cases
        if case.licence and not any(word in case.licence for word in REFUSED_LICENCES)
    )


def subject_of(case_id: str) -> str:
    """The patient: CT, MR and PET of one sarcoma patient share the last part of their names."""
    *_, group, last = case_id.split("_")
    return last if last.startswith("sts") else f"{group}_{last}"


def make_clip(rng: np.random.Generator, cases: Sequence[TrainingCase], mixture: Mixture) -> Clip:
    """One clip of the mixture."""
    tumours = [case for case in cases if case.has_image and "_sts" in case.id]
    hippocampi = [case for case in cases if case.has_image and "_sts" not in case.id]
    maps = [case for case in cases if not case.has_image]
    while True:
        clip = _thrown(rng, tumours, hippocampi, maps, mixture)
        if clip is not None:
            return clip


def _thrown(
    rng: np.random.Generator,
    tumours: Sequence[TrainingCase],
    hippocampi: Sequence[TrainingCase],
    maps: Sequence[TrainingCase],
    mixture: Mixture,
) -> Clip | None:
    kinds = ("real", "hippocampus", "pseudo", "painted_real", "painted", "implant")
    edges = np.cumsum([getattr(mixture, kind) for kind in kinds])
    number = int(np.searchsorted(edges, rng.random(), side="right"))
    kind = kinds[number] if number < len(kinds) else "shape"
    options = ClipOptions(mixture.length, near_end=mixture.near_end, growing=mixture.growing, tissues=mixture.tissues)
    if kind == "real":
        return clip_of_case(rng, _one_of(rng, _pet_or_not(rng, tumours, mixture.pet)), options)
    if kind == "hippocampus":
        return clip_of_case(rng, _one_of(rng, hippocampi), options)
    if kind == "pseudo":
        return _pseudo(rng, tumours, mixture.length)
    if kind == "implant":
        return _implant(rng, _pet_or_not(rng, tumours, mixture.pet), mixture.length)
    if kind == "painted_real":
        return clip_of_case(rng, _one_of(rng, tumours), replace(options, paint_share=1.0))
    if kind == "painted" and mixture.sides and rng.random() < mixture.sides:
        brains = [case for case in maps if len(right_of_left(case.structures)) >= PAIRS_OF_A_BRAIN]
        return clip_of_case(rng, _one_of(rng, brains), replace(options, to_partner=True))
    if kind == "painted":
        return clip_of_case(rng, map_of(rng, maps, mixture.by_number), options)
    return shape_clip(rng, mixture.length, mixture.twins)


def map_of(rng: np.random.Generator, maps: Sequence[TrainingCase], by_number: bool) -> TrainingCase:
    """Of any body part, with equal chance or by the square root of how many maps there are."""
    parts: dict[str, list[TrainingCase]] = {}
    for case in sorted(maps, key=lambda case: case.id):
        parts.setdefault(case.id.split("_")[2], []).append(case)
    names = sorted(parts)
    weights = np.sqrt([len(parts[name]) if by_number else 1.0 for name in names])
    return _one_of(rng, parts[str(rng.choice(names, p=weights / weights.sum()))])


def _pet_or_not(rng: np.random.Generator, cases: Sequence[TrainingCase], share: float) -> Sequence[TrainingCase]:
    is_pet = rng.random() < share
    return [case for case in cases if ("_pet_" in case.id) == is_pet]


def _pseudo(rng: np.random.Generator, cases: Sequence[TrainingCase], length: int) -> Clip | None:
    """Most throws meet no compact object."""
    is_ct = rng.random() < PSEUDO_CT_SHARE
    chosen = [case for case in cases if ("_ct_" in case.id) == is_ct]
    return _first(pseudo_clip(rng, _one_of(rng, chosen), length) for _ in range(THROWS))


def _implant(rng: np.random.Generator, cases: Sequence[TrainingCase], length: int) -> Clip | None:
    """Half of the throws meet air."""
    chosen = (_one_of(rng, cases) for _ in range(THROWS))
    return _first(implanted_clip(rng, case, length, "_pet_" in case.id) for case in chosen)


def _first(clips: Iterable[Clip | None]) -> Clip | None:
    return next((clip for clip in clips if clip is not None), None)


def _one_of(rng: np.random.Generator, cases: Sequence[TrainingCase]) -> TrainingCase:
    return cases[int(rng.integers(len(cases)))]


def clips_folder(state: Path, recipe: str) -> Path:
    return state / ("clips" if recipe == TRAINING else f"clips-{recipe}")


def make_clips(data: Path, state: Path, seed: int, shards: int, recipe: str = TRAINING) -> None:
    """Write shards of clips; one that is there already is not made again."""
    cases = [case for case in allowed_cases(data) if case.subject not in VALIDATION_SUBJECTS]
    folder = clips_folder(state, recipe)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(shards):
        path = folder / f"{seed:03d}-{number:03d}.clips"
        if path.is_file():
            continue
        began = time.monotonic()
        rng = np.random.default_rng([seed, number])
        clips = [make_clip(rng, cases, MIXTURES[recipe]) for _ in range(PER_SHARD)]
        write_shard(path, clips)
        kinds = {kind: sum(clip.kind == kind for clip in clips) for kind in sorted({clip.kind for clip in clips})}
        print(f"{path.name}: {(time.monotonic() - began) / PER_SHARD * 1000:.0f} ms a clip, {kinds}", flush=True)


def train(state: Path, steps: int, start: str, recipe: str = TRAINING) -> bool:
    """Train from the weights of an installed model or in a folder, or on from the state that is there.

    A recipe that comes after another (`BEFORE`) begins with the averaged weights of that one in STATE instead, if they
    are there; "scratch" takes only the model's widths, and begins with few blocks and random weights.
    """
    settings = replace(RECIPES[recipe], steps=steps)
    folder = state / recipe
    folder.mkdir(parents=True, exist_ok=True)
    pool = ClipPool(*(clips_folder(state, name) for name in POOLS[recipe]))
    team = find_team()
    if team.rank == 0:
        print(f"{len(pool)} clips, {team.size} processes", flush=True)
    model, framing, probes = begun(start, recipe), framing_of(_entry(start).input_policy), None
    if recipe in BEFORE and (state / BEFORE[recipe] / STATE_FILE).is_file():
        put_average(model, state / BEFORE[recipe])
    if recipe == SCRATCH:
        typical = batch_of(
            np.random.default_rng(settings.seed), pool, framing, replace(settings, frames=48, lengths=(1,))
        )
        initialise(model, typical.pixels[:, 0], settings.seed)
        probes = Probes(model.config.hidden)
    rhythm = Rhythm(log=25, checkpoint_s=120)
    training = Training(model, pool, framing, settings, folder, rhythm=rhythm, probes=probes, team=team)
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, frame: stopped.append(signum))
    return training.run(lambda: bool(stopped))


def begun(start: str, recipe: str) -> Sam2:
    """The installed model of that id, or the one in a folder, as the recipe begins with it."""
    entry, folder = _entry(start), _folder(start)
    model = load_model(folder) if folder else load_sam2(entry, entry)
    if recipe == SCRATCH:
        hiera = replace(model.config.hiera, blocks=FIRST_DEPTH, global_blocks=FIRST_GLOBAL_BLOCKS)
        return Sam2(replace(model.config, hiera=hiera)).eval()
    return deepened(model, DEPTHS[recipe]) if recipe in DEPTHS else model


def _entry(start: str) -> ModelEntry:
    """What a folder holds is a model like the one that ships."""
    return find_model(EMBEDDED if _folder(start) else start)


def _folder(start: str) -> Path | None:
    """The folder of that name; None where it is a model's id, though there be a folder like it."""
    is_id = any(entry.id == start for entry in all_models())
    return Path(start) if Path(start).is_dir() and not is_id else None


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="embedded_recipe", description="Train the embedded model.")
    commands = parser.add_subparsers(dest="command", required=True)
    clips = commands.add_parser("clips", help="make clips")
    clips.add_argument("data", type=Path)
    clips.add_argument("state", type=Path)
    clips.add_argument("--seed", type=int, default=1)
    clips.add_argument("--shards", type=int, default=8)
    clips.add_argument("--recipe", default=TRAINING, choices=sorted(MIXTURES), help="for which training")
    training = commands.add_parser("train", help="train, or go on training")
    training.add_argument("state", type=Path)
    training.add_argument("--steps", type=int, default=3000)
    training.add_argument("--start", default=EMBEDDED, help="the model, or the folder, whose weights to begin with")
    training.add_argument("--recipe", default=TRAINING, choices=sorted(RECIPES), help="what learns")
    items = commands.add_parser("items", help="list what is learnt from")
    items.add_argument("data", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    if options.command == "clips":
        make_clips(options.data, options.state, options.seed, options.shards, options.recipe)
    elif options.command == "items":
        for case in allowed_cases(options.data):
            print(json.dumps({"id": case.id, "licence": case.licence, "source": case.source, "sha256": case.sha256}))
    else:
        train(options.state, options.steps, options.start, options.recipe)
    return 0


if __name__ == "__main__":
    sys.exit(main())
