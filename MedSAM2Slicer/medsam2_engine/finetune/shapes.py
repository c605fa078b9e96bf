"""Clips of random 3D shapes: ellipsoids, blobs, lobes and tubes among distractors; some end, some come back.

Twins look exactly as the object and are none of it: a tube that passes by, or a thin one that leaves it and goes on
where it ends, as vessels do. They teach that what ends has ended, whatever is seen beside it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.fields import regions, smooth_noise
from medsam2_engine.finetune.painting import painted

SIDES = (72, 96, 128, 160)
VIEW = 1.5  # half the side of the region, where 1 is half the side of the crop that the object is meant for
KINDS = ("ellipsoid", "ellipsoid", "blob", "blob", "tube", "lobes")
VANISHING_SHARE, SECOND_SHARE, HOLE_SHARE = 0.1, 0.25, 0.12
NEIGHBOUR_SHARE = 0.55  # of the twins; the others are vessels
ENDING_SHARE = 0.7  # of the objects with a twin end for certain

Mask = npt.NDArray[np.bool_]


def shape_clip(rng: np.random.Generator, length: int, twin_share: float = 0.0) -> Clip | None:
    """None where the dice fell badly; throw again. twin_share: how often the object has a twin."""
    side = int(rng.choice(SIDES))
    space = Space(rng, length, side)
    target = space.object()
    if target is None:
        return None
    has_twin = rng.random() < twin_share
    if has_twin and target[-1].any() and rng.random() < ENDING_SHARE:
        return None
    labels = _surroundings(rng, space, (length, side, side))
    twins = space.twin(target) if has_twin else None
    image = painted(rng, labels, target, VIEW * 128 / side, twins)
    return Clip(image, target, (1.0, 1.0), kind="shape")


def _surroundings(rng: np.random.Generator, space: Space, shape: tuple[int, int, int]) -> npt.NDArray[np.int64]:
    labels = np.zeros(shape, np.int64)
    for number in range(int(rng.integers(0, 7))):
        distractor = space.shape(rng.uniform(-1.2, 1.2), rng.uniform(-1.2, 1.2), rng.uniform(0.1, 0.6))
        labels[distractor] = number + 1
    if rng.random() < 0.3:
        labels[(regions(rng, shape, 3) == 0) & (labels == 0)] = 8
    return labels


class Space:
    """Coordinates of a region in which shapes are drawn; z is 0 on the prompted slice."""

    def __init__(self, rng: np.random.Generator, length: int, side: int) -> None:
        self._rng = rng
        self._shape = (length, side, side)
        line = np.linspace(-VIEW, VIEW, side, dtype=np.float32)
        self._y, self._x = np.meshgrid(line, line, indexing="ij")
        self._z = np.arange(length, dtype=np.float32)[:, None, None]

    def object(self) -> Mask | None:
        """One or two shapes in the middle, some with a hole, some away for a while; None where the dice fell badly."""
        rng, length = self._rng, self._shape[0]
        scale = float(rng.uniform(0.3, 0.46))
        target = self.shape(rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), scale)
        if rng.random() < SECOND_SHARE:
            target |= self.shape(rng.uniform(-0.3, 0.3), rng.uniform(-0.3, 0.3), scale * rng.uniform(0.4, 0.9))
        if rng.random() < HOLE_SHARE:
            target &= ~self.shape(rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), scale * rng.uniform(0.3, 0.6))
        if length > 2 and rng.random() < VANISHING_SHARE:
            start = int(rng.integers(1, length - 1))
            target[start : start + int(rng.integers(1, 5))] = False
        return target if 0.02 < target[0].mean() < 0.2 else None

    def twin(self, target: Mask) -> Mask:
        """A tube beside the target, or from within it onwards; without the target's own voxels."""
        rng = self._rng
        angle = rng.uniform(0, 2 * math.pi)
        middle_y, middle_x = float(self._y[target[0]].mean()), float(self._x[target[0]].mean())
        ahead = math.sin(angle) * (self._y - middle_y) + math.cos(angle) * (self._x - middle_x)
        reach = float(ahead[target[0]].max())
        if rng.random() < NEIGHBOUR_SHARE:
            radius, start = rng.uniform(0.08, 0.3), 0
            away, drift = reach + radius + rng.uniform(-0.03, 0.12), rng.uniform(-0.08, 0.04)
        else:
            radius, start = rng.uniform(0.03, 0.1), int(rng.integers(0, 2))
            away, drift = rng.uniform(0, 0.8) * reach, rng.uniform(-0.04, 0.04)
        away_on_slice = np.maximum(away + drift * self._z, 0.0)
        y = middle_y + math.sin(angle) * away_on_slice
        x = middle_x + math.cos(angle) * away_on_slice
        tube = ((self._y - y) ** 2 + (self._x - x) ** 2 < radius**2) & (self._z >= start)
        return np.asarray(tube & ~target)

    def shape(self, y: float, x: float, scale: float) -> Mask:
        """A shape around (y, x) of about half width `scale` on slice 0, drifting and ending as it likes."""
        rng, kind = self._rng, str(self._rng.choice(KINDS))
        drift_y, drift_x = rng.uniform(-0.05, 0.05, 2)
        middle = rng.uniform(-4, 5)
        half_length = 1e6 if kind == "tube" else max(abs(middle) + 1.2, rng.uniform(1.5, 14))
        wide, narrow = scale * rng.uniform(0.75, 1.2), scale * rng.uniform(0.6 if kind == "tube" else 0.35, 1.0)
        angle = rng.uniform(0, math.pi)
        dy, dx = self._y - (y + drift_y * self._z), self._x - (x + drift_x * self._z)
        along, across = np.cos(angle) * dy + np.sin(angle) * dx, -np.sin(angle) * dy + np.cos(angle) * dx
        swell = math.sqrt(max(1 - (middle / half_length) ** 2, 0.3))  # so that slice 0 has the width asked for
        away = ((self._z - middle) / half_length) ** 2
        radius = np.sqrt((along / (wide / swell)) ** 2 + (across / (narrow / swell)) ** 2 + away)
        low, high = {"ellipsoid": (0, 0.1), "blob": (0.1, 0.35), "tube": (0, 0.15), "lobes": (0.3, 0.6)}[kind]
        cells = int(rng.choice([6, 8, 10] if kind == "lobes" else [3, 4, 6]))
        bumps = smooth_noise(rng, self._shape, cells, int(rng.choice([2, 3, 4])))
        return np.asarray(radius + rng.uniform(low, high) * bumps < 1)
