"""What zoom gains on small structures, and what it costs.

    .venv/bin/python Testing/Benchmarks/zoom.py gain FOLDER [--every N] [-o TABLE.md]
    .venv/bin/python Testing/Benchmarks/zoom.py cost [--slices 12] [--size 512] [-o TABLE.md]

gain: FOLDER, its cases and their one box are those of `dice.py`, with auto-stop; of these the ones that `--zoom auto`
looks at closely. The model is the embedded checkpoint shown whole slices of 128 pixels in
three equal channels, which it was not trained for: with and without zoom, so that both suffer from it alike, and beside
them its own crop and channels, as they are used.

cost: seeded weights of Hiera-T. Their masks mean nothing, so everything is computed with them, and then the bright
voxels are taken for the object: a small lesion that stays, and one that crosses half of the slice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))

from dice import Case, cases_in, dice
from measuring import timed

from medsam2_engine.backends.load import load_sam2
from medsam2_engine.backends.sam2 import Sam2Backend, Sam2Tracker
from medsam2_engine.device import Device
from medsam2_engine.frames import SliceStack
from medsam2_engine.framing import Framing, ObjectFraming, WholeSliceFraming
from medsam2_engine.model.architectures import PUBLISHED
from medsam2_engine.model.bank import SAM2, MemoryPolicy
from medsam2_engine.model.frame import FrameMask, FramePrompt
from medsam2_engine.models import find_model
from medsam2_engine.session import Session
from medsam2_engine.volume import Volume
from medsam2_engine.zoom import LARGEST_PART, region_around
from medsam2_protocol.messages import ZOOM_OFF, ZOOM_ON, Window
from medsam2_protocol.prompts import BoxPrompt, SegmentPrompts, axis_kji
from seeded_networks import seeded_model

FRAME, WIDTH = 512, 512  # of the networks with seeded weights
SIZE = 128  # of the embedded model's
LESION = 40
RUNS: dict[str, tuple[Framing, str]] = {
    "whole slices": (WholeSliceFraming(SIZE), ZOOM_OFF),
    "zoom": (WholeSliceFraming(SIZE), ZOOM_ON),
    "own crop": (ObjectFraming(SIZE), ZOOM_OFF),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="zoom.py", description="What zoom gains, and what it costs.")
    commands = parser.add_subparsers(required=True)
    gained = commands.add_parser("gain")
    gained.add_argument("folder", type=Path)
    gained.add_argument("--every", type=int, default=1)
    gained.set_defaults(run=lambda options: list(gain(options.folder, options.every)))
    costs = commands.add_parser("cost")
    costs.add_argument("--slices", type=int, default=12)
    costs.add_argument("--size", type=int, default=FRAME)
    costs.set_defaults(run=lambda options: list(cost(options.slices, options.size)))
    for command in (gained, costs):
        command.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = "\n".join(options.run(options))
    print(table)
    if options.output:
        options.output.write_text(table + "\n", encoding="utf-8")
    return 0


def gain(folder: Path, every: int) -> Iterator[str]:
    """A Markdown table: Dice on the prompted slice and in 3D, and encodings a slice."""
    entry = find_model("embedded")
    model = load_sam2(entry, entry)
    scores: dict[str, list[tuple[float, float, float]]] = {name: [] for name in RUNS}
    chosen = [case for case in cases_in(folder) if is_small(case)][::every]
    for case in chosen:
        for name, (framing, zoom) in RUNS.items():
            backend = Sam2Backend("embedded", model, framing, Device("cpu", "CPU"), "exact")
            scores[name].append(scored(case, Session(case.volume, backend), zoom))
        print(case.image.parent.name, case.name, [f"{rows[-1][1]:.3f}" for rows in scores.values()], flush=True)
    yield f"{len(chosen)} structures"
    yield "| | 2D mean | 2D median | 3D mean | 3D median | encodings per slice |"
    yield "|---|---|---|---|---|---|"
    for name, rows in scores.items():
        flat, deep, encoded = zip(*rows, strict=True)
        numbers = f"{mean(flat):.3f} | {median(flat):.3f} | {mean(deep):.3f} | {median(deep):.3f}"
        yield f"| {name} | {numbers} | {mean(encoded):.2f} |"


def is_small(case: Case) -> bool:
    """Whether `auto` zooms."""
    slices = SliceStack(case.volume, case.axis)
    region = region_around(slices, (*case.box.min, *case.box.max), SIZE)
    return all(part <= LARGEST_PART * whole for part, whole in zip(region.shape, slices.shape, strict=True))


def scored(case: Case, session: Session, zoom: str) -> tuple[float, float, float]:
    mask = np.zeros(case.volume.shape_kji, bool)
    given = set()
    for found in session.propagate([case.prompts], case.axis, zoom=zoom):
        np.moveaxis(mask, axis_kji(case.axis), 0)[found.slice] = found.mask
        given.add(found.slice)
    flat = (np.take(one, case.box.slice, axis_kji(case.axis)) for one in (mask, case.truth_kji))
    return dice(*flat), dice(mask, case.truth_kji), session.encoded / len(given)


def cost(slices: int, size: int) -> Iterator[str]:
    """A Markdown table: encodings and CPU seconds a slice."""
    config = replace(PUBLISHED["sam2.1_hiera_tiny"], image_size=size)
    backend = Sam2Backend("seeded", seeded_model(config), WholeSliceFraming(size), Device("cpu", "CPU"), "exact")
    yield f"Hiera-T at {size} pixels, {slices} slices of {WIDTH} x {WIDTH} voxels, a lesion of {LESION} voxels"
    yield "| | encodings | CPU s per slice | with its features cached |"
    yield "|---|---|---|---|"
    for name, step in (("stays", 0), ("crosses half the slice", WIDTH // 2 // slices)):
        for zoom in (ZOOM_OFF, ZOOM_ON):
            yield _cost_row(f"{name}, zoom {zoom}", backend, slices, step, zoom)


def _cost_row(title: str, backend: Sam2Backend, slices: int, step: int, zoom: str) -> str:
    corners = [128 + step * index for index in range(slices)]
    voxels = np.zeros((slices, WIDTH, WIDTH), np.float32)
    for index, corner in enumerate(corners):
        voxels[index, 200 : 200 + LESION, corner : corner + LESION] = 200.0
    session = Session(Volume(voxels, np.eye(4), "MR"), Guided(backend), feature_budget_bytes=1 << 32)
    asked = SegmentPrompts("s", (BoxPrompt("K", 0, (corners[0], 200), (corners[0] + LESION - 1, 199 + LESION)),))

    def run() -> None:
        found = list(session.propagate([asked], "K", (0, slices - 1), Window(0.0, 255.0), zoom=zoom))
        assert min(dice(one.mask, voxels[one.slice] > 0) for one in found) > 0.7

    first, encoded = timed(run)[0], session.encoded
    again = timed(run)[0]
    return f"| {title} | {encoded} | {first / slices:.2f} | {again / slices:.2f} |"


@dataclass(frozen=True)
class Seen:
    """The model's features, and what it is made to answer."""

    features: Any
    logits: Tensor

    @property
    def nbytes(self) -> int:
        return int(self.features.nbytes)

    def instead_of(self, answer: FrameMask) -> FrameMask:
        return replace(answer, logits=self.logits, object_score=5.0, predicted_iou=0.9)


class Guided:
    """A backend that computes what its model does, and answers with what is bright."""

    def __init__(self, inner: Sam2Backend) -> None:
        self._inner = inner
        self.model_id, self.device_name, self.framing = inner.model_id, inner.device_name, inner.framing

    def encode(self, pixels: Tensor) -> Seen:
        return Seen(self._inner.encode(pixels), F.avg_pool2d(pixels[:, :1], 4)[0, 0])

    def prompt(self, seen: Seen, prompt: FramePrompt, previous_logits: Tensor | None = None) -> FrameMask:
        return seen.instead_of(self._inner.prompt(seen.features, prompt, previous_logits))

    def from_mask(self, seen: Seen, mask: Tensor) -> FrameMask:
        return self._inner.from_mask(seen.features, mask)

    def tracker(self, frame_count: int, reverse: bool, policy: MemoryPolicy = SAM2) -> GuidedTracker:
        return GuidedTracker(self._inner.tracker(frame_count, reverse, policy))


class GuidedTracker:
    def __init__(self, inner: Sam2Tracker) -> None:
        self._inner = inner

    def condition(self, frame: int, seen: Seen, mask: FrameMask) -> None:
        self._inner.condition(frame, seen.features, mask)

    def track(self, frame: int, seen: Seen) -> FrameMask:
        return seen.instead_of(self._inner.track(frame, seen.features))


if __name__ == "__main__":
    sys.exit(main())
