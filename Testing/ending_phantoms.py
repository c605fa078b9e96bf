"""Objects that end where the tissue around them goes on: what a propagation should not run past.

Every phantom is drawn from a seed: size, contrast, noise, blur, texture of the tissue, and how far the object reaches.
The object lies away from both ends of the volume, so that on each side there is room to be wrong.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medsam2_engine.volume import Volume
from phantoms import Phantom, affine

SHAPE_KJI = (44, 96, 96)
KINDS = ("tapers off", "is cut off", "branches", "neighbour passes by", "vessel goes on")
Array = npt.NDArray[np.float64]


def an_ending(kind: str, seed: int) -> Phantom:
    """One phantom; slices along K. A neighbour, or the vessel that enters the object, is not part of the truth."""
    random = np.random.default_rng((KINDS.index(kind), seed))
    along = np.arange(SHAPE_KJI[0]) - (21.5 + random.integers(-2, 3))  # slices from the object's middle
    half, radius = int(random.integers(7, 13)), random.uniform(7, 14)
    middle, lean = random.uniform(42, 54, 2), random.uniform(-0.4, 0.4, 2)
    rows, columns = (middle[n] + lean[n] * along for n in range(2))
    inside = np.abs(along) <= half
    round_off = np.sqrt(np.clip(1 - (along / half) ** 2, 0, 1))
    if kind == "branches":
        limbs = 1.1 * radius * np.clip(along / half, 0, 1)
        radii = radius * inside * np.where(along > 0, 0.75, round_off)
        truth = _discs(rows, columns - limbs, radii) | _discs(rows, columns + limbs, radii)
    else:
        truth = _discs(rows, columns, radius * (inside if kind == "is cut off" else round_off))
    bright = truth.copy()
    if kind == "neighbour passes by":
        bright |= _neighbour(random, along, half, radius, rows, columns)
    if kind == "vessel goes on":
        bright |= _discs(rows, columns, np.where(along > 0, random.uniform(1.5, 3.0), 0.0))
    return Phantom(_volume(bright, random), truth)


def _neighbour(
    random: np.random.Generator, along: Array, half: int, radius: float, rows: Array, columns: Array
) -> npt.NDArray[np.bool_]:
    """A tube all through the volume, one to three voxels beside the object's middle, leaning towards its axis."""
    own, angle = random.uniform(4, 8), random.uniform(0, 2 * np.pi)
    gap = radius + own + random.uniform(1, 3) - random.uniform(0, 0.6) * np.clip(np.abs(along) - half, 0, None)
    return _discs(rows + gap * np.sin(angle), columns + gap * np.cos(angle), np.full_like(rows, own))


def _discs(rows: Array, columns: Array, radii: Array) -> npt.NDArray[np.bool_]:
    """On every slice a disc, (K, J, I); none where its radius is under half a voxel."""
    j, i = np.mgrid[: SHAPE_KJI[1], : SHAPE_KJI[2]]
    rows, columns, radii = (values[:, None, None] for values in (rows, columns, radii))
    return np.asarray(((j - rows) ** 2 + (i - columns) ** 2 <= radii**2) & (radii > 0.5))


def _volume(bright: npt.NDArray[np.bool_], random: np.random.Generator) -> Volume:
    """Tissue of 100 with a texture of its own, the object darker or brighter, blurred as by a scanner."""
    contrast = random.choice([-1, 1]) * random.uniform(25, 80)
    texture = _smooth(random.normal(0, 1, SHAPE_KJI), 3.0)
    texture *= random.uniform(2, 8) / texture.std()
    sharp = 100 + texture + contrast * bright
    blurred = _smooth(sharp, random.uniform(0.4, 0.9), axes=(1, 2))
    noise = random.normal(0, random.uniform(4, 14), SHAPE_KJI)
    return Volume((blurred + noise).astype(np.float32), affine(np.eye(3), (1.0, 1.0, 3.0)), "MR")


def _smooth(values: Array, sigma: float, axes: tuple[int, ...] = (0, 1, 2)) -> Array:
    reach = int(3 * sigma + 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in axes:
        values = np.apply_along_axis(
            lambda line: np.convolve(np.pad(line, reach, "edge"), kernel, "valid"), axis, values
        )
    return values
