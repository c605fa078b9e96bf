"""What a RECIST line says about a lesion: a box around it, and points along it. Plain numpy.

The box encloses an ellipse whose long axis is the line and whose short axis is `ASPECT` of it; it is never thinner than
that whichever way the line runs. Which prompts to send was measured: see docs/recist.md.
"""

from __future__ import annotations

import numpy as np

from medsam2_protocol.prompts import BoxPrompt, PointPrompt, axis_ijk

ASPECT = 0.75
ALONG = (0.25, 0.5, 0.75)


def boxOfLine(ends_ijk: np.ndarray, axis: str, spacing_ijk: np.ndarray, shape_ijk, aspect: float = ASPECT) -> BoxPrompt:
    """`ends_ijk` (2, 3) lie on one slice along `axis`; the box is cut at the border of the volume."""
    along = axis_ijk(axis)
    across = [other for other in range(3) if other != along]
    spacing = np.asarray(spacing_ijk, float)[across]
    ends = np.asarray(ends_ijk, float)[:, across]
    half_mm = (ends[1] - ends[0]) * spacing / 2
    side_mm = np.array([-half_mm[1], half_mm[0]]) * aspect
    reach = np.sqrt(half_mm**2 + side_mm**2) / spacing
    most = np.asarray(shape_ijk)[across] - 1
    low, high = (np.clip(ends.mean(axis=0) + sign * reach, 0, most) for sign in (-1, 1))
    index = round(float(np.mean(np.asarray(ends_ijk, float)[:, along])))
    return BoxPrompt(axis, index, (float(low[0]), float(low[1])), (float(high[0]), float(high[1])))


def pointsOfLine(ends_ijk: np.ndarray, shares=ALONG) -> tuple[PointPrompt, ...]:
    """Points that belong to the lesion, from one end to the other."""
    one, other = np.asarray(ends_ijk, float)
    places = [one + share * (other - one) for share in shares]
    return tuple(PointPrompt((float(i), float(j), float(k))) for i, j, k in places)


def promptsOfLine(ends_ijk: np.ndarray, axis: str, spacing_ijk, shape_ijk) -> tuple[BoxPrompt, ...]:
    """What the module sends: the box alone, which was better than the box with points, or points."""
    return (boxOfLine(ends_ijk, axis, spacing_ijk, shape_ijk),)
