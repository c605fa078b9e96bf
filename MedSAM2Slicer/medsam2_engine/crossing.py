"""Whether a walk has left its object and gone on with something that looks like it.

Where an object ends, the model's object score falls; where the other half of the brain or the next organ then fills the
frame, it rises again, and nothing tells any more that this is not the object. So a score that falls under `SUNK` of its
best and then makes up for `RISEN` of what it lost has crossed to something else, and the slice with the lowest score is
where. In a volume, unlike in a film, nothing that is followed is hidden for a while and comes back.
"""

from __future__ import annotations

SURE = 8.0  # object score: what lies above is as good
SUNK, RISEN = 0.5, 0.5


class Crossing:
    """Told the object score of one slice of a walk after the other.

    `behind`: the slice with the lowest score and those after it, while the score is low or has just risen.
    """

    def __init__(self) -> None:
        self.behind: list[int] = []
        self._best = 0.0
        self._lowest = 0.0
        self._last = 0.0

    @property
    def is_made(self) -> bool:
        return bool(self.behind) and self._last > self._lowest + RISEN * (self._best - self._lowest)

    def note(self, index: int, object_score: float) -> None:
        score = min(object_score, SURE)
        self._last = score
        if self.behind and score >= self._lowest:
            self.behind.append(index)
        elif self.behind or score < SUNK * self._best:
            self.behind, self._lowest = [index], score
        else:
            self._best = max(self._best, score)
