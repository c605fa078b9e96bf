"""Encoded frames, kept as long as a byte budget allows; what was not used for longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


F = TypeVar("F", bound=Sized)


class FeatureCache(Generic[F]):
    """Least recently used, counted in bytes. `misses` is the number of frames that had to be encoded."""

    def __init__(self, budget_bytes: int) -> None:
        self.misses = 0
        self._budget = budget_bytes
        self._bytes = 0
        self._kept: OrderedDict[Hashable, F] = OrderedDict()

    def get(self, key: Hashable, encode: Callable[[], F]) -> F:
        """The features under `key`, encoded now if they are not there."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        features = encode()
        self.misses += 1
        self._kept[key] = features
        self._bytes += features.nbytes
        self._forget_oldest()
        return features

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def has_room(self) -> bool:
        """Whether one more frame like the newest would drive out none."""
        if not self._kept:
            return True
        newest = self._kept[next(reversed(self._kept))]
        return self._bytes + newest.nbytes <= self._budget

    def _forget_oldest(self) -> None:
        """The newest stays even if it alone is over the budget: it is about to be used."""
        while self._bytes > self._budget and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.nbytes
