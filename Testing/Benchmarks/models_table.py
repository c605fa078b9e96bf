"""The table of docs/models.md: every entry of the model list, built with seeded weights of its exact shapes.

    python Testing/Benchmarks/models_table.py --parity figures.jsonl > table.md

Each checkpoint is written as its authors write it, told by its tensors and loaded, and for SAM 2 and EdgeTAM once more
in transformers' layout. Seconds are CPU seconds of one thread for one slice at the entry's size: encoded, and followed
from its neighbour. `--parity` takes what `parity.py` has written. Quality cannot be measured so: weights are random.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

sys.path[:0] = [str(Path(__file__).parents[2] / "MedSAM2Slicer"), str(Path(__file__).parents[1])]

from medsam2_engine.backends.edgetam import load_edgetam  # noqa: E402
from medsam2_engine.backends.edgetam_names import to_official as edgetam_to_official  # noqa: E402
from medsam2_engine.backends.load import framing_of, load_backend  # noqa: E402
from medsam2_engine.backends.sam1 import MED2D, Sam1Backend, load_sam1  # noqa: E402
from medsam2_engine.backends.sam2 import Sam2Backend  # noqa: E402
from medsam2_engine.backends.sam3 import build_sam3  # noqa: E402
from medsam2_engine.backends.transformers_video import VideoBackend  # noqa: E402
from medsam2_engine.device import Device  # noqa: E402
from medsam2_engine.model.architectures import PUBLISHED  # noqa: E402
from medsam2_engine.model.checkpoint import load_model  # noqa: E402
from medsam2_engine.model.frame import FramePrompt  # noqa: E402
from medsam2_engine.model.keys import to_transformers  # noqa: E402
from medsam2_engine.model.sam2 import Sam2  # noqa: E402
from medsam2_engine.models import ModelEntry, all_models  # noqa: E402
from sam_med2d_network import published_shapes as med2d_shapes  # noqa: E402
from segment_anything_oracle import segment_anything, weights_of  # noqa: E402
from video_oracles import seeded_edgetam  # noqa: E402

CPU = Device("cpu", "CPU")
BOTH = "original and transformers"
EDGETAM_PARAMETERS = 13_895_794  # before its branches are folded
TITLES = ("id", "architecture", "frame", "parameters", "file", "load test", "parity", "s per slice")
HEAD = f"| {' | '.join(TITLES)} |\n{'|---' * len(TITLES)}|"


@dataclass(frozen=True)
class Measured:
    """What is the same for all entries of one architecture and size."""

    parameters: int
    loads: str
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parity", type=Path, help="figures of test_parity.py, one JSON object a line")
    parser.add_argument("--only", default="", help="entries whose id holds this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    parity = _parity(options.parity)
    done: dict[Any, Measured] = {}
    print(HEAD, flush=True)
    for entry in all_models():
        if options.only not in entry.id:
            continue
        key = (entry.backend, entry.architecture.replace("sam2.1", "sam2"), entry.input_policy.size)
        if key not in done:
            done[key] = _measure(entry)
        print(_row(entry, done[key], parity), flush=True)


def _measure(entry: ModelEntry) -> Measured:
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        backend, loads, parameters = _loaded(entry, Path(folder))
        seconds = _seconds_per_slice(backend, entry.input_policy.size)
    gc.collect()
    return Measured(parameters, loads, seconds)


def _loaded(entry: ModelEntry, folder: Path) -> tuple[Any, str, int]:
    framing = framing_of(entry.input_policy)
    torch.manual_seed(0)
    path = folder / "weights.pt"
    if entry.backend == "sam1":
        model = _loaded_sam1(entry.architecture, path)
        return Sam1Backend(entry.id, model, framing, CPU), "original", _count(model)
    if entry.backend == "edgetam":
        model = _loaded_edgetam(entry.input_policy.size, path)
        return VideoBackend(entry.id, model, framing, CPU), BOTH, EDGETAM_PARAMETERS
    if entry.backend == "sam3":
        model = build_sam3(_random(_meta_sam3().state_dict()), _meta_sam3().config.to_dict(), path)
        return VideoBackend(entry.id, model, framing, CPU), "names and shapes of transformers", _count(model)
    if not entry.architecture:
        return load_backend(entry.id, "cpu"), "transformers", 3_938_978
    config = replace(PUBLISHED[entry.architecture], image_size=entry.input_policy.size)
    state = Sam2(config).state_dict()
    torch.save({"model": state}, path)
    assert load_model(path, image_size=config.image_size).config == config
    renamed = {name: tensor.clone() for name, tensor in to_transformers(state).items()}
    save_file(renamed, folder / "weights.safetensors")
    model = load_model(folder / "weights.safetensors", image_size=config.image_size)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    return Sam2Backend(entry.id, model, framing, CPU), BOTH, _count(model)


def _loaded_sam1(architecture: str, path: Path) -> Any:
    """From an original file, whose names and shapes the package segment-anything knows."""
    if architecture == MED2D:
        shapes = med2d_shapes()
    else:
        with segment_anything() as package, torch.device("meta"):
            shapes = weights_of(package.sam_model_registry[architecture.removeprefix("sam_")]())
    torch.save(_random(shapes), path)
    return load_sam1(path, "")


def _loaded_edgetam(size: int, path: Path) -> Any:
    state = seeded_edgetam(size).state_dict()
    own = {name: tensor.clone() for name, tensor in state.items()}
    save_file(own, path.with_suffix(".safetensors"))
    load_edgetam(path.with_suffix(".safetensors"), size)
    torch.save({"model": edgetam_to_official(state)}, path)
    return load_edgetam(path, size)


def _meta_sam3() -> Any:
    import transformers

    with torch.device("meta"):
        return transformers.Sam3TrackerVideoModel(transformers.Sam3TrackerVideoConfig())


def _random(shapes: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: 0.02 * torch.randn(shape.shape, device="cpu") for name, shape in shapes.items()}


def _seconds_per_slice(backend: Any, size: int) -> float:
    pixels = torch.randn(1, 3, size, size)
    features = backend.encode(pixels)
    box = FramePrompt(torch.tensor([[0.3, 0.3], [0.6, 0.6]]) * size, torch.tensor([2, 3]))
    tracker = backend.tracker(40, False)
    tracker.condition(0, features, backend.prompt(features, box))
    start = time.process_time()
    tracker.track(1, backend.encode(pixels))
    return time.process_time() - start


def _count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _parity(path: Path | None) -> dict[tuple[str, int], dict[str, Any]]:
    if path is None:
        return {}
    figures = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(one["architecture"], one["size"]): one for one in figures}


def _row(entry: ModelEntry, measured: Measured, parity: dict[tuple[str, int], dict[str, Any]]) -> str:
    sizes = (entry.input_policy.size, 256)
    figures = next((found for size in sizes if (found := parity.get((entry.architecture, size)))), None)
    if figures:
        said = f"{figures['logits']:.0e} at {figures['size']} px, {100 * figures['alike']:.4f} % alike"
    else:
        said = "see below"
    size = f"{entry.size / 1e6:.0f} MB" if entry.size else f"about {4 * measured.parameters / 1e6:.0f} MB"
    frame = f"{entry.input_policy.size}, {entry.input_policy.kind.replace('_', ' ')}"
    cells = (
        f"`{entry.id}`", entry.architecture or "own", frame, f"{measured.parameters / 1e6:.1f} M", size,
        measured.loads, said, f"{measured.seconds:.2f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
