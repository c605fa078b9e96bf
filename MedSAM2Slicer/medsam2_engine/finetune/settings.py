"""All choices of a training, in one record that is kept with its checkpoints: another record is another training."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field

from medsam2_engine.finetune.losses import LossWeights

HEAD, LORA, ALL, CORRECTIONS = "head", "lora", "all", "corrections"


@dataclass(frozen=True)
class Settings:
    """A training.

    Attributes:
        trained: "head" (mask decoder, memory, prompts), "lora" (low-rank differences), "all", or "corrections" (what
            nothing but clicks and earlier answers pass through, and the guess of the own overlap).
        rank: of the low-rank differences; 0 is as much as stays under 3 % of the parameters.
        steps: optimiser steps of the whole training.
        frames: slices per micro-batch; a step adds the gradients of `accumulation` micro-batches.
        lengths: clip lengths, drawn with equal chance.
        drift: part of the walks whose remembered masks are made a little smaller, or larger.
        box, point: shares of the prompts; the rest are masks.
        average: of the exponential moving average of the weights, which is the result.
        cooldown: last part of the steps over which the learning rate falls to `lowest` of its peak.
        patience: validations without progress, once the learning rate falls, before the training ends; 0 never ends
            early.
    """

    seed: int = 0
    trained: str = LORA
    rank: int = 0
    steps: int = 300
    frames: int = 12
    accumulation: int = 1
    lengths: tuple[int, ...] = (1, 3, 4, 5)
    box: float = 0.7
    point: float = 0.15
    drift: float = 0.0
    learning_rate: float = 3e-4
    warmup: int = 20
    cooldown: float = 0.5
    lowest: float = 0.02
    weight_decay: float = 0.05
    clip: float = 1.0
    average: float = 0.99
    patience: int = 3
    losses: LossWeights = field(default_factory=LossWeights)

    @property
    def digest(self) -> str:
        """Equal for trainings that may go on from each other: all but the number of steps, which may be raised."""
        choices = asdict(self)
        del choices["steps"]
        if not self.drift:
            del choices["drift"]  # younger than the others: trainings begun without it go on
        return hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def cooldown_start(self) -> float:
        """The step from which on the learning rate falls."""
        return self.steps * (1 - self.cooldown)

    def rate(self, step: int) -> float:
        """The learning rate of a step: linear warm-up, plateau, cosine down."""
        start = self.cooldown_start
        down = min(1.0, max(0.0, (step - start) / max(1.0, self.steps - start)))
        fall = self.lowest + (1 - self.lowest) * 0.5 * (1 + math.cos(math.pi * down))
        return self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup)) * fall
