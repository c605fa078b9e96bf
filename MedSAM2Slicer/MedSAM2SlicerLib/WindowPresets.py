"""Windows by numbers alone: presets of CT, percentiles, and whether a prompt lies in a lung.

Measured with `Testing/Benchmarks/windows.py`: which window serves which object. Arrays are read, never written.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import AXES, BoxPrompt, MaskPrompt, Prompt, axis_kji, slice_of_prompt

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
# Aerated lung. Air around the patient is darker, and fat, muscle and bone are brighter.
LUNG_HU = (-950.0, -500.0)
SHARE_AROUND, SHARE_INSIDE = 0.15, 0.03
POINT_REACH_VOXELS = 20


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


def isInLung(voxels_kji: np.ndarray, prompt: Prompt) -> bool:
    """Whether lung is a good part of what surrounds a prompt on its slice, and some of what is in it: the corners of a
    box around a nodule. A couch or a blanket beside the patient is as dark, but outside the box. The voxels are HU.
    """
    return (
        _lungShare(_around(voxels_kji, prompt, 0.5)) >= SHARE_AROUND
        and _lungShare(_around(voxels_kji, prompt, 0.0)) >= SHARE_INSIDE
    )


def _lungShare(voxels: np.ndarray) -> float:
    values = sampled(voxels)
    return float(((values > LUNG_HU[0]) & (values < LUNG_HU[1])).mean()) if values.size else 0.0


def _around(voxels_kji: np.ndarray, prompt: Prompt, growth: float) -> np.ndarray:
    """The voxels of the prompt's slice inside its box, grown by a part of its size on every side."""
    axis, low, high = _planeBounds(prompt)
    index = min(max(slice_of_prompt(prompt, axis), 0), voxels_kji.shape[axis_kji(axis)] - 1)
    plane = np.take(voxels_kji, index, axis=axis_kji(axis))  # (later, earlier) in-plane axis
    box = []
    for position in (1, 0):
        margin = growth * (high[position] - low[position])
        size = plane.shape[1 - position]
        first = min(max(int(low[position] - margin), 0), size - 1)
        box.append(slice(first, max(first + 1, int(high[position] + margin) + 1)))
    return plane[tuple(box)]


def _planeBounds(prompt: Prompt) -> tuple[str, tuple[float, float], tuple[float, float]]:
    """The slice axis of a prompt, and its bounds in the plane, the earlier of the two axes first."""
    if isinstance(prompt, BoxPrompt):
        return prompt.axis, prompt.min, prompt.max
    if isinstance(prompt, MaskPrompt):
        return prompt.axis, *_regionBounds(prompt)
    i, j = prompt.ijk[0], prompt.ijk[1]
    half = POINT_REACH_VOXELS / 2
    return "K", (i - half, j - half), (i + half, j + half)


def _regionBounds(prompt: MaskPrompt) -> tuple[tuple[float, float], tuple[float, float]]:
    start, stop = prompt.region.start_kji[::-1], prompt.region.stop_kji[::-1]
    across = [axis for axis, letter in enumerate(AXES) if letter != prompt.axis]
    return tuple(float(start[axis]) for axis in across), tuple(float(stop[axis] - 1) for axis in across)


def parsedRange(text: str) -> Optional[tuple[float, float]]:
    """Two rising, finite numbers written as "low:high", or None."""
    try:
        low, high = (float(part) for part in text.split(":"))
    except ValueError:
        return None
    return (low, high) if np.isfinite([low, high]).all() and low < high else None
