"""Clocks and counters of the benchmarks."""

from __future__ import annotations

import platform
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

PRODUCTS = ((1024, 1024, 1024), (2048, 768, 768), (4096, 384, 1536))


def interleaved(jobs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """Every job `repeats` times, taking turns so that a busy minute meets all: median CPU and wall seconds of each."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            times[name].append(timed(job))
    return {name: (median(cpu for cpu, _ in runs), median(wall for _, wall in runs)) for name, runs in times.items()}


def timed(job: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    job()
    return time.process_time() - cpu, time.perf_counter() - wall


def matmul_peak(dtype: torch.dtype = torch.float32) -> float:
    """The best this machine does in a matrix product with the present threads, in 1e9 operations per CPU second."""
    best = 0.0
    for rows, inner, columns in PRODUCTS:
        x, y = torch.randn(rows, inner, dtype=dtype), torch.randn(inner, columns, dtype=dtype)
        x @ y
        seconds = min(timed(lambda x=x, y=y: x @ y)[0] for _ in range(8))  # type: ignore[misc]
        best = max(best, 2e-9 * rows * inner * columns / seconds)
    return best


def flops(job: Callable[[], object]) -> float:
    """Operations of a job in 1e9. Attention is counted by its products, which the fused kernel on the CPU hides."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        job()
    return counter.get_total_flops() / 1e9


def peak_memory_mb() -> float:
    """The most this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident_mb() -> float:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def machine() -> dict[str, str]:
    """What the numbers belong to."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "processor": model,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
