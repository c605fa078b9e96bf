"""Windows by numbers alone: presets of CT, and percentiles.

Measured with `Testing/Benchmarks/windows.py`: which window serves which object. Arrays are read, never written.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from medsam2_protocol.messages import Window

# Level and width as radiologists dial them, in HU.
LEVEL_WIDTH = {
    "abdomen": (40.0, 400.0),
    "mediastinum": (50.0, 350.0),
    "lung": (-600.0, 1500.0),
    "brain": (40.0, 80.0),
    "bone": (400.0, 1800.0),
    "liver": (30.0, 150.0),
}
PERCENTILES = (0.5, 99.5)
SUV_RANGE = (0.0, 10.0)

SAMPLES = 20_000
GOLDEN = 0.6180339887498949


def preset(name: str) -> Window:
    level, width = LEVEL_WIDTH[name]
    return Window(level - width / 2, level + width / 2)


def sampled(voxels: np.ndarray, count: int = SAMPLES) -> np.ndarray:
    """At most `count` finite values of an array of any shape, float64, spread evenly and without a period.

    A fixed step would run along a column of the image; steps of the golden ratio never fall into its lattice.
    """
    flat = voxels.reshape(-1)
    if flat.size > count:
        flat = flat[(np.arange(count) * GOLDEN % 1.0 * flat.size).astype(np.int64)]
    values = flat.astype(np.float64)
    return values[np.isfinite(values)]


def percentileWindow(values: np.ndarray, percentiles: tuple[float, float] = PERCENTILES) -> Window:
    """Between two percentiles of the non-zero values: zero is what most scanners and converters pad with."""
    found = values[values != 0] if np.any(values) else values
    if found.size == 0:
        return Window(0.0, 1.0)
    lower, upper = (float(value) for value in np.percentile(found, percentiles))
    return widened(lower, upper)


def widened(lower: float, upper: float) -> Window:
    """A window even if both ends are the same, as in a constant volume."""
    return Window(lower, upper) if lower < upper else Window(lower, lower + max(1.0, 1e-6 * abs(lower)))


def parsedRange(text: str) -> Optional[tuple[float, float]]:
    """Two rising, finite numbers written as "low:high", or None."""
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        return None
    return (low, high) if np.isfinite([low, high]).all() and low < high else None
