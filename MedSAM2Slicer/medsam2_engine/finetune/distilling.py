"""The steps of a distillation: a student and the layer between, on batches that the teacher is asked about once.

Every batch is drawn from its own seed, and the state is written now and then, so a distillation that was killed goes on
to the same weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from medsam2_engine.finetune.clip_sources import ClipSource, batch_of
from medsam2_engine.finetune.distillation import DistillationWeights, FeatureBridge, Teacher, distillation_loss
from medsam2_engine.finetune.network import Points
from medsam2_engine.finetune.settings import Settings
from medsam2_engine.finetune.trainable import put
from medsam2_engine.finetune.training import BETAS
from medsam2_engine.finetune.training_state import TrainingState, read_state, write_state
from medsam2_engine.framing import Framing
from medsam2_engine.model.sam2 import Sam2

CHECKPOINT_S = 120.0


class Distilling:
    """A student being taught in a folder; goes on from the state it finds there."""

    def __init__(
        self,
        student: Sam2,
        teacher: Teacher,
        source: ClipSource,
        framing: Framing,
        settings: Settings,
        batches: int,
        folder: Path,
        data_digest: str,
    ) -> None:
        """batches: different ones; they come round.

        Raises:
            BadRequest: see `read_state`.
        """
        self._student, self._teacher = student.train(), teacher
        self._source, self._framing, self._settings = source, framing, settings
        self._batches, self._folder = max(1, batches), folder
        self._digest = f"{settings.digest}-{data_digest}"
        self._bridge = _seeded_bridge(student, teacher, settings.seed)
        named = [("student", student), ("bridge", self._bridge)]
        self._parameters: dict[str, nn.Parameter] = {
            f"{part}.{name}": parameter for part, module in named for name, parameter in module.named_parameters()
        }
        self._optimiser = torch.optim.AdamW(
            self._parameters.values(), lr=0.0, betas=BETAS, weight_decay=settings.weight_decay
        )
        self.step, self.loss = 0, float("nan")
        self._resume()

    def run(self, is_stopped: Callable[[], bool], report: Callable[[], None]) -> bool:
        """Teach to the end; False if it was stopped before. Either way the state is written."""
        written = time.monotonic()
        while self.step < self._settings.steps and not is_stopped():
            self._take_step()
            if time.monotonic() - written > CHECKPOINT_S:
                self.save()
                written = time.monotonic()
            report()
        self.save()
        return self.step >= self._settings.steps

    def save(self) -> None:
        weights = {name: parameter.detach() for name, parameter in self._parameters.items()}
        state = TrainingState(self.step, self._digest, weights, {}, self._optimiser.state_dict(), {}, 0.0, 0)
        write_state(self._folder, state)

    def _resume(self) -> None:
        state = read_state(self._folder, self._digest)
        if state is not None:
            put(self._parameters, state.weights)
            self._optimiser.load_state_dict(state.optimiser)
            self.step = state.step

    def _take_step(self) -> None:
        loss = self._loss_of(self.step % self._batches)
        for group in self._optimiser.param_groups:
            group["lr"] = self._settings.rate(self.step)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters.values(), self._settings.clip)
        self._optimiser.step()
        self.step, self.loss = self.step + 1, loss.item()

    def _loss_of(self, number: int) -> torch.Tensor:
        rng = np.random.default_rng([self._settings.seed, number])
        batch = batch_of(rng, self._source, self._framing, self._settings)
        assert isinstance(batch.points, Points), "clips of one slice are prompted by boxes or points"
        pixels = batch.pixels[:, 0]
        wanted = self._teacher.answers(pixels, batch.points)
        return distillation_loss(self._student, self._bridge, pixels, batch.points, wanted, DistillationWeights())


def _seeded_bridge(student: Sam2, teacher: Teacher, seed: int) -> FeatureBridge:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FeatureBridge(student.config.hidden, teacher.channels)
