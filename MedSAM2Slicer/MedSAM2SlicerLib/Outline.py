"""Ends of rows, hull, outline and chords of a mask in a plane.

Positions are (column, row) in pixels, pixel centres at integers, or anything linear in them. The outline runs through
the middles of pixel edges, as marching squares has it at one half.
"""

from __future__ import annotations

import numpy as np

MOST_CHORDS = 96
# Middles of a cell's four edges, (column, row) from its first corner: upper, right, lower, left.
_MIDDLES = np.array([[0.5, 0.0], [1.0, 0.5], [0.5, 1.0], [0.0, 0.5]])
# Corners in clockwise order from the first one as bits 1, 2, 4, 8 → pairs of edges that the outline joins.
_JOINED = {
    1: ((3, 0),),
    2: ((0, 1),),
    3: ((3, 1),),
    4: ((1, 2),),
    5: ((3, 0), (1, 2)),
    6: ((0, 2),),
    7: ((3, 2),),
    8: ((2, 3),),
    9: ((0, 2),),
    10: ((0, 1), (2, 3)),
    11: ((1, 2),),
    12: ((1, 3),),
    13: ((0, 1),),
    14: ((3, 0),),
}


def rowEnds(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last pixel of every row of all planes (P, rows, columns), and whether there is any: (P, rows) each."""
    first = planes.argmax(axis=2)
    last = planes.shape[2] - 1 - planes[:, :, ::-1].argmax(axis=2)
    isFilled = np.take_along_axis(planes, first[:, :, np.newaxis], axis=2)[:, :, 0]
    return first, last, isFilled


def outlineEdges(plane: np.ndarray) -> np.ndarray:
    """The straight pieces (N, 2, 2) of the outline of a mask (rows, columns): N times two ends."""
    padded = np.pad(plane, 1).astype(np.uint8)
    cells = padded[:-1, :-1] + 2 * padded[:-1, 1:] + 4 * padded[1:, 1:] + 8 * padded[1:, :-1]
    pieces = []
    for code, joined in _JOINED.items():
        rows, columns = np.nonzero(cells == code)
        corner = np.column_stack([columns, rows]) - 1.0
        pieces += [np.stack([corner + _MIDDLES[one], corner + _MIDDLES[other]], axis=1) for one, other in joined]
    return np.concatenate(pieces)


def convexHull(points: np.ndarray) -> np.ndarray:
    """The corners (N, 2) of the convex hull, in no particular order."""
    ordered = np.unique(points, axis=0)
    return np.unique(np.concatenate([_chain(ordered), _chain(ordered[::-1])]), axis=0)


def chordAcross(edges: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The longest line (2, 2) across an outline, perpendicular to a direction, from outermost end to outermost end.

    It is as long as can be at one of the corners of the outline. Of many corners an even choice is tried, and then
    those around the best.
    """
    unit = direction / np.linalg.norm(direction)
    frame = np.array([unit, [-unit[1], unit[0]]])  # along, across
    turned = edges @ frame.T
    places = np.unique(turned[:, :, 0].round(6))
    step = max(1, len(places) // MOST_CHORDS)
    best = step * _longestAt(turned, places[::step])[0]
    around = places[max(0, best - step) : best + step + 1]
    number, low, high = _longestAt(turned, around)
    return np.array([[around[number], low], [around[number], high]]) @ frame


def _chain(ordered: np.ndarray) -> np.ndarray:
    """One side of the hull of sorted points. A point that lies inside its two neighbours is no corner; all such points
    can go at once, since what they lie inside of stays."""
    while len(ordered) > 2:
        before, here, after = ordered[:-2], ordered[1:-1], ordered[2:]
        one, other = here - before, after - before
        isCorner = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0] > 0
        if isCorner.all():
            break
        ordered = ordered[np.concatenate([[True], isCorner, [True]])]
    return ordered


def _longestAt(edges: np.ndarray, places: np.ndarray) -> tuple[int, float, float]:
    """Which of these places along has the longest chord, and its lowest and highest position across.

    Edges that stand upright are left out: their ends are ends of others.
    """
    edges = edges[np.abs(edges[:, 1, 0] - edges[:, 0, 0]) > 1e-9]
    (t0, p0), (t1, p1) = (edges[:, end].T[:, :, np.newaxis] for end in (0, 1))
    share = (places - t0) / (t1 - t0)
    isMet = np.abs(share - 0.5) <= 0.5 + 1e-6
    across = p0 + share * (p1 - p0)
    low = np.where(isMet, across, np.inf).min(axis=0)
    high = np.where(isMet, across, -np.inf).max(axis=0)
    best = int(np.argmax(high - low))
    return best, float(low[best]), float(high[best])
