"""What a user of the embedded model waits for."""

from __future__ import annotations

import time
from statistics import median

import numpy as np
from measuring import resident_mb, timed

from medsam2_engine.backends.load import load_backend
from medsam2_engine.session import Session
from medsam2_protocol.prompts import SegmentPrompts
from phantoms import Phantom, a_phantom


def a_lesion(slices: int, margin: int = 4) -> Phantom:
    """A lesion that fills all slices but `margin` at both ends."""
    half = slices / 2 - margin
    return a_phantom(
        shape_kji=(slices, 128, 128), center_kji=((slices - 1) / 2, 60.0, 66.0), radii_kji=(4 * half, 14.0, 18.0)
    )


def _segment(phantom: Phantom, index: int) -> SegmentPrompts:
    return SegmentPrompts("s", (phantom.box("K", index),))


def click_ms(repeats: int) -> dict[str, float]:
    """A box on a slice nobody has looked at yet, and the same again; then one point. Medians in milliseconds."""
    phantom, backend = a_lesion(20), load_backend("embedded", "cpu")
    point = SegmentPrompts("s", (phantom.point("K", 10),))
    Session(phantom.volume, backend).predict(_segment(phantom, 10), "K", 10)
    clicks = {"box on a cold slice": _segment(phantom, 10), "box on a warm slice": _segment(phantom, 10)}
    clicks["first point"] = point
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in clicks}
    for _ in range(repeats):
        session = Session(phantom.volume, backend)
        for name, segment in clicks.items():
            runs[name].append(timed(lambda session=session, segment=segment: session.predict(segment, "K", 10)))
    return {
        f"{name}, {clock}": 1e3 * median(run[number] for run in times)
        for name, times in runs.items()
        for number, clock in enumerate(("CPU", "wall"))
    }


def lesion_s(repeats: int, slices: int = 40) -> tuple[float, float, int]:
    """Median CPU and wall seconds of a lesion of so many slices."""
    phantom, backend = a_lesion(slices + 8), load_backend("embedded", "cpu")
    middle = (slices + 8) // 2

    def follow() -> None:
        found = list(Session(phantom.volume, backend).propagate([_segment(phantom, middle)], "K", (4, slices + 3)))
        assert len(found) == slices

    runs = [timed(follow) for _ in range(repeats)]
    return median(cpu for cpu, _ in runs), median(wall for _, wall in runs), slices


def thousand_slices(slices: int = 1000, budget_bytes: int = 1 << 24) -> dict[str, float]:
    """A propagation from the first slice to the last: CPU per slice at its beginning and end, and memory per slice."""
    phantom, backend = a_lesion(slices, margin=0), load_backend("embedded", "cpu")
    session = Session(phantom.volume, backend, feature_budget_bytes=budget_bytes)
    results = session.propagate([_segment(phantom, 0)], "K", (0, slices - 1))
    clock: list[float] = []
    memory: list[float] = []
    for _ in results:
        clock.append(time.process_time())
        memory.append(resident_mb())
    per_slice = 1e3 * np.diff(clock)
    hundreds = [float(np.median(per_slice[start : start + 100])) for start in range(0, slices - 100, 100)]
    slope = float(np.polyfit(np.arange(len(hundreds)), hundreds, 1)[0])
    return {
        "1000 slices: CPU per slice, first 100": hundreds[0],
        "1000 slices: CPU per slice, last 100": hundreds[-1],
        "1000 slices: slope per 100 slices": slope,
        "1000 slices: memory growth per slice": (memory[-1] - memory[slices // 4]) / (slices - slices // 4),
    }
