"""The network is trained on the very pixels that the product shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from medsam2_engine.finetune.clip_sources import batch_of
from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.samples import BOX, KINDS, MASK, POINT, collated, jittered, sample_of
from medsam2_engine.finetune.settings import Settings
from medsam2_engine.framing import ObjectFraming, WholeSliceFraming
from medsam2_engine.session import Session
from medsam2_engine.slice_prompts import box_of_mask
from medsam2_protocol.prompts import BoxPrompt, SegmentPrompts


class Spy:
    """A backend that notes what it is asked, and answers nothing."""

    model_id = "spy"
    device_type = "cpu"

    def __init__(self, framing: ObjectFraming) -> None:
        self.framing = framing
        self.pixels: list[torch.Tensor] = []
        self.points: list[torch.Tensor] = []

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        self.pixels.append(pixels)
        return pixels

    def prompt(self, features: object, prompt: object, previous: object = None) -> None:
        self.points.append(prompt.points_xy)  # type: ignore[attr-defined]
        raise _Enough


class _Enough(Exception):
    pass


@dataclass
class Same:
    """A source with one clip."""

    clip: Clip

    def draw(self, rng: np.random.Generator) -> Clip:
        return self.clip


def test_a_box_shows_what_a_session_shows_for_that_box(a_clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    box = (30.0, 28.5, 70.25, 80.0)
    monkeypatch.setattr("medsam2_engine.finetune.samples.jittered", lambda rng, exact, shape: box)
    sample = sample_of(np.random.default_rng(0), a_clip, ObjectFraming(64), BOX)
    assert sample is not None
    spy = Spy(ObjectFraming(64))
    session = Session(a_clip.slices().volume, spy)  # type: ignore[arg-type]
    prompts = SegmentPrompts("s", (BoxPrompt("K", 0, box[:2], box[2:]),))
    with pytest.raises(_Enough):
        session.predict(prompts, "K", 0)
    torch.testing.assert_close(sample.pixels[:1], spy.pixels[0], rtol=0, atol=0)
    torch.testing.assert_close(sample.points, spy.points[0], rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_prompt_makes_a_batch(a_clip: Clip, kind: str) -> None:
    rng = np.random.default_rng(1)
    samples = [s for _ in range(6) if (s := sample_of(rng, a_clip, ObjectFraming(64), kind)) is not None]
    batch = collated(samples[:2], kind)
    assert batch.pixels.shape == (2, 3, 3, 64, 64)
    assert batch.truth[:, 0].flatten(1).sum(1).min() > 0
    assert (batch.points is None) == (kind == MASK)
    if batch.points is not None:
        assert batch.points.xy.shape == (2, 1 if kind == POINT else 2, 2)


def test_whole_slices_serve_models_that_look_at_whole_slices(a_clip: Clip) -> None:
    sample = sample_of(np.random.default_rng(1), a_clip, WholeSliceFraming(64), BOX)
    assert sample is not None
    assert sample.pixels.shape == (3, 3, 64, 64)
    (x0, y0), (x1, y1) = sample.points.tolist()
    rows, columns = np.nonzero(sample.truth[0].numpy())
    assert abs(columns.min() - x0) < 5
    assert abs(columns.max() - x1) < 5
    assert abs(rows.min() - y0) < 5
    assert abs(rows.max() - y1) < 5


def test_boxes_have_the_margin_of_a_hand_or_are_off_either_way() -> None:
    rng = np.random.default_rng(0)
    box = (20.0, 30.0, 59.0, 69.0)
    drawn = np.array([jittered(rng, box, (100, 100)) for _ in range(600)])
    outwards = (drawn - np.array(box)) * np.array([-1, -1, 1, 1]) / 40
    assert outwards.min() >= -0.1 - 1e-9
    assert outwards.max() <= 0.2 + 1e-9
    assert 0.02 < outwards.mean() < 0.04
    assert 0.2 < (outwards < 0).mean() < 0.4
    margins = outwards.mean(axis=1)
    assert (margins < 0).mean() > 0.15
    assert (margins > 0.1).mean() > 0.05


def test_a_box_stays_on_its_slice() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        x0, y0, x1, y1 = jittered(rng, (0.0, 0.0, 99.0, 49.0), (50, 100))
        assert 0 <= x0 <= x1 <= 99
        assert 0 <= y0 <= y1 <= 49


def test_a_clip_backwards_begins_with_the_slice_that_was_named(a_clip: Clip) -> None:
    trusted = replace(a_clip, confidence=np.linspace(0, 1, a_clip.length).astype(np.float32))
    last = a_clip.length - 1
    for start, length in ((last, a_clip.length), (last, 2), (1, 2)):
        turned = trusted.backwards(start, length)
        assert turned.length == length
        for place in range(length):
            np.testing.assert_array_equal(turned.images[place], a_clip.images[start - place])
            np.testing.assert_array_equal(turned.masks[place], a_clip.masks[start - place])
            assert turned.weights[place] == trusted.weights[start - place]


def test_batches_have_objects_that_grow_from_clips_in_which_they_shrink(a_clip: Clip) -> None:
    framing = ObjectFraming(64)
    shrinking = replace(a_clip, masks=a_clip.masks.copy())
    rows, columns = np.indices(shrinking.masks.shape[1:])
    y, x = (float(place.mean()) for place in np.nonzero(shrinking.masks[0]))
    for place in range(shrinking.length):
        shrinking.masks[place] = (rows - y) ** 2 + (columns - x) ** 2 < (9 - 1.5 * place) ** 2
    source = Same(shrinking)
    areas = []
    for seed in range(40):
        batch = batch_of(np.random.default_rng(seed), source, framing, Settings(frames=3, lengths=(3,), box=1, point=0))
        areas.append(batch.truth[0].sum(dim=(1, 2)).tolist())
    grown = [first < last for first, *_, last in areas]
    assert 0.15 < np.mean(grown) < 0.7
    assert all(first > 0 for first, *_ in areas)


def test_turning_a_clip_turns_its_spacing(a_clip: Clip) -> None:
    wide = replace(a_clip, spacing_xy=(0.5, 2.0))
    assert wide.turned(4).spacing_xy == (2.0, 0.5)
    assert wide.turned(3).spacing_xy == (0.5, 2.0)
    assert len({box_of_mask(wide.turned(n).masks[0]) for n in range(8)}) > 3
