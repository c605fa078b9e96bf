"""Random fields: smooth noise, blurring, regions. All from a numpy generator, so that a seed says everything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

Field = npt.NDArray[np.float32]
Shape = tuple[int, int, int]


def smooth_noise(rng: np.random.Generator, shape: Shape, cells: int, cells_along: int | None = None) -> Field:
    """Normal noise on a coarse grid of `cells` a side (`cells_along` along the first axis), stretched over `shape`."""
    depth = cells_along or max(2, cells // 3)
    noise = torch.from_numpy(rng.standard_normal((1, 1, depth, cells, cells), dtype=np.float32))
    return stretched(noise, shape)


def stretched(noise: torch.Tensor, shape: Sequence[int]) -> Field:
    """(1, 1, d, h, w) trilinearly over `shape`."""
    return np.asarray(F.interpolate(noise, size=tuple(shape), mode="trilinear", align_corners=True)[0, 0].numpy())


def regions(rng: np.random.Generator, shape: Shape, count: int) -> npt.NDArray[np.int64]:
    """A random partition into `count` blobby regions, 0 to count - 1."""
    if count == 1:
        return np.zeros(shape, np.int64)
    cells = int(rng.choice([3, 4, 6, 8, 12]))
    return np.asarray(np.stack([smooth_noise(rng, shape, cells) for _ in range(count)]).argmax(0))


def blurred(images: Field, sigma: float) -> Field:
    """Each slice of (T, rows, columns) blurred by a Gaussian, borders repeated."""
    if sigma < 0.2:
        return images
    reach = min(int(3 * sigma + 1), min(images.shape[1:]) - 1)
    kernel = torch.exp(-(torch.arange(-reach, reach + 1).float() ** 2) / (2 * sigma * sigma))
    kernel /= kernel.sum()
    x = torch.from_numpy(images)[:, None]
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    x = F.conv2d(F.pad(x, (0, 0, reach, reach), mode="replicate"), kernel.view(1, 1, -1, 1))
    return np.asarray(x[:, 0].numpy())
