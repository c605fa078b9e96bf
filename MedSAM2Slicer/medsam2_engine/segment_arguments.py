"""The arguments of `medsam2 segment`, and prompts given by hand as the prompt file they stand for."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medsam2_protocol.messages import ZOOM_OFF, ZOOMS, Window
from medsam2_protocol.prompts import AXES

MODALITIES = {"CT": "CT", "MR": "MR", "PET": "PT"}  # as people say it, and as DICOM does
DEVICES = ("auto", "cpu", "cuda", "mps")
DEFAULT_NAME = "Segment"
PROGRESSIVE_HELP = "every fourth slice first, with outlines between them; the result is the same"
ZOOM_HELP = "show a model of whole slices the object closely: if it is small (auto), or always (default: off)"
EXAMPLES = """\
examples:
  medsam2 segment ct.nii.gz --prompts prompts.json -o tumour.seg.nrrd
  medsam2 segment ct.nii.gz --slice 42 --box 210,180,262,240 -o tumour.nii.gz --picture tumour.png
  medsam2 segment mr.nrrd --axis I --point 40,120,31 --point 40,90,31,neg --range 30,52 -o node.seg.nrrd

Indices start at 0. A box is given by the two indices that vary within its slice, in the order I, J, K. Prompt files
are described in docs/prompts.md, exit codes in docs/command-line.md.
"""
_BY_HAND = ("box", "point", "mask", "slice", "axis", "range", "name")
_MAY_START_NEGATIVE = ("--window", "--box", "--point", "--range", "--slice")


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Arguments that go together; everything else ends the program with a usage message and code 2.

    Without a prompt file, `by_hand` is the document that one would have held.
    """
    parser = _parser()
    arguments = parser.parse_args(_with_negative_numbers(argv))
    fault = _fault_of(arguments)
    if fault:
        parser.error(fault)
    arguments.by_hand = None if arguments.prompts else _document(arguments)
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="medsam2 segment",
        description="Segment a volume: every segment from its boxes, points or masks on some slices to all slices.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("volume", type=Path, metavar="VOLUME", help="NIfTI, NRRD, MHA/MHD, or a DICOM folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help=".seg.nrrd, .nii.gz, .nii, .nrrd or .mha")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the result (.png, .pdf, .svg)")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the figures of the result as JSON")
    parser.add_argument("--model", default="embedded", metavar="ID", help="see `medsam2 models` (default: embedded)")
    parser.add_argument("--like", choices=("medsam2",), help="step by step as that project's own script, to compare")
    parser.add_argument("--zoom", default=ZOOM_OFF, choices=ZOOMS, help=ZOOM_HELP)
    parser.add_argument("--progressive", action="store_true", help=PROGRESSIVE_HELP)
    parser.add_argument("--device", default="auto", choices=DEVICES, help="default: the best that works here")
    parser.add_argument("--window", type=_window, metavar="LOWER,UPPER", help="intensities shown as black and white")
    parser.add_argument("--modality", choices=MODALITIES, help="if the file does not say it")
    parser.add_argument("--quiet", action="store_true", help="no progress and no summary; warnings and errors stay")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    prompts = parser.add_argument_group("prompts", "a prompt file, or one segment by hand")
    prompts.add_argument("--prompts", type=Path, metavar="FILE", help="prompt file (JSON)")
    prompts.add_argument("--axis", choices=AXES, help="slice axis (default: K)")
    prompts.add_argument("--slice", type=int, metavar="N", help="slice of the box and of the mask")
    prompts.add_argument("--box", type=_numbers(4), metavar="A0,B0,A1,B1", help="first and last voxel of the object")
    prompts.add_argument("--point", type=_point, action="append", metavar="I,J,K[,neg]", help="repeatable")
    prompts.add_argument("--mask", metavar="FILE", help="image with the object's mask on the slice")
    prompts.add_argument("--range", type=_range, metavar="FIRST,LAST", help="slices known to hold the object")
    prompts.add_argument("--name", help=f"name of the segment (default: {DEFAULT_NAME})")
    return parser


def _fault_of(arguments: argparse.Namespace) -> str:
    """Which arguments do not go together, in words, or ""."""
    if arguments.like and arguments.zoom != ZOOM_OFF:
        return "--zoom is not used with --like: that project's script shows whole slices"
    if arguments.like and arguments.progressive:
        return "--progressive is not used with --like: that project's script goes from slice to slice"
    given = [name for name in _BY_HAND if getattr(arguments, name) is not None]
    if arguments.prompts:
        return f"--{given[0]} is not used with --prompts: write it into the prompt file" if given else ""
    if not (arguments.box or arguments.point or arguments.mask):
        return "nothing says what to segment: give --prompts, --box, --point or --mask"
    if (arguments.box or arguments.mask) and arguments.slice is None:
        return "--box and --mask need the --slice that they lie on"
    if arguments.slice is not None and not (arguments.box or arguments.mask):
        return "--slice belongs to --box or --mask; a point names its slice itself"
    return ""


def _document(arguments: argparse.Namespace) -> dict[str, Any]:
    place = {"axis": arguments.axis or "K", "slice": arguments.slice}
    prompts: list[dict[str, Any]] = []
    if arguments.mask:
        prompts.append({"type": "mask", **place, "file": arguments.mask})
    if arguments.box:
        prompts.append({"type": "box", **place, "min": arguments.box[:2], "max": arguments.box[2:]})
    for ijk, positive in arguments.point or []:
        prompts.append({"type": "point", "ijk": ijk, "positive": positive})
    segment = {"name": arguments.name or DEFAULT_NAME, "axis": place["axis"], "prompts": prompts}
    return {"segments": [{**segment, "range": arguments.range}]}


def _with_negative_numbers(argv: Sequence[str]) -> list[str]:
    """`--window -160,240` as `--window=-160,240`: argparse takes "-160,240" for an option otherwise."""
    joined: list[str] = []
    for argument in argv:
        if joined and joined[-1] in _MAY_START_NEGATIVE and re.match(r"-[\d.]", argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _numbers(count: int) -> Any:
    def numbers(text: str) -> list[float]:
        return _floats(text.split(","), count, text)

    return numbers


def _point(text: str) -> tuple[list[float], bool]:
    parts = text.split(",")
    positive = True
    if len(parts) == 4:
        sign = parts.pop().strip()
        if sign not in ("neg", "pos"):
            raise argparse.ArgumentTypeError(f"the fourth part of a point is neg or pos, not {sign!r}")
        positive = sign == "pos"
    return _floats(parts, 3, text), positive


def _range(text: str) -> list[int]:
    values = _floats(text.split(","), 2, text)
    if any(value != int(value) for value in values):
        raise argparse.ArgumentTypeError(f"two whole numbers were expected, not {text!r}")
    return [int(value) for value in values]


def _window(text: str) -> Window:
    lower, upper = _floats(text.split(","), 2, text)
    try:
        return Window(lower, upper)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _floats(parts: Sequence[str], count: int, text: str) -> list[float]:
    try:
        values = [float(part) for part in parts]
    except ValueError:
        values = []
    if len(values) != count or not all(abs(value) < float("inf") for value in values):
        raise argparse.ArgumentTypeError(f"{count} numbers with commas between them were expected, not {text!r}")
    return values
