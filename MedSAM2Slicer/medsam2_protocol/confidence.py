"""Which slices of a propagated segment a person should look at, from what is known about each slice.

The confidence of a slice is a product of factors between 0 and 1; what is not known counts as 1.

* presence: 1 / (1 + exp(-object score)), the model's probability that the object is there. On a slice without a mask,
  the probability that it is not.
* quality: the model's predicted IoU, clipped to 0..1. On a slice without a mask 1.
* agreement: the Dice of the masks that came from the two sides.
* steadiness of the area: 1 / (1 + (d / 0.25)^2), where d is how far the area lies from a straight line through the
  areas of the two slices beside it (at an end: of the next two), over the largest of the three. An ellipsoid through n
  slices has d < 4 / n^2 but at its tips.
* steadiness of the place: the same of the distance between the centroid and a straight line through the two others,
  over the radius of a disc of the slice's area.

A model passes its errors on from slice to slice, away from the slices that a person answered for. So what is lost by
unsteadiness on one slice is lost, by its square root, on all slices behind it as seen from the nearest trusted one.
Trusted slices have confidence 1.

What to look at first is where most voxels are likely to be wrong: (1 - confidence) times the area that is at stake,
which is the largest of the slice's and its two neighbours'. The tip of a lesion is often doubtful and seldom matters.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from medsam2_protocol.masks import MaskRegion
from medsam2_protocol.prompts import axis_kji

JUMP = 0.25
DOUBTFUL_SHARE = 0.2
DOUBTFUL_BELOW = 0.5
Place = tuple[float, float]


@dataclass(frozen=True)
class SliceEvidence:
    """What is known about one slice of a segment.

    Attributes:
        slice: index along the slice axis.
        object_score: logit; above 0 the model sees the object.
        predicted_iou: the model's guess of its overlap with the truth.
        agreement: Dice of the masks from the two sides, None where one side only was followed.
        area: voxels of the mask.
        centroid: mean row and column of the mask in voxels of the slice, None if it is empty.
    """

    slice: int
    object_score: float
    predicted_iou: float
    agreement: Optional[float]
    area: float
    centroid: Optional[Place]


def evidence_of(
    axis: str,
    index: int,
    region: MaskRegion,
    object_score: float,
    predicted_iou: float,
    agreement: Optional[float] = None,
) -> SliceEvidence:
    """The evidence of one slice, with area and centroid of the mask that was sent for it."""
    if region.is_empty:
        return SliceEvidence(index, object_score, predicted_iou, agreement, 0, None)
    plane = np.squeeze(region.voxels(), axis=axis_kji(axis))
    rows, columns = np.nonzero(plane)
    row, column = np.delete(region.start_kji, axis_kji(axis))
    place = (float(row + rows.mean()), float(column + columns.mean()))
    return SliceEvidence(index, object_score, predicted_iou, agreement, len(rows), place)


def confidences(evidence: Sequence[SliceEvidence], trusted: Collection[int] = ()) -> list[float]:
    """The confidence of every slice, 0 to 1, in the order of `evidence`, which is that of the slices.

    trusted: slices that a person answered for.
    """
    steady = [_steadiness(evidence, n) for n in range(len(evidence))]
    at = [n for n, one in enumerate(evidence) if one.slice in trusted]
    return [
        1.0
        if one.slice in trusted
        else _presence(one) * _quality(one) * _agreement(one) * steady[n] * math.sqrt(_handed_on(steady, n, at))
        for n, one in enumerate(evidence)
    ]


def doubtful(
    evidence: Sequence[SliceEvidence],
    trusted: Collection[int] = (),
    share: float = DOUBTFUL_SHARE,
    below: float = DOUBTFUL_BELOW,
) -> list[int]:
    """The slices to look at, in rising order: of those less confident than `below` the ones with most at stake.

    share: the most that may be named, as a part of all slices.
    """
    values = confidences(evidence, trusted)
    ranked = sorted(
        ((1 - value) * _at_stake(evidence, n), evidence[n].slice) for n, value in enumerate(values) if value < below
    )
    return sorted(index for _, index in ranked[::-1][: int(share * len(evidence))])


def _at_stake(evidence: Sequence[SliceEvidence], n: int) -> float:
    return max(one.area for one in evidence[max(0, n - 1) : n + 2])


def _presence(one: SliceEvidence) -> float:
    score = one.object_score if one.area else -one.object_score
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, score))))


def _quality(one: SliceEvidence) -> float:
    return max(0.0, min(1.0, one.predicted_iou)) if one.area else 1.0


def _agreement(one: SliceEvidence) -> float:
    return 1.0 if one.agreement is None else max(0.0, min(1.0, one.agreement))


def _steadiness(evidence: Sequence[SliceEvidence], n: int) -> float:
    """Of area and place together, as the slices beside it let expect them; 1 where nothing does."""
    here, beside = evidence[n], _beside(evidence, n)
    if not beside:
        return 1.0
    expected = max(0.0, _line([one.area for one in beside], n, len(evidence)))
    largest = max(here.area, *(one.area for one in beside))
    jump = abs(here.area - expected) / largest if largest else 0.0
    return _steady(jump) * _steady(_centroid_jump(here, beside, n, len(evidence)))


def _beside(evidence: Sequence[SliceEvidence], n: int) -> list[SliceEvidence]:
    """The slice before and the one after; at an end the two that come next, the nearer first."""
    if n == 0:
        return list(evidence[1:3])
    if n == len(evidence) - 1:
        return list(evidence[max(0, n - 2) : n])[::-1]
    return [evidence[n - 1], evidence[n + 1]]


def _line(values: Sequence[float], n: int, count: int) -> float:
    """Where a straight line through the values of `_beside` passes slice n."""
    if len(values) == 1:
        return values[0]
    return 2 * values[0] - values[1] if n in (0, count - 1) else (values[0] + values[1]) / 2


def _centroid_jump(here: SliceEvidence, beside: Sequence[SliceEvidence], n: int, count: int) -> float:
    """In radii of a disc of the slice's area."""
    places = [one.centroid for one in beside if one.centroid is not None]
    if here.centroid is None or len(places) < len(beside):
        return 0.0
    row, column = (_line([place[m] for place in places], n, count) for m in range(2))
    return math.hypot(here.centroid[0] - row, here.centroid[1] - column) / math.sqrt(here.area / math.pi)


def _steady(jump: float) -> float:
    return 1 / (1 + (jump / JUMP) ** 2)


def _handed_on(steady: Sequence[float], n: int, trusted: Sequence[int]) -> float:
    """What the slices between this one and the nearest trusted one have lost; 1 if nobody answered for any slice."""
    if not trusted:
        return 1.0
    start = min(trusted, key=lambda at: abs(at - n))
    between = range(start + 1, n) if start < n else range(n + 1, start)
    return math.prod(steady[m] for m in between)
