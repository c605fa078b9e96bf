"""Running means of what the answers of a training look like, one line of JSON at a time."""

from __future__ import annotations

from collections import defaultdict

import torch

from medsam2_engine.finetune.losses import AnswerLoss
from medsam2_engine.finetune.network import Answers


class Statistics:
    """Means since the last `flush`: `dice_NAME` over present objects, hits of the object score, error of the IoU guess.

    `iou_correlation` is that of guessed and real IoU over all answers.
    """

    def __init__(self) -> None:
        self._sums: defaultdict[str, list[float]] = defaultdict(list)
        self._guessed: list[float] = []
        self._real: list[float] = []

    def add_value(self, name: str, value: float) -> None:
        self._sums[name].append(value)

    @torch.no_grad()
    def add(self, name: str, loss: AnswerLoss, answers: Answers) -> None:
        present = loss.present
        rows = torch.arange(len(present), device=present.device)
        guesses = answers.ious[rows, loss.best]
        if present.any():
            self._sums[f"dice_{name}"] += loss.dice[present].tolist()
            self._guessed += guesses[present].tolist()
            self._real += loss.true_iou[present].tolist()
        if name.startswith("slice"):
            hits = (answers.object_score > 0) == present
            self._sums["seen_present"] += hits[present].float().tolist()
            self._sums["seen_absent"] += hits[~present].float().tolist()

    def flush(self) -> dict[str, float]:
        means = {name: round(sum(values) / len(values), 4) for name, values in sorted(self._sums.items()) if values}
        if len(self._real) > 2:
            pairs = torch.corrcoef(torch.tensor([self._guessed, self._real]))
            means["iou_correlation"] = round(float(pairs[0, 1].nan_to_num()), 4)
        self.__init__()  # type: ignore[misc]
        return means
