"""What a training has come to: before and after on the cases kept apart, and what it was made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from medsam2_engine.finetune.cases import TrainingCase
from medsam2_engine.finetune.scoring import Score
from medsam2_engine.finetune.settings import Settings


@dataclass(frozen=True)
class Outcome:
    """`before` and `after` are scores of the same tasks in the same order; empty if no case was kept apart."""

    title: str
    base_title: str
    base_licence: str
    settings: Settings
    steps: int
    share: float
    training: Sequence[TrainingCase]
    validation: Sequence[TrainingCase]
    before: Sequence[Score]
    after: Sequence[Score]

    @property
    def structures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(score.structure for score in self.before))

    def row(self, structure: str) -> Row:
        """The figures of one structure; "" is all of them."""
        pairs = [(b, a) for b, a in zip(self.before, self.after, strict=True) if structure in ("", b.structure)]
        gains = [a.dice - b.dice for b, a in pairs]
        return Row(
            structure or "all",
            len(pairs),
            mean(b.dice for b, _ in pairs),
            mean(a.dice for _, a in pairs),
            mean(gains),
            stdev(gains) if len(gains) > 1 else 0.0,
            mean(b.surface_dice for b, _ in pairs),
            mean(a.surface_dice for _, a in pairs),
        )

    @property
    def rows(self) -> tuple[Row, ...]:
        if not self.before:
            return ()
        single = [self.row(structure) for structure in self.structures]
        return (*single, self.row("")) if len(single) > 1 else tuple(single)

    @property
    def licences(self) -> dict[str, int]:
        """How many training cases are under which licence."""
        found: dict[str, int] = {}
        for case in self.training:
            name = case.licence or "not stated"
            found[name] = found.get(name, 0) + 1
        return found

    @property
    def facts(self) -> dict[str, float]:
        """The figures of `summary`; none if no case was kept apart."""
        if not self.before:
            return {}
        row = self.row("")
        return {
            "count": row.count,
            "before": round(row.dice_before, 4),
            "after": round(row.dice_after, 4),
            "change": round(row.gain, 4),
            "spread": round(row.spread, 4),
        }

    @property
    def summary(self) -> str:
        """One sentence for the end of a command."""
        if not self.before:
            return "No case was kept apart, so nobody knows whether the model is better. Give more subjects."
        row = self.row("")
        return (
            f"Dice on {row.count} structures kept apart: {row.dice_before:.3f} before, {row.dice_after:.3f} after "
            f"(change {row.gain:+.3f} ± {row.spread:.3f})."
        )


@dataclass(frozen=True)
class Row:
    """Means over `count` structures; `gain` and `spread` are mean and standard deviation of the change in Dice."""

    name: str
    count: int
    dice_before: float
    dice_after: float
    gain: float
    spread: float
    surface_before: float
    surface_after: float
