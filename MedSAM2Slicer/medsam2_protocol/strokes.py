"""Freehand strokes on a slice: what a lasso encloses, and a stroke with fewer vertices.

Paths are vertices (x, y) in voxels, the centre of a voxel at an integer; x is the earlier of the two IJK coordinates of
the slice, y the later one. Both sides compute here, so that a lasso which the host accepts is one for the engine too.
"""

from __future__ import annotations

import numpy as np

from medsam2_protocol.prompts import MAX_VERTICES, Path

PRECISION = 0.25  # voxels that a thinned stroke may lie beside the drawn one


def lasso_interior(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """The voxels of a slice (rows, columns) whose centres a closed path goes round: bool of that shape.

    Non-zero winding, so a stroke that runs past its own beginning has no hole there, and both loops of an eight count.
    """
    rows, columns = shape
    turns = np.zeros((rows, columns + 1), np.int32)
    vertices = np.asarray(path, float)
    for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0)):
        if y0 != y1:
            _add_edge(turns, (x0, y0), (x1, y1))
    return np.asarray(np.cumsum(turns[:, :-1], axis=1) != 0)


def thinned(path: Path) -> Path:
    """The stroke with as few of its vertices as `PRECISION` allows, and never more than `MAX_VERTICES`.

    Douglas and Peucker, Cartographica 10 (1973) 112-122; the first and the last vertex stay.
    """
    vertices = np.asarray(path, float)
    tolerance, kept = PRECISION, _kept(vertices, PRECISION)
    while kept.sum() > MAX_VERTICES:
        tolerance *= 2
        kept = _kept(vertices, tolerance)
    return tuple((float(x), float(y)) for x, y in vertices[kept])


def positions_along(path: Path, count: int) -> np.ndarray:
    """`count` positions (count, 2) on an open path, each in the middle of its share of the length."""
    vertices = np.asarray(path, float)
    reached = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(vertices, axis=0), axis=1))])
    wanted = (np.arange(count) + 0.5) / count * reached[-1]
    return np.stack([np.interp(wanted, reached, vertices[:, axis]) for axis in (0, 1)], axis=1)


def _add_edge(turns: np.ndarray, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Right of an edge the path has turned once more (upwards) or less (downwards) round a voxel's centre."""
    (x0, y0), (x1, y1) = start, end
    rows, columns = turns.shape
    first, last = np.clip(np.ceil(sorted((y0, y1))), 0, rows).astype(int)
    rows_crossed = np.arange(first, last)
    crossings = x0 + (rows_crossed - y0) * (x1 - x0) / (y1 - y0)
    turns[rows_crossed, np.clip(np.ceil(crossings), 0, columns - 1).astype(int)] += 1 if y1 > y0 else -1


def _kept(vertices: np.ndarray, tolerance: float) -> np.ndarray:
    kept = np.zeros(len(vertices), bool)
    kept[[0, -1]] = True
    parts = [(0, len(vertices) - 1)]
    while parts:
        first, last = parts.pop()
        distances = _distances(vertices[first + 1 : last], vertices[first], vertices[last])
        if distances.size and distances.max() > tolerance:
            middle = first + 1 + int(distances.argmax())
            kept[middle] = True
            parts += [(first, middle), (middle, last)]
    return kept


def _distances(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """From points (N, 2) to the line between two others, or to their common place."""
    along = end - start
    length = float(np.hypot(*along))
    offsets = points - start
    if length == 0:
        return np.asarray(np.hypot(offsets[:, 0], offsets[:, 1]))
    share = np.clip(offsets @ along / length**2, 0, 1)
    beside = offsets - share[:, None] * along
    return np.asarray(np.hypot(beside[:, 0], beside[:, 1]))
