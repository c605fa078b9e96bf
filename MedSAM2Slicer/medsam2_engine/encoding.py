"""Encoded slices of a session: kept ones, or new ones, several at a time where the device gains by it.

A GPU is busy with eight frames hardly longer than with one. So where one slice has to be encoded, its nearest
neighbours that are not known yet are encoded with it: a propagation will ask for them next. On a CPU every slice is
encoded alone, which is faster there: the numbers of one stay in the cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from medsam2_engine.backends.base import Backend
from medsam2_engine.features import FeatureCache
from medsam2_engine.frames import FrameStack


@runtime_checkable
class EncodesTogether(Protocol):
    """A backend that can encode several frames in one go."""

    @property
    def at_once(self) -> int:
        """How many frames it gains by, at least 1; fewer once memory has run out."""

    def encode_together(self, frames: Sequence[Tensor]) -> list[Any]:
        """Features of frames (1, 3, S, S), as `encode` gives them for each."""


class Encoder:
    """Features by frames and slice."""

    def __init__(self, backend: Backend, budget_bytes: int) -> None:
        self.kept: FeatureCache[Any] = FeatureCache(budget_bytes)
        self._backend = backend

    def __call__(self, frames: FrameStack, index: int, within: range | None = None) -> Any:
        """Features of slice `index`. within: slices that will be asked for in the same frames, if any is known to be.

        Raises:
            Stopped: nobody wants them any more.
        """
        if within is not None and not self.knows(frames, index):
            self._fill(frames, self._company(frames, index, within))
        return self.kept.get((frames.key, index), lambda: self._backend.encode(frames.pixels(index)))

    def knows(self, frames: FrameStack, index: int) -> bool:
        return (frames.key, index) in self.kept

    def _company(self, frames: FrameStack, index: int, within: range) -> list[int]:
        """The slice and those to encode with it."""
        if not isinstance(self._backend, EncodesTogether) or self._backend.at_once == 1:
            return []
        unknown = [other for other in within if not self.knows(frames, other)]
        return sorted(unknown, key=lambda other: abs(other - index))[: self._backend.at_once]

    def _fill(self, frames: FrameStack, indices: Sequence[int]) -> None:
        if len(indices) < 2:
            return
        assert isinstance(self._backend, EncodesTogether)
        encoded = self._backend.encode_together([frames.pixels(index) for index in indices])
        # The slice that was asked for last: it is the newest, and stays.
        for index, features in reversed(list(zip(indices, encoded, strict=True))):
            self.kept.get((frames.key, index), lambda features=features: features)  # type: ignore[misc]
