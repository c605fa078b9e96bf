from __future__ import annotations

import numpy as np
import torch

from medsam2_engine.finetune.playing import FURTHEST_DRIFT, drawn_drift, drifted
from medsam2_engine.finetune.settings import Settings


def square() -> torch.Tensor:
    """Three times the logits of a mask of 10 x 10 pixels."""
    logits = torch.full((3, 32, 32), -1.0)
    logits[:, 10:20, 10:20] = 1.0
    return logits


def test_masks_move_by_so_many_pixels_on_every_side() -> None:
    areas = (drifted(square(), [0, -2, 3]) > 0).flatten(1).sum(1).tolist()
    assert areas == [10 * 10, 6 * 6, 16 * 16]


def test_a_mask_may_drift_away_altogether() -> None:
    assert not (drifted(square()[:1], [-6]) > 0).any()


def test_as_many_walks_drift_as_asked_for_and_as_many_shrink_as_swell() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([pixels for _ in range(500) for pixels in drawn_drift(rng, 4, 0.35)])
    assert abs((drawn != 0).mean() - 0.35) < 0.03
    assert abs((drawn > 0).sum() / (drawn != 0).sum() - 0.5) < 0.05
    assert set(drawn) == set(range(-FURTHEST_DRIFT, FURTHEST_DRIFT + 1))


def test_without_drift_no_random_number_is_drawn() -> None:
    rng, untouched = np.random.default_rng(0), np.random.default_rng(0)
    assert drawn_drift(rng, 3, 0.0) == [0, 0, 0]
    assert rng.random() == untouched.random()


def test_a_training_begun_before_there_was_drift_goes_on() -> None:
    assert Settings().digest == "49ab896c8d95355d"
    assert Settings(drift=0.1).digest != Settings().digest
