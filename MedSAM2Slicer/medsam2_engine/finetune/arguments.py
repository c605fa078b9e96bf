"""The arguments of `medsam2 finetune`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from medsam2_engine.finetune.settings import ALL, HEAD, LORA
from medsam2_engine.segment_arguments import DEVICES

AUTO = "auto"

EPILOG = """\
examples:
  medsam2 finetune my-cases -o training --id my-livers
  medsam2 finetune my-cases -o training --id my-livers --train all --steps 600 --axis K
  accelerate launch -m medsam2_engine finetune my-cases -o training --id my-livers --model medsam2-latest

The same command again goes on where a training was interrupted. docs/finetuning.md describes folders, loss and report.
"""


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Arguments; a mistake ends the program with a usage message and code 2."""
    parser = argparse.ArgumentParser(
        prog="medsam2 finetune",
        description="Train a model further on your own segmented volumes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="volumes with their segmentations")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="state, report and result")
    parser.add_argument("--id", required=True, help="the new model's name in the model list: small letters, digits, -")
    parser.add_argument("--title", default="", help="shown in lists (default: the id)")
    parser.add_argument("--model", default="embedded", metavar="ID", help="what to begin with (default: embedded)")
    parser.add_argument("--train", default=HEAD, choices=(HEAD, LORA, ALL, AUTO), help="what learns (default: head)")
    parser.add_argument("--rank", type=_count, default=0, help="of LoRA (default: as much as stays under 3 %%)")
    parser.add_argument("--steps", type=_count, default=300, help="optimiser steps (default: 300)")
    parser.add_argument("--minutes", type=float, help="end after this time, whatever was reached")
    parser.add_argument("--frames", type=_count, default=12, help="slices at a time (default: 12)")
    parser.add_argument("--accumulate", type=_count, default=1, help="times as many slices per step, no more memory")
    parser.add_argument("--rate", type=float, default=3e-4, help="learning rate (default: 3e-4)")
    parser.add_argument("--axis", default="", choices=("I", "J", "K"), help="slices along this axis only")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these cases of FOLDER, by file or folder name")
    parser.add_argument("--validation", type=Path, metavar="FOLDER", help="cases kept apart (default: a fifth)")
    parser.add_argument(
        "--painted", type=float, default=0.1, help="share of clips with synthetic images (default: 0.1)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument(
        "--background", action="store_true", help="for programs: low priority, and stop when standard input ends"
    )
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object a line")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser.parse_args(argv)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value
