"""How fast the engine is on this machine, and how far from what the machine can do.

    python3 dev.py bench [--repeats 3] [--threads 1] [--slices 24] [--size 512] [--part all]

Four parts, each as a table in Markdown and as JSON in `bench-output/`:

* `whole-slice`: SAM 2.1 Hiera-T with seeded random weights, one box in the middle, both directions; beside it
  transformers with the same weights, if it is installed. Jobs take turns; medians of the repeats.
* `embedded`: the model that ships: a click, a lesion, a thousand slices.
* `worker`: from the start of the process to its first mask.
* `gpu`: the whole-slice models that people run on a GPU, if there is one.

CPU seconds are those of the process: on a busy machine they say more than the clock. The limit of the machine is the
best matrix product it does; a job's share of it is its operations over its seconds over that.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "bench-output"
sys.path[:0] = [str(ROOT / "MedSAM2Slicer"), str(ROOT / "Testing"), str(Path(__file__).parent)]

import torch  # noqa: E402
from embedded_job import click_ms, lesion_s, thousand_slices  # noqa: E402
from gpu_job import PRECISIONS, configurations, gpu_page  # noqa: E402
from measuring import flops, interleaved, machine, matmul_peak, peak_memory_mb  # noqa: E402
from whole_slice_job import Job  # noqa: E402
from worker_job import start_to_first_mask  # noqa: E402

from medsam2_engine.model.config import Sam2Config  # noqa: E402
from medsam2_engine.precision import has_bfloat16, use_fastest_exact_products  # noqa: E402
from phantoms import dice  # noqa: E402


@dataclass
class Report:
    """What was measured, line by line."""

    threads: int
    machine: dict[str, str] = field(default_factory=machine)
    values: dict[str, float] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def say(self, line: str = "") -> None:
        self.lines.append(line)
        print(line, flush=True)

    def measured(self, name: str, value: float, unit: str) -> None:
        self.values[name] = value
        self.say(f"| {name} | {value:.4g} {unit} |")


def main() -> int:
    options = parser().parse_args()
    for threads in options.threads:
        torch.set_num_threads(threads)
        report = Report(threads)
        report.say(f"\n## {threads} thread{'s' if threads > 1 else ''}\n")
        for name, part in PARTS.items():
            if options.part in ("all", name):
                part(report, options)
        save(report)
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="dev.py bench", description="How fast the engine is on this machine.")
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--threads", type=int, nargs="+", default=sorted({1, os.cpu_count() or 1}))
    made.add_argument("--slices", type=int, default=24)
    made.add_argument("--size", type=int, default=512, help="pixels of the whole-slice model's frame")
    made.add_argument("--part", choices=("all", *PARTS), default="all")
    return made


def with_threads(threads: int, job: Callable[[], object]) -> Callable[[], object]:
    """The engine changes the number while it works, and the next job would begin with what it left."""

    def run() -> object:
        torch.set_num_threads(threads)
        return job()

    return run


def whole_slice(report: Report, options: argparse.Namespace) -> None:
    """Hiera-T at `--size`, against transformers."""
    job = Job(Sam2Config.hiera_tiny(options.size), options.slices)
    exact = job.backend()
    peak = matmul_peak()
    asked_before = job.session(exact)
    masks = {"first prompt": job.run(asked_before)}
    operations = {
        "first prompt": flops(lambda: job.run(job.session(exact))),
        "second prompt": flops(lambda: job.run(asked_before)),
    }
    jobs: dict[str, Callable[[], object]] = {
        "first prompt": lambda: job.run(job.session(exact)),
        "second prompt": lambda: job.run(asked_before),
        "four segments": lambda: job.run(job.session(exact), segments=4),
    }
    if has_bfloat16("cpu"):
        fast = job.backend("fast")
        fast_before = job.session(fast)
        masks["bfloat16"] = job.run(fast_before)
        jobs["bfloat16"] = lambda: job.run(job.session(fast))
        jobs["bfloat16, second prompt"] = lambda: job.run(fast_before)
    if importlib.util.find_spec("transformers") is not None:
        theirs = job.transformers()
        masks["transformers"] = theirs.run()
        jobs["transformers"] = theirs.run
    times = interleaved({name: with_threads(report.threads, job) for name, job in jobs.items()}, options.repeats)
    report.say(f"SAM 2.1 Hiera-T at {options.size} pixels, {job.slices} slices, one box, both directions.\n")
    report.say("| | CPU s per slice | wall s per slice | against transformers | share of limit | Dice with exact |")
    report.say("|---|---|---|---|---|---|")
    reference = times.get("transformers", (0.0, 0.0))[0]
    for name, (cpu, wall) in times.items():
        share = f"{operations[name] / cpu / peak:.0%}" if name in operations else ""
        alike = f"{dice(masks['first prompt'], masks[name]):.5f}" if name in masks else ""
        ratio = f"{reference / cpu:.2f} x" if reference else ""
        report.say(f"| {name} | {cpu / job.slices:.3f} | {wall / job.slices:.3f} | {ratio} | {share} | {alike} |")
        report.values[f"{name}, CPU s per slice"] = cpu / job.slices
        report.values[f"{name}, wall s per slice"] = wall / job.slices
    report.say("\n| | |\n|---|---|")
    report.measured("matrix products, float32", peak, "GFLOP per CPU s")
    if has_bfloat16("cpu"):
        report.measured("matrix products, bfloat16", matmul_peak(torch.bfloat16), "GFLOP per CPU s")
    report.measured("operations per slice, first prompt", operations["first prompt"] / job.slices, "GFLOP")
    report.measured("operations per slice, second prompt", operations["second prompt"] / job.slices, "GFLOP")
    report.measured("four segments over one", times["four segments"][0] / times["first prompt"][0], "")
    report.measured("peak memory", peak_memory_mb(), "MB")


def embedded(report: Report, options: argparse.Namespace) -> None:
    """The model that ships."""
    report.say("\nThe embedded model.\n\n| | |\n|---|---|")
    for name, value in click_ms(options.repeats * 5).items():
        report.measured(name, value, "ms")
    cpu, wall, slices = lesion_s(options.repeats)
    report.measured(f"lesion of {slices} slices, wall", wall, "s")
    report.measured("lesion, CPU per slice", 1e3 * cpu / slices, "ms")
    for name, value in thousand_slices().items():
        report.measured(name, value, "MB" if "memory" in name else "ms")


def worker(report: Report, options: argparse.Namespace) -> None:
    """The process that Slicer starts."""
    report.say("\nThe worker, from its start.\n\n| | |\n|---|---|")
    for name, value in start_to_first_mask(options.repeats).items():
        report.measured(name, value, "s")


def gpu(report: Report, options: argparse.Namespace) -> None:
    """The same job as `whole_slice`, on the GPU."""
    if not torch.cuda.is_available():
        report.say("\nNo GPU that torch can see.")
        return
    report.say(f"\nOn {torch.cuda.get_device_name()}, {options.slices} slices.\n\n| | |\n|---|---|")
    for model, config in configurations():
        for precision in PRECISIONS:
            for name, value in gpu_page(config, precision, options.slices, options.repeats).items():
                report.measured(f"{model}, {precision}: {name}", value, "")


PARTS = {"whole-slice": whole_slice, "embedded": embedded, "worker": worker, "gpu": gpu}


def save(report: Report) -> None:
    OUTPUT.mkdir(exist_ok=True)
    stem = OUTPUT / f"speed-{report.threads}"
    content = {"threads": report.threads, "machine": report.machine, "values": report.values}
    stem.with_suffix(".json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    about = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    use = "oneDNN" if use_fastest_exact_products() else "torch's own"
    lines = [*report.lines, "", f"Machine: {about}; products by {use}.", ""]
    stem.with_suffix(".md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
