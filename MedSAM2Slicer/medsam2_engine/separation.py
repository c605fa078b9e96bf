"""How well a mask stands out from its surroundings: the judge between several guesses at an object of unknown size."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from medsam2_engine.frames import Image, Mask

RING_WIDTH = 0.35  # of the mask's radius
HISTOGRAM_BINS = 24
SIZE_PREFERENCE = 0.2
SMALLEST_SAMPLE = 4


def separation(image: Image, mask: Mask) -> float:
    """The better a mask (rows, columns) stands out from a ring around it on its slice, the higher; 0 or more.

    The Bhattacharyya distance of the two histograms, with a mild preference for the larger mask: a part of an object
    stands out less than the whole, and the whole together with its surroundings less again.
    """
    ring = _ring(mask)
    if mask.sum() < SMALLEST_SAMPLE or ring.sum() < SMALLEST_SAMPLE:
        return 0.0
    inside, outside = image[mask], image[ring]
    lower, upper = np.percentile(np.concatenate([inside, outside]), (1, 99))
    shares = [_shares(values, float(lower), float(upper)) for values in (inside, outside)]
    distance = -math.log(float(np.sqrt(shares[0] * shares[1]).sum()))
    return float(distance * math.sqrt(mask.sum()) ** SIZE_PREFERENCE)


def _ring(mask: Mask) -> Mask:
    """The voxels around a mask, to a third of its radius."""
    width = max(1, round(RING_WIDTH * math.sqrt(mask.sum() / math.pi)))
    grown = F.max_pool2d(torch.from_numpy(mask)[None].float(), 2 * width + 1, stride=1, padding=width)[0] > 0
    return np.asarray(grown.numpy() & ~mask)


def _shares(values: npt.NDArray[np.float32], lower: float, upper: float) -> npt.NDArray[np.float64]:
    top = max(upper, lower + 1e-6 * max(1.0, abs(lower)))  # a place of one value has no range of its own
    counts = np.histogram(values.astype(np.float64), HISTOGRAM_BINS, (lower, top))[0] + 0.5
    return np.asarray(counts / counts.sum(), dtype=np.float64)
