"""A walk that goes on with something else behind the object's end notices it, and takes that back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from torch import Tensor

from medsam2_engine.crossing import Crossing
from medsam2_engine.framing import Framing, WholeSliceFraming
from medsam2_engine.model.bank import SAM2, MemoryPolicy
from medsam2_engine.model.frame import FrameMask
from medsam2_engine.propagation import SliceMask
from medsam2_engine.session import Session
from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import BoxPrompt, SegmentPrompts
from threshold_backend import ThresholdBackend, ThresholdTracker

PROMPTED = 3
SURE, UNSURE, DOUBTFUL = 90.0, 77.0, 68.0  # grey values of which the model below predicts an IoU of 0.9, 0.77 and 0.68


class CrossingFraming(WholeSliceFraming):
    crosses_over = True


class GradedTracker(ThresholdTracker):
    def track(self, frame: int, features: Tensor) -> FrameMask:
        seen = super().track(frame, features)
        return replace(seen, predicted_iou=float(features.max()))


@dataclass
class GradedBackend(ThresholdBackend):
    """Its predicted IoU rises with the grey value."""

    @property
    def framing(self) -> Framing:
        return CrossingFraming(self.size)

    def tracker(self, frame_count: int, reverse: bool, policy: MemoryPolicy = SAM2) -> ThresholdTracker:
        self.directions.append(reverse)
        return GradedTracker(self.calls, len(self.directions) - 1)


def volume_of(*greys: float) -> Volume:
    voxels = np.zeros((len(greys), 32, 32), np.float32)
    voxels[:, 10:18, 12:24] = np.array(greys)[:, None, None]
    return Volume(voxels, np.eye(4))


OBJECT_AND_ANOTHER = volume_of(*[SURE] * 8, DOUBTFUL, *[SURE] * 8)


def found(volume: Volume, *slices: int, slice_range: tuple[int, int] | None = None, **how: bool) -> list[SliceMask]:
    boxes = tuple(BoxPrompt("K", k, (12, 10), (23, 17)) for k in slices or (PROMPTED,))
    session = Session(volume, GradedBackend())
    return list(session.propagate([SegmentPrompts("s", boxes)], "K", slice_range, Window(0, 100), **how))


def held(results: list[SliceMask]) -> list[int]:
    last = {result.slice: result for result in results}
    return sorted(k for k, result in last.items() if result.mask.any())


def test_what_lies_behind_the_crossing_is_taken_back() -> None:
    results = found(OBJECT_AND_ANOTHER)
    assert held(results) == list(range(8))
    assert 9 in {result.slice for result in results if result.mask.any()}  # it had been shown
    assert max(result.slice for result in results) == 9  # and the walk went no further


def test_the_other_direction_is_followed_as_before() -> None:
    assert held(found(OBJECT_AND_ANOTHER, 12)) == list(range(9, 17))


def test_an_object_that_gets_harder_to_see_and_stays_so_is_followed() -> None:
    assert held(found(volume_of(*[SURE] * 8, *[UNSURE] * 6))) == list(range(14))


def test_a_known_range_is_believed() -> None:
    assert held(found(OBJECT_AND_ANOTHER, slice_range=(0, 14))) == list(range(15))


def test_between_two_prompts_nothing_is_taken_back() -> None:
    assert held(found(OBJECT_AND_ANOTHER, PROMPTED, 14)) == list(range(17))


def test_after_a_first_look_the_end_is_the_same() -> None:
    assert held(found(OBJECT_AND_ANOTHER, progressive=True)) == list(range(8))


@pytest.mark.parametrize("guesses", [(0.9, 0.9, 0.75, 0.9), (0.9, 0.5, 0.5, 0.5), (0.3, 0.9, 0.9), (0.9, 0.5, 0.65)])
def test_what_is_no_crossing(guesses: tuple[float, ...]) -> None:
    crossing = Crossing()
    for index, guess in enumerate(guesses):
        crossing.note(index, guess)
    assert not crossing.is_made


def test_the_crossing_is_where_the_guess_is_lowest() -> None:
    crossing = Crossing()
    for index, guess in enumerate((0.8, 0.9, 0.6, 0.4, 0.5, 0.8)):
        crossing.note(index, guess)
    assert crossing.is_made
    assert crossing.behind == [3, 4, 5]
