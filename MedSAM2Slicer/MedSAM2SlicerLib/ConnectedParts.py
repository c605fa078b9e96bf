"""Connected parts of a mask in plain numpy: rows are taken as runs, and runs that touch are joined.

The cost is that of the surface rather than of the volume: a lesion of a million voxels takes some 20 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# (step of plane, step of row, whether runs may touch at corners) to the neighbours that come later.
FACES = ((0, 1, False), (1, 0, False))
CORNERS = ((0, 1, True), (1, -1, True), (1, 0, True), (1, 1, True))
IN_PLANE = ((0, 1, False),)


@dataclass(frozen=True)
class Parts:
    """Runs of a mask (K, J, I) along I: `row` counts rows K major, `start` and `stop` are I; `part` is 0, 1, 2…"""

    shape_kji: tuple[int, int, int]
    row: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    part: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Voxels of every part."""
        return np.bincount(self.part, weights=self.stop - self.start).astype(int)

    def mask(self, isKept: np.ndarray) -> np.ndarray:
        """The voxels of the parts for which `isKept` is true, (K, J, I)."""
        kept = isKept[self.part]
        planes, rows, columns = self.shape_kji
        steps = np.zeros((planes * rows, columns + 1), np.int8)
        steps[self.row[kept], self.start[kept]] = 1
        steps[self.row[kept], self.stop[kept]] = -1
        return np.cumsum(steps, axis=1, dtype=np.int8)[:, :columns].astype(bool).reshape(self.shape_kji)

    def at(self, kji: np.ndarray) -> np.ndarray:
        """Which parts lie under these voxels (N, 3); voxels without a part, and outside, say nothing."""
        inside = ((kji >= 0) & (kji < self.shape_kji)).all(axis=1)
        k, j, i = kji[inside].T
        row, width = k * self.shape_kji[1] + j, self.shape_kji[2] + 2
        run = np.searchsorted(self.row * width + self.start, row * width + i, side="right") - 1
        run, row, i = run[run >= 0], row[run >= 0], i[run >= 0]
        hit = (self.row[run] == row) & (i < self.stop[run])
        return np.unique(self.part[run[hit]])


def partsOf(mask_kji: np.ndarray, neighbours=CORNERS) -> Parts:
    """The parts of a mask; with FACES, voxels that share a face only belong together, with IN_PLANE only within K."""
    planes, rows, columns = mask_kji.shape
    edges = np.diff(np.pad(mask_kji.reshape(planes * rows, columns), ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges == 1)
    stop = np.nonzero(edges == -1)[1]
    ones, others = [], []
    for plane_step, row_step, isLoose in neighbours:
        one, other = _touching(mask_kji.shape, row, start, stop, (plane_step, row_step, isLoose))
        ones.append(one)
        others.append(other)
    return Parts(mask_kji.shape, row, start, stop, _joined(len(row), np.concatenate(ones), np.concatenate(others)))


def _touching(shape_kji, row, start, stop, step) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs, the second in the row that is a step away from that of the first."""
    planes, rows, columns = shape_kji
    plane_step, row_step, isLoose = step
    k, j = row // rows + plane_step, row % rows + row_step
    here = np.flatnonzero((k < planes) & (j >= 0) & (j < rows))
    target, width = k[here] * rows + j[here], columns + 2
    first = np.searchsorted(row * width + stop, target * width + start[here], side="left" if isLoose else "right")
    after = np.searchsorted(row * width + start, target * width + stop[here], side="right" if isLoose else "left")
    count = np.maximum(after - first, 0)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(here, count), np.repeat(first, count) + offset


def _joined(count: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Numbers 0, 1, 2… of the connected sets of `count` things of which these pairs are joined."""
    root = np.arange(count)
    while True:
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        if (low == high).all():
            break
        np.minimum.at(root, high, low)
        while (root != root[root]).any():
            root = root[root]
    return np.unique(root, return_inverse=True)[1].reshape(-1)
