"""The model card of a trained model: what it is made of, from what, under which licence, and how good it is."""

from __future__ import annotations

from collections.abc import Iterator

from medsam2_engine.finetune.outcome import Outcome
from medsam2_engine.finetune.scoring import TOLERANCE_MM
from medsam2_engine.finetune.settings import ALL, HEAD, LORA
from medsam2_engine.version import VERSION

WHAT_LEARNT = {HEAD: "everything but the image encoder", LORA: "low-rank differences (LoRA)", ALL: "everything"}


def model_card(outcome: Outcome) -> str:
    """Markdown."""
    return "\n".join([*_head(outcome), *_figures(outcome), *_data(outcome), *_training(outcome)]) + "\n"


def figures_table(outcome: Outcome) -> Iterator[str]:
    """Before and after by structure, as a Markdown table."""
    surface = f"surface Dice ({TOLERANCE_MM:g} mm) before / after"
    yield f"| structure | n | Dice before | Dice after | change ± sd | {surface} |"
    yield "|---|---|---|---|---|---|"
    for row in outcome.rows:
        yield (
            f"| {row.name} | {row.count} | {row.dice_before:.3f} | {row.dice_after:.3f} | {row.gain:+.3f} ± "
            f"{row.spread:.3f} | {row.surface_before:.3f} / {row.surface_after:.3f} |"
        )


def _head(outcome: Outcome) -> Iterator[str]:
    yield f"# Model card: {outcome.title}"
    yield ""
    yield f"Made from {outcome.base_title} by `medsam2 finetune` (version {VERSION}). Not a medical device: every"
    yield "result has to be checked by a person."
    yield ""
    yield f"* What learnt: {WHAT_LEARNT[outcome.settings.trained]}, {100 * outcome.share:.1f} % of the parameters."
    yield f"* Licence of the base: {outcome.base_licence}. The result is under it too, and under that of your data."
    yield ""


def _figures(outcome: Outcome) -> Iterator[str]:
    yield "## Figures"
    yield ""
    if not outcome.rows:
        yield "No case was kept apart, so there are none."
    else:
        yield f"On {len(outcome.validation)} cases of subjects that were not trained on, with one box on the largest"
        yield "slice and the true first and last slice. They also decided when the training ended, so they are"
        yield "slightly optimistic."
        yield ""
        yield from figures_table(outcome)
    yield ""


def _data(outcome: Outcome) -> Iterator[str]:
    yield "## Training data"
    yield ""
    subjects = len({case.subject for case in outcome.training})
    yield f"{len(outcome.training)} cases of {subjects} subjects."
    yield ""
    yield "| licence | cases |"
    yield "|---|---|"
    yield from (f"| {licence} | {count} |" for licence, count in outcome.licences.items())
    yield ""
    yield "| case | structures | SHA-256 of its files |"
    yield "|---|---|---|"
    for case in outcome.training:
        yield f"| {case.id} | {', '.join(s.name for s in case.structures)} | `{case.sha256}` |"
    yield ""


def _training(outcome: Outcome) -> Iterator[str]:
    settings = outcome.settings
    yield "## Training"
    yield ""
    slices = settings.frames * settings.accumulation
    yield f"{outcome.steps} steps of {slices} slices, seed {settings.seed}, AdamW with a learning rate of"
    yield f"{settings.learning_rate:g}, moving average {settings.average:g}. Loss: docs/finetuning.md."
