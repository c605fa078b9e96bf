"""The page of a GPU: milliseconds per slice from voxels to masks, for models and sizes that people choose there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median

import torch
from whole_slice_job import Job

from medsam2_engine.model.architectures import PUBLISHED
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.precision import Precision

MODELS = (("sam2.1_hiera_tiny", 512), ("sam2.1_hiera_tiny", 1024), ("sam2.1_hiera_large", 1024))
PRECISIONS: tuple[Precision, ...] = ("exact", "fast")
MANY = 8  # segments


def configurations() -> Iterator[tuple[str, Sam2Config]]:
    for name, size in MODELS:
        yield f"{name} at {size}", replace(PUBLISHED[name], image_size=size)


def gpu_page(config: Sam2Config, precision: Precision, slices: int, repeats: int) -> dict[str, float]:
    """Median wall milliseconds per slice of a first and a second prompt, and what many segments cost over one."""
    job = Job(config, slices)
    backend = job.backend(precision, "cuda")
    job.run(job.session(backend))  # the first run of a process chooses kernels
    asked_before = job.session(backend)
    first = _seconds(lambda: job.run(job.session(backend)), repeats)
    job.run(asked_before)
    second = _seconds(lambda: job.run(asked_before), repeats)
    many = _seconds(lambda: job.run(job.session(backend), segments=MANY), repeats)
    return {
        "first prompt, ms per slice": 1e3 * first / slices,
        "second prompt, ms per slice": 1e3 * second / slices,
        f"{MANY} segments over one": many / first,
    }


def _seconds(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return median(times)
