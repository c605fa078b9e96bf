"""Encoded frames, kept as long as a byte budget allows; what was not used for longest goes first.

A cache belongs to one volume, one model and one device, whose names are therefore no part of a key. A key is that of
the frames (axis, window, size, crop, normalisation) and the slice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from medsam2_engine.free_memory import free_memory

SHARE_OF_FREE = 0.25  # the rest is for the steps between, for other volumes and models, and for Slicer
SMALLEST_BUDGET, LARGEST_BUDGET = 1 << 29, 1 << 34
UNKNOWN_BUDGET = 1 << 30  # where the system does not say what is free


def feature_budget(device: str) -> int:
    """Bytes for the features of one volume on a device ("cpu", "cuda", "mps"): a share of what is free there now."""
    free = free_memory(device)
    if free is None:
        return UNKNOWN_BUDGET
    return min(max(int(SHARE_OF_FREE * free), SMALLEST_BUDGET), LARGEST_BUDGET)


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


F = TypeVar("F", bound=Sized)


class FeatureCache(Generic[F]):
    """Least recently used, counted in bytes.

    Attributes:
        misses: frames that had to be encoded.
        hits: times that a kept frame was asked for.
        forgotten: frames that had to go to make room.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.misses = 0
        self.hits = 0
        self.forgotten = 0
        self._budget = budget_bytes
        self._bytes = 0
        self._kept: OrderedDict[Hashable, F] = OrderedDict()

    def get(self, key: Hashable, encode: Callable[[], F]) -> F:
        """The features under `key`, encoded now if they are not there."""
        if key in self._kept:
            self.hits += 1
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

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """What the kept frames hold now."""
        return self._bytes

    def __str__(self) -> str:
        return (
            f"{len(self)} frames kept in {self.nbytes >> 20} of {self._budget >> 20} MiB; {self.misses} encoded, "
            f"{self.hits} found again, {self.forgotten} forgotten"
        )

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
            self.forgotten += 1
