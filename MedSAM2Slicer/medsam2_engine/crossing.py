"""Whether a walk has left its object and gone on with something that looks like it.

Where an object ends, the model guesses that its mask is worse; where the other half of the brain or the next organ then
fills the frame, it is sure again, and nothing tells any more that this is not the object. So a predicted IoU that falls
under `SUNK` of its best and then makes up for `RISEN` of what it lost has crossed to something else, and the slice with
the lowest one is where. In a volume, unlike in a film, nothing that is followed is hidden for a while and comes back.
"""

from __future__ import annotations

SUNK, RISEN = 0.8, 0.5


class Crossing:
    """Told the predicted IoU of one slice of a walk after the other.

    `behind`: the slice with the lowest one and those after it, while it is low or has just risen.
    """

    def __init__(self) -> None:
        self.behind: list[int] = []
        self._best = 0.0
        self._lowest = 0.0
        self._last = 0.0

    @property
    def is_made(self) -> bool:
        return bool(self.behind) and self._last > self._lowest + RISEN * (self._best - self._lowest)

    def note(self, index: int, predicted_iou: float) -> None:
        self._last = predicted_iou
        if self.behind and predicted_iou >= self._lowest:
            self.behind.append(index)
        elif self.behind or predicted_iou < SUNK * self._best:
            self.behind, self._lowest = [index], predicted_iou
        else:
            self._best = max(self._best, predicted_iou)
