"""Where clips come from, and how many of them make a micro-batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medsam2_engine.errors import BadRequest
from medsam2_engine.finetune.case_clips import ClipOptions, clip_of_case
from medsam2_engine.finetune.cases import TrainingCase
from medsam2_engine.finetune.clips import SMALLEST_OBJECT, Clip
from medsam2_engine.finetune.intensities import with_other_intensities
from medsam2_engine.finetune.samples import BOX, MASK, POINT, Batch, Sample, collated, sample_of
from medsam2_engine.finetune.settings import Settings
from medsam2_engine.framing import Framing

THROWS = 200  # before a folder is said to hold nothing usable
BACKWARDS_SHARE = 0.25
SMALLEST_START = 0.15  # of the object on the clip's first slice


class ClipSource(Protocol):
    """An endless supply; the generator alone decides which clip comes."""

    def draw(self, rng: np.random.Generator) -> Clip: ...


@dataclass(frozen=True)
class CaseClips:
    """Clips of a user's cases, every case as often as any other."""

    cases: Sequence[TrainingCase]
    options: ClipOptions

    def draw(self, rng: np.random.Generator) -> Clip:
        for _ in range(THROWS):
            clip = clip_of_case(rng, self.cases[int(rng.integers(len(self.cases)))], self.options)
            if clip is not None:
                return clip
        raise BadRequest(
            "No clip could be cut from these cases: their structures are too small, or have too few slices. Check that "
            "the segmentations lie on their volumes."
        )


def batch_of(rng: np.random.Generator, source: ClipSource, framing: Framing, settings: Settings) -> Batch:
    """A micro-batch: one kind of prompt, one length, as many objects as make up the wanted number of slices."""
    length = int(rng.choice(settings.lengths))
    shares = (settings.box, settings.point, max(0.0, 1 - settings.box - settings.point))
    kind = str(rng.choice((BOX, POINT, MASK), p=shares))
    if kind == MASK and length == 1:
        kind = BOX  # a mask alone teaches nothing but its pointer
    samples: list[Sample] = []
    wanted = max(1, settings.frames // length)
    for _ in range(THROWS * wanted):
        sample = _sample(rng, source, framing, kind, length)
        if sample is not None:
            samples.append(sample)
        if len(samples) == wanted:
            return collated(samples, kind)
    raise BadRequest("The objects of these cases cannot be seen in the model's frame. Check the segmentations.")


def _sample(rng: np.random.Generator, source: ClipSource, framing: Framing, kind: str, length: int) -> Sample | None:
    clip = source.draw(rng)
    if clip.length < length:
        return None
    clip = _part(rng, clip, length).turned(int(rng.integers(8)))
    return sample_of(rng, with_other_intensities(rng, clip), framing, kind)


def _part(rng: np.random.Generator, clip: Clip, length: int) -> Clip:
    """The first slices, or some in the other order.

    Clips lead to the end of an object more often than to its middle. A model that sees them in this order alone lets
    every object shrink, and loses one that was prompted on a small slice before it comes to the large ones.
    """
    if length > 1 and rng.random() < BACKWARDS_SHARE:
        areas = clip.masks.sum(axis=(1, 2))
        enough = max(SMALLEST_OBJECT, SMALLEST_START * areas[0])
        starts = [index for index in range(length - 1, clip.length) if areas[index] >= enough]
        if starts:
            return clip.backwards(int(rng.choice(starts)), length)
    return clip.shortened(length)
