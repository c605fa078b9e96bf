"""The loop: steps, the moving average, checkpoints, validations.

Every process draws its batches from a generator seeded by (seed, step, micro-batch, rank) and nothing else, so that a
training is repeated by its settings, and goes on after a kill as if nothing had happened.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medsam2_engine.finetune.clip_sources import ClipSource, batch_of
from medsam2_engine.finetune.playing import drawn_play, played
from medsam2_engine.finetune.probes import Probes
from medsam2_engine.finetune.settings import CORRECTIONS, Settings
from medsam2_engine.finetune.statistics import Statistics
from medsam2_engine.finetune.team import Alone, Team
from medsam2_engine.finetune.trainable import groups, make_trainable, put
from medsam2_engine.finetune.training_state import TrainingState, read_state, write_state
from medsam2_engine.framing import Framing
from medsam2_engine.model.sam2 import Sam2

LOG_FILE = "log.jsonl"
BETAS = (0.9, 0.98)

Validate = Callable[[], float]


def _never() -> bool:
    return False


def _ignore(step: int) -> None:
    pass


@dataclass(frozen=True)
class Rhythm:
    """Steps between lines of the log and between validations, and seconds between checkpoints."""

    log: int = 10
    validation: int = 50
    checkpoint_s: float = 120.0


class Training:
    """A model being trained in a folder; goes on from the state it finds there."""

    def __init__(
        self,
        model: Sam2,
        source: ClipSource,
        framing: Framing,
        settings: Settings,
        folder: Path,
        validate: Validate | None = None,
        rhythm: Rhythm | None = None,
        team: Team | None = None,
        device: str = "cpu",
        data_digest: str = "",
        probes: Probes | None = None,
    ) -> None:
        """validate: the score of the averaged weights on cases kept apart, higher is better.

        Raises:
            BadRequest: see `make_trainable` and `read_state`.
        """
        self.model = model.to(device).train()
        self.settings = settings
        self.parameters = make_trainable(self.model, settings)
        self._probes = None if probes is None else probes.to(device)
        if self._probes is not None:
            self.parameters |= {f"probes.{name}": p for name, p in self._probes.named_parameters()}
        self._source, self._framing, self._folder = source, framing, folder
        self.validate, self._rhythm, self._team = validate, rhythm or Rhythm(), team or Alone()
        self._device = device
        self._digest = f"{settings.digest}-{data_digest}"
        self._optimiser = torch.optim.AdamW(groups(self.parameters, settings), lr=0.0, betas=BETAS, foreach=True)
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.best = dict(self.average)
        self.best_score, self._waited, self.step = -math.inf, 0, 0
        self._statistics = Statistics()
        self.loss = math.nan  # of the last step
        self._resume()

    @property
    def is_finished(self) -> bool:
        patience = self.settings.patience
        return self.step >= self.settings.steps or bool(patience and self._waited >= patience)

    def run(self, is_stopped: Callable[[], bool] = _never, report: Callable[[int], None] = _ignore) -> bool:
        """Train to the end; False if it was stopped before. Either way the state is written."""
        written = time.monotonic()
        if self.step == 0 and self.validate is not None:
            self._judge()
        while not self.is_finished and not self._is_stopped(is_stopped):
            self._take_step()
            if self.step % self._rhythm.log == 0:
                self._log(rate=self.settings.rate(self.step - 1), **self._statistics.flush())
            if self.validate is not None and self.step % self._rhythm.validation == 0:
                self._judge()
            if time.monotonic() - written > self._rhythm.checkpoint_s:
                self.save()
                written = time.monotonic()
            report(self.step)
        if self.validate is not None and self.step % self._rhythm.validation and not self._is_stopped(is_stopped):
            self._judge()
        self.save()
        return self.is_finished

    def _is_stopped(self, is_stopped: Callable[[], bool]) -> bool:
        """Where one process of several is asked to stop, all do: the others would wait for its gradients."""
        return self._team.mean(float(is_stopped())) > 0

    def save(self) -> None:
        if self._team.rank:
            return
        weights = {name: p.detach().cpu() for name, p in self.parameters.items()}
        average, best = ({name: v.cpu() for name, v in values.items()} for values in (self.average, self.best))
        state = TrainingState(
            self.step, self._digest, weights, average, self._optimiser.state_dict(), best, self.best_score, self._waited
        )
        write_state(self._folder, state)

    def _resume(self) -> None:
        state = read_state(self._folder, self._digest)
        if state is None:
            return
        put(self.parameters, state.weights)
        self._optimiser.load_state_dict(state.optimiser)
        self.average = {name: value.to(self._device) for name, value in state.average.items()}
        self.best = {name: value.to(self._device) for name, value in state.best.items()}
        self.step, self.best_score, self._waited = state.step, state.best_score, state.waited

    def _take_step(self) -> None:
        settings = self.settings
        self._optimiser.zero_grad()
        total = 0.0
        for number in range(settings.accumulation):
            rng = np.random.default_rng([settings.seed, self.step, number, self._team.rank])
            loss = self._loss(rng) / settings.accumulation
            loss.backward()  # type: ignore[no-untyped-call]
            self._statistics.add_value("loss", loss.item() * settings.accumulation)
            total += loss.item()
        self.loss = total
        self._team.average_gradients(self.parameters.values())
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), settings.clip)
        rate = settings.rate(self.step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        if torch.isfinite(norm):
            self._optimiser.step()
        self._statistics.add_value("gradient", float(norm))
        self.step += 1
        self._update_average()

    def _loss(self, rng: np.random.Generator) -> Tensor:
        batch = batch_of(rng, self._source, self._framing, self.settings).to(self._device)
        settings = self.settings
        play = drawn_play(rng, batch.truth.shape[1], settings.trained == CORRECTIONS, settings.drift)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=self._device == "cuda"):
            return played(self.model, batch, play, settings.losses, rng, self._statistics, self._probes)

    @torch.no_grad()
    def _update_average(self) -> None:
        share = min(self.settings.average, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), 1 - share)

    def _judge(self) -> None:
        assert self.validate is not None
        trained = {name: p.detach().clone() for name, p in self.parameters.items()}
        put(self.parameters, self.average)
        self.model.eval()
        score = self._team.mean(self.validate())
        self.model.train()
        put(self.parameters, trained)
        if score > self.best_score:
            self.best_score, self._waited = score, 0
            self.best = {name: value.clone() for name, value in self.average.items()}
        elif self.step > self.settings.cooldown_start:
            # Before, the steps are so large that the score wanders.
            self._waited += 1
        self._log(validation=round(score, 4))

    def _log(self, **values: Any) -> None:
        if self._team.rank == 0:
            line = {"step": self.step, "time": round(time.time(), 1), **values}
            with (self._folder / LOG_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
