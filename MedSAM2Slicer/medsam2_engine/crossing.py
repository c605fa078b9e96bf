"""Whether a walk has left its object and gone on with something else.

Where an object ends, the model guesses that its mask is worse; where the other half of the brain or the next organ then
fills the frame, it is sure again, and nothing tells any more that this is not the object. So a predicted IoU that falls
under `SUNK` of its best and then makes up for `RISEN` of what it lost has crossed to something else, and the slice with
the lowest one is where. In a volume, unlike in a film, nothing that is followed is hidden for a while and comes back.

A walk that goes on with a remainder of the object, or with all there is, is never sure again. So it has also left the
object where the predicted IoU stays under `DOUBTED` of its best for `DOUBTED_SLICES` slices in a row; a few slices that
are hard to see do not make that.
"""

from __future__ import annotations

SUNK, RISEN = 0.8, 0.5
DOUBTED, DOUBTED_SLICES = 0.65, 5


class Crossing:
    """Told the predicted IoU of one slice of a walk after the other."""

    def __init__(self) -> None:
        self._sunk: list[int] = []  # the slice with the lowest guess and those after it
        self._doubted: list[int] = []  # those at the end of the walk
        self._best = 0.0
        self._lowest = 0.0
        self._last = 0.0

    @property
    def behind(self) -> list[int]:
        """The slices on which the walk had gone on with something else; none while it is on its object."""
        if self._sunk and self._last > self._lowest + RISEN * (self._best - self._lowest):
            return self._sunk
        return self._doubted if len(self._doubted) >= DOUBTED_SLICES else []

    def note(self, index: int, predicted_iou: float) -> None:
        self._last = predicted_iou
        self._doubted = [*self._doubted, index] if predicted_iou < DOUBTED * self._best else []
        if self._sunk and predicted_iou >= self._lowest:
            self._sunk.append(index)
        elif self._sunk or predicted_iou < SUNK * self._best:
            self._sunk, self._lowest = [index], predicted_iou
        else:
            self._best = max(self._best, predicted_iou)
