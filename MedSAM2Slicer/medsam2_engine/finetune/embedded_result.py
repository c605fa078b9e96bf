"""What a training of the embedded model has come to: its files, and its figures on the subjects kept apart.

    python -m medsam2_engine.finetune.embedded_result export STATE FOLDER
    python -m medsam2_engine.finetune.embedded_result merge MERGED FOLDER FOLDER...
    python -m medsam2_engine.finetune.embedded_result judge DATA [FOLDER]
    python -m medsam2_engine.finetune.embedded_result curves STATE --recipe scratch

`export` writes config.json and model.safetensors (fp16) with the averaged weights; `merge` writes the mean of several
such folders, as of a training that was begun again from its end (Izmailov et al., arXiv:1803.05407); `judge` compares
a folder with the model that ships: Dice with the true range, Dice on the prompted slice, and how the predicted IoU goes
with the real one; `curves` prints the log as a table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch

from medsam2_engine.backends.load import framing_of, load_sam2
from medsam2_engine.finetune.deepening import deepened, deepest
from medsam2_engine.finetune.embedded_recipe import EMBEDDED, RECIPES, VALIDATION_SUBJECTS, allowed_cases, begun
from medsam2_engine.finetune.result_model import write_weights
from medsam2_engine.finetune.scoring import Score, score, tasks_of
from medsam2_engine.finetune.settings import ALL
from medsam2_engine.finetune.trained_model import as_backend
from medsam2_engine.finetune.training import LOG_FILE
from medsam2_engine.finetune.training_state import put_average
from medsam2_engine.model.checkpoint import load_model
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.models import find_model

COLUMNS = {
    "loss": "loss",
    "dice_box": "Dice, box",
    "dice_point": "point",
    "dice_slice1": "1st slice after",
    "dice_slice3": "3rd",
    "dice_click1": "click 1",
    "dice_click4": "click 4",
    "dice_corrected": "corrected slice",
    "seen_absent": "absent seen",
    "seen_present": "present seen",
    "iou_correlation": "IoU correlation",
}


def export(state: Path, folder: Path, recipe: str = "training") -> None:
    """The averaged weights of a training in STATE as a folder that can be loaded and added to the model list."""
    model = begun(EMBEDDED, recipe)
    step = put_average(model, state / recipe)
    write_weights(folder, model, ALL, find_model(EMBEDDED))
    print(f"{folder}: step {step}")


def merge(merged: Path, folders: Sequence[Path]) -> None:
    """The mean of the weights of several folders, as a folder like them; the shallower ones are made as deep first."""
    models = [load_model(folder) for folder in folders]
    depth = deepest(model.config.hiera.blocks for model in models)
    models = [deepened(model, depth) for model in models]
    states = [model.state_dict() for model in models]
    for name, weights in states[0].items():
        weights.copy_(torch.stack([state[name].float() for state in states]).mean(0))
    write_weights(merged, models[0], ALL, find_model(EMBEDDED))


def judge(data: Path, folder: Path | None) -> None:
    """Print a table of the model that ships and of the one in the folder."""
    entry = find_model(EMBEDDED)
    models = {"shipped": load_sam2(entry, entry)} | ({"trained": load_model(folder)} if folder else {})
    print("| model | n | Dice, prompted slice | Dice, known range | surface Dice | IoU: correlation |")
    print("|---|---|---|---|---|---|")
    for name, model in models.items():
        print(_row(name, _scores(data, model)), flush=True)


def curves(log: Path, rows: int) -> list[str]:
    """The log as a Markdown table of about so many rows, each with the means since the one before."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    table = [f"| step | learning rate | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 2) + "|"]
    edges = sorted({round(len(lines) * (number + 1) / rows) for number in range(rows)} - {0})
    for begin, end in pairwise((0, *edges)):
        part = lines[begin:end]
        cells = [f"{mean(values):.3f}" if (values := _values(part, name)) else "" for name in COLUMNS]
        table.append(f"| {part[-1]['step']} | {part[-1]['rate']:.1e} | {' | '.join(cells)} |")
    return table


def _values(lines: Sequence[dict[str, float]], name: str) -> list[float]:
    return [line[name] for line in lines if name in line]


def iou_correlation(scores: Sequence[Score]) -> float:
    """Pearson's, of the predicted and the real IoU on the prompted slice."""
    real = [found.prompted_dice / (2 - found.prompted_dice) for found in scores]
    return float(np.corrcoef(real, [found.predicted_iou for found in scores])[0, 1])


def _scores(data: Path, model: Sam2) -> list[Score]:
    backend = as_backend(model, framing_of(find_model(EMBEDDED).input_policy))
    cases = [case for case in allowed_cases(data) if case.subject in VALIDATION_SUBJECTS]
    return [score(task, backend)[0] for task in tasks_of(cases)]


def _row(name: str, scores: Sequence[Score]) -> str:
    columns = ([getattr(found, field) for found in scores] for field in ("prompted_dice", "dice", "surface_dice"))
    figures = " | ".join(f"{median(values):.3f} ({mean(values):.3f})" for values in columns)
    return f"| {name} | {len(scores)} | {figures} | {iou_correlation(scores):.2f} |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="embedded_result", description="The result of training the embedded model.")
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("export", help="write the averaged weights as a model folder")
    writing.add_argument("state", type=Path)
    writing.add_argument("folder", type=Path)
    writing.add_argument("--recipe", default="training", choices=sorted(RECIPES))
    merging = commands.add_parser("merge", help="the mean of several model folders")
    merging.add_argument("merged", type=Path)
    merging.add_argument("folders", type=Path, nargs="+")
    judging = commands.add_parser("judge", help="figures on the subjects kept apart")
    judging.add_argument("data", type=Path)
    judging.add_argument("folder", type=Path, nargs="?")
    drawing = commands.add_parser("curves", help="the log as a table")
    drawing.add_argument("state", type=Path)
    drawing.add_argument("--recipe", default="training", choices=sorted(RECIPES))
    drawing.add_argument("--rows", type=int, default=16)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.command == "curves":
        print("\n".join(curves(options.state / options.recipe / LOG_FILE, options.rows)))
    elif options.command == "export":
        export(options.state, options.folder, options.recipe)
    elif options.command == "merge":
        merge(options.merged, options.folders)
    else:
        judge(options.data, options.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
