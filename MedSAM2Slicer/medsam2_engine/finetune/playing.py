"""A batch of clips played as a user would: prompt, correct, follow through the slices, correct on the way.

After every answer its loss is taken. What is remembered are the model's own masks, or the true ones now and then, so
that it learns from a good past first and from its own later. Gradients do not run through remembered masks, as a mask
on the screen has none. Some walks drift: every mask that is remembered is a little smaller, or larger, than the one
that was found. Who believes such a past lets an object shrink or swell from slice to slice; image and prompt know
better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from medsam2_engine.finetune import network
from medsam2_engine.finetune.clicks import clicks_on_errors
from medsam2_engine.finetune.losses import AnswerLoss, LossWeights, answer_loss
from medsam2_engine.finetune.network import Answers, Points
from medsam2_engine.finetune.probes import Probes
from medsam2_engine.finetune.samples import Batch
from medsam2_engine.finetune.statistics import Statistics
from medsam2_engine.model.bank import Memory, MemoryBank
from medsam2_engine.model.frame import ImageFeatures
from medsam2_engine.model.sam2 import Sam2

CLICKS = (0.62, 0.13, 0.1, 0.06, 0.05, 0.04)  # chances of 0, 1, 2 ... corrections; more than ever seen do harm
CLICKS_OF_CORRECTIONS = (0.0, 0.25, 0.25, 0.2, 0.15, 0.15)
MANY_SLICES = 1000  # a volume's length as the memory bank is told it
FURTHEST_DRIFT = 3  # pixels of the frame, on every side
RMS_LIMIT, RMS_WEIGHT = 2.0, 0.02  # of the stride-16 map: it must not drown prompts and memories, which are about 1


@dataclass(frozen=True)
class Play:
    """What happens to a batch.

    Attributes:
        clicks: corrections on the prompted slice.
        corrected: number of the later slice that gets one corrective click, 0 for none.
        age: slices between the prompted one and the next, as far on in a long walk.
        true_memory: how often a remembered mask is the true one.
        true_presence: how often presence is dictated.
        drift: how often an object's remembered masks drift.
    """

    clicks: int = 0
    corrected: int = 0
    age: int = 0
    true_memory: float = 0.1
    true_presence: float = 0.3
    drift: float = 0.0


def drawn_play(rng: np.random.Generator, length: int, is_corrected: bool = False, drift: float = 0.0) -> Play:
    """A random play for clips of that length; is_corrected: never without a click."""
    clicks = int(rng.choice(len(CLICKS), p=CLICKS_OF_CORRECTIONS if is_corrected else CLICKS))
    corrected = int(rng.integers(1, length)) if length > 1 and (rng.random() < 0.25 or is_corrected) else 0
    age = int(rng.integers(0, 25)) if rng.random() < 0.4 else 0
    return Play(clicks, corrected, age, drift=drift)


def drawn_drift(rng: np.random.Generator, objects: int, share: float) -> list[int]:
    """How far the remembered masks of each object move outwards, in pixels of the frame; 0 for all but `share`."""
    if not share:
        return [0] * objects  # without a draw: trainings without drift stay what they were
    ways = rng.choice((-1, 0, 1), objects, p=(share / 2, 1 - share, share / 2))
    return [int(way) for way in ways * rng.integers(1, FURTHEST_DRIFT + 1, objects)]


def drifted(logits: Tensor, outwards: Sequence[int]) -> Tensor:
    """Logits (B, S, S) whose mask is larger, or smaller where `outwards` is negative, by so many pixels all round."""
    return torch.stack([_moved(one, pixels) for one, pixels in zip(logits, outwards, strict=True)])


def _moved(logits: Tensor, outwards: int) -> Tensor:
    """The largest logit around each pixel, or the smallest."""
    reach = abs(outwards)
    if not reach:
        return logits
    sign = 1 if outwards > 0 else -1
    return sign * F.max_pool2d(sign * logits[None], 2 * reach + 1, stride=1, padding=reach)[0]


def played(
    model: Sam2,
    batch: Batch,
    play: Play,
    weights: LossWeights,
    rng: np.random.Generator,
    statistics: Statistics,
    probes: Probes | None = None,
) -> Tensor:
    """The mean loss of all answers, and of the probes if there are any: a scalar with gradients."""
    return _Player(model, batch, play, weights, rng, statistics, probes).run()


class _Player:
    def __init__(
        self,
        model: Sam2,
        batch: Batch,
        play: Play,
        weights: LossWeights,
        rng: np.random.Generator,
        stats: Statistics,
        probes: Probes | None,
    ) -> None:
        self._model, self._batch, self._play, self._weights = model, batch, play, weights
        self._rng, self._statistics, self._probes = rng, stats, probes
        self._bank = MemoryBank(model.config, MANY_SLICES)
        self._drift = drawn_drift(rng, len(batch.truth), play.drift)
        self._losses: list[Tensor] = []
        self._readings: list[Tensor] = []

    def run(self) -> Tensor:
        batch = self._batch
        objects, length = batch.truth.shape[:2]
        features = self._model.encode(batch.pixels.transpose(0, 1).flatten(0, 1))
        for slice_ in range(length):
            rows = slice(slice_ * objects, (slice_ + 1) * objects)
            part = ImageFeatures(features.fine[rows], features.middle[rows], features.coarse[rows])
            if slice_ == 0:
                self._begin(part, length > 1)
            else:
                self._follow(part, slice_, slice_ < length - 1)
        rms = torch.relu(features.coarse.square().mean() - RMS_LIMIT)
        loss = torch.stack(self._losses).mean() + RMS_WEIGHT * rms
        return loss + torch.stack(self._readings).sum() / length if self._readings else loss

    def _begin(self, features: ImageFeatures, is_remembered: bool) -> None:
        batch, truth = self._batch, self._batch.truth[:, 0]
        if batch.points is None:
            answers = network.drawn(self._model, features, truth)
            self._judge(answers, 0, "mask")
            mask = truth
            which = torch.zeros(len(truth), dtype=torch.long, device=truth.device)
        else:
            answers = network.prompted(self._model, features, batch.points, None)
            loss, full = self._judge(answers, 0, batch.kind)
            which = loss.best
            answers, full, which = self._correct_first(features, batch.points, answers, full, which)
            mask = (full > 0).float()
        if is_remembered:
            present = truth.new_ones(len(truth), dtype=torch.bool)
            pointer = network.pointers(self._model, answers.chosen(which)[1], present)
            memory = network.memories(self._model, features, mask, present, pointer)
            self._bank.add_conditioning(0, memory)
            if self._probes is not None:
                self._readings.append(self._probes.of_memory(memory.tokens, mask))

    def _correct_first(
        self, features: ImageFeatures, points: Points, answers: Answers, full: Tensor, which: Tensor
    ) -> tuple[Answers, Tensor, Tensor]:
        """Clicks on the prompted slice, each after having seen the answer to the one before."""
        truth = self._batch.truth[:, 0]
        for number in range(self._play.clicks):
            xy, labels = clicks_on_errors(full > 0, truth > 0.5)
            points = points.and_clicks(xy, labels)
            previous = answers.chosen(which)[0].detach()
            answers = network.prompted(self._model, features, points, previous)
            loss, full = self._judge(answers, 0, f"click{number + 1}")
            which = loss.best
        return answers, full, which

    def _follow(self, features: ImageFeatures, slice_: int, is_remembered: bool) -> None:
        index = slice_ + self._play.age
        frame = network.remembering(self._model, features, self._bank.select(index))
        if self._probes is not None:
            self._readings.append(self._probes.of_frame(frame, self._batch.truth[:, slice_]))
        answers = network.followed(self._model, features, frame, None, None)
        loss, full = self._judge(answers, slice_, f"slice{min(slice_, 4)}")
        is_corrected = slice_ == self._play.corrected
        if is_corrected:
            truth = self._batch.truth[:, slice_] > 0.5
            shown = (full > 0) & (answers.object_score > 0)[:, None, None]
            xy, labels = clicks_on_errors(shown, truth)
            points = Points(xy[:, None], labels[:, None])
            previous = answers.chosen(loss.best)[0].detach()
            answers = network.followed(self._model, features, frame, points, previous)
            loss, full = self._judge(answers, slice_, "corrected")
        if is_remembered:
            self._bank.add(index, self._remembered(features, slice_, answers, loss, full, is_corrected))

    def _remembered(
        self, features: ImageFeatures, slice_: int, answers: Answers, loss: AnswerLoss, full: Tensor, is_sure: bool
    ) -> Memory:
        truth = self._batch.truth[:, slice_]
        dictated = self._thrown(self._play.true_presence, truth)
        present = torch.where(dictated, loss.present, answers.object_score > 0)
        certainty = (full > 0).to(full) if is_sure else drifted(full, self._drift).sigmoid()
        certainty = torch.where(present[:, None, None], certainty, torch.zeros_like(certainty))
        given = self._thrown(self._play.true_memory, truth)
        certainty = torch.where(given[:, None, None], truth, certainty)
        pointer = network.pointers(self._model, answers.chosen(loss.best)[1], present)
        memory = network.memories(self._model, features, certainty, present, pointer)
        if self._probes is not None:
            self._readings.append(self._probes.of_memory(memory.tokens, certainty))
        return memory

    def _judge(self, answers: Answers, slice_: int, name: str) -> tuple[AnswerLoss, Tensor]:
        """Take the loss; returns it with the best candidate's logits at full size, (B, S, S), without gradients."""
        truth, trust = self._batch.truth[:, slice_], self._batch.weights[:, slice_]
        full = network.at_full_size(self._model, answers.logits)
        loss = answer_loss(
            full, answers.ious, answers.object_score, truth, trust, self._weights, is_prompted=slice_ == 0
        )
        self._losses.append(loss.total)
        self._statistics.add(name, loss, answers)
        rows = torch.arange(len(truth), device=truth.device)
        return loss, full[rows, loss.best].detach()

    def _thrown(self, share: float, like: Tensor) -> Tensor:
        return torch.from_numpy(self._rng.random(len(like)) < share).to(like.device)
