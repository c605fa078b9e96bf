"""Parity at the published sizes, which takes too long for CI: figures for docs/models.md, one JSON object a line.

    python Testing/Benchmarks/parity.py sam1 edgetam sam2 --out figures.jsonl
    python Testing/Benchmarks/parity.py sam1 --only sam_vit_b --out figures.jsonl
    python Testing/Benchmarks/parity.py edgetam --size 256 --out figures.jsonl

sam1: every ViT at 1024 pixels against segment-anything: features, box, point, two points, a correction, the next slice.
edgetam: 40 frames at 1024 pixels, or at `--size`, against transformers' session, with a second prompted frame, and in
reverse.
sam2: `test_parity.py` with MEDSAM2_PARITY=all: every size at 256 pixels, MedSAM2's at 512, 40 frames both ways.
Weights are seeded, since none can be assumed here. Seconds are CPU seconds of one thread to encode one slice.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY / "MedSAM2Slicer"), str(REPOSITORY / "Testing")]

from comparison import Comparison  # noqa: E402
from medsam2_engine.backends.edgetam import build_edgetam  # noqa: E402
from medsam2_engine.backends.sam1 import Sam1Backend, build_sam1, sam1_config  # noqa: E402
from medsam2_engine.backends.transformers_video import VideoBackend  # noqa: E402
from medsam2_engine.device import Device  # noqa: E402
from medsam2_engine.framing import WholeSliceFraming  # noqa: E402
from medsam2_engine.model.frame import FramePrompt  # noqa: E402
from segment_anything_oracle import perturb, segment_anything, their_answer, weights_of  # noqa: E402
from video_oracles import TheirSession, drifting_disc, seeded_edgetam  # noqa: E402

SIZE = 1024
FRAMES, CORRECTED = 40, 20
CPU = Device("cpu", "CPU")
VITS = ("sam_vit_b", "sam_vit_l", "sam_vit_h")
Figures = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="+", choices=("sam1", "edgetam", "sam2"))
    parser.add_argument("--only", default="", help="architectures whose name holds this")
    parser.add_argument("--size", type=int, default=SIZE, help="EdgeTAM's frame, a multiple of 256 pixels")
    parser.add_argument("--out", type=Path, required=True, help="figures are added to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for family in options.families:
        if family == "sam2":
            _run_sam2(options.only, options.out)
            continue
        for figures in _sam1(options.only) if family == "sam1" else [_edgetam(options.size)]:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(figures) + "\n")


def _run_sam2(only: str, out: Path) -> None:
    wanted = {"MEDSAM2_PARITY": "all", "MEDSAM2_PARITY_REPORT": str(out.absolute())}
    test = "Testing/Python/engine/model/test_parity.py"
    command = [sys.executable, "-m", "pytest", "-q", "--timeout", "36000", test, "-k", only]
    subprocess.run(command, cwd=REPOSITORY, env={**os.environ, **wanted}, check=True)


def _sam1(only: str) -> Iterator[Figures]:
    for name in VITS:
        if only in name:
            yield _one_vit(name)
            gc.collect()


@torch.inference_mode()
def _one_vit(name: str) -> Figures:
    with segment_anything() as package:
        original = perturb(package.sam_model_registry[name.removeprefix("sam_")]())
    model = build_sam1(weights_of(original), sam1_config(name), Path("seeded.pth"))
    ours = Sam1Backend(name, model, WholeSliceFraming(SIZE), CPU)
    pixels = drifting_disc(1, SIZE)
    start = time.process_time()
    features = ours.encode(pixels)
    seconds = time.process_time() - start
    difference = float((features.embedding - original.image_encoder(pixels)).abs().max())
    comparison = Comparison(SIZE)

    def theirs(prompt: FramePrompt, mask: Tensor | None, best_of_three: bool = False) -> Tensor:
        return their_answer(original, features.embedding, prompt, mask, best_of_three)

    for prompt in (_box(pixels), _clicks(1, pixels), _clicks(2, pixels)):
        alone = len(prompt.labels) == 1
        comparison.add(ours.prompt(features, prompt).logits, theirs(prompt, None, best_of_three=alone))
    first = ours.prompt(features, _clicks(1, pixels)).logits
    dense = first[None, None].clamp(-32, 32)
    comparison.add(ours.prompt(features, _clicks(2, pixels), first).logits, theirs(_clicks(2, pixels), dense))
    comparison.add(*_next_slice(ours, features, theirs))
    return _figures(name, difference, seconds, comparison)


def _next_slice(ours: Sam1Backend, features: Any, theirs: Any) -> tuple[Tensor, Tensor]:
    """A mask of 16 x 16 logits, handed on as its box and itself."""
    drawn = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    drawn[400:464, 416:480] = True
    mask = ours.from_mask(features, drawn)
    tracker = ours.tracker(10, reverse=False)
    tracker.condition(3, features, mask)
    box = FramePrompt(torch.tensor([[416.0, 400.0], [479.0, 463.0]]), torch.tensor([2, 3]))
    return tracker.track(4, features).logits, theirs(box, mask.logits[None, None])


@torch.inference_mode()
def _edgetam(size: int) -> Figures:
    original = seeded_edgetam(size)
    model = build_edgetam(original.state_dict(), size, Path("seeded.pt"))
    ours = VideoBackend("edgetam", model, WholeSliceFraming(size), CPU)
    frames = drifting_disc(FRAMES, size)
    start = time.process_time()
    features = [ours.encode(frame[None]) for frame in frames]
    seconds = (time.process_time() - start) / FRAMES
    their_maps = original.get_image_features(frames[:1], return_dict=True).fpn_hidden_states
    maps = (features[0].fine, features[0].middle, features[0].coarse)
    difference = max(
        float((ours_.flatten(2).permute(2, 0, 1) - theirs).abs().max())
        for ours_, theirs in zip(maps, their_maps, strict=True)
    )
    comparison = Comparison(size)
    _forward(original, ours, frames, features, comparison)
    _in_reverse(original, ours, frames, features, comparison)
    return _figures("edgetam", difference, seconds, comparison)


def _forward(original: Any, ours: VideoBackend, frames: Tensor, features: Any, comparison: Comparison) -> None:
    """The first object: a box, and two clicks on a later frame."""
    session, tracker = TheirSession(original, frames), ours.tracker(FRAMES, reverse=False)
    for first, prompt, end in ((0, _box(frames), CORRECTED), (CORRECTED, _clicks(2, frames), FRAMES)):
        answer = ours.prompt(features[first], prompt)
        comparison.add(answer.logits, session.prompt(first, prompt))
        tracker.condition(first, features[first], answer)
        for frame in range(first + 1, end):
            theirs = session.follow(range(frame, frame + 1))[frame]
            comparison.add(tracker.track(frame, features[frame]).gated_logits, theirs)


def _in_reverse(original: Any, ours: VideoBackend, frames: Tensor, features: Any, comparison: Comparison) -> None:
    """The second object: a click on the last frame, followed to the first."""
    last = FRAMES - 1
    session, tracker = TheirSession(original, frames), ours.tracker(FRAMES, reverse=True)
    click = _clicks(1, frames)
    session.prompt(last, click)
    tracker.condition(last, features[last], ours.prompt(features[last], click))
    for frame in range(last - 1, -1, -1):
        theirs = session.follow(range(frame, frame - 1, -1))[frame]
        comparison.add(tracker.track(frame, features[frame]).gated_logits, theirs)


def _box(frames: Tensor) -> FramePrompt:
    return FramePrompt(torch.tensor([[0.3, 0.35], [0.6, 0.64]]) * frames.shape[-1], torch.tensor([2, 3]))


def _clicks(count: int, frames: Tensor) -> FramePrompt:
    places = torch.tensor([[0.45, 0.5], [0.8, 0.55]]) * frames.shape[-1]
    return FramePrompt(places[:count], torch.tensor([1, 0])[:count])


def _figures(name: str, features: float, seconds: float, comparison: Comparison) -> Figures:
    return {
        "architecture": name,
        "size": comparison.size,
        "features": features,
        "logits": comparison.difference,
        "alike": comparison.alike,
        "encoding_seconds": round(seconds, 2),
    }


if __name__ == "__main__":
    main()
