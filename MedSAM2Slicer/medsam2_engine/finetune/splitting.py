"""Which subjects train and which are kept apart, so that no patient is on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medsam2_engine.finetune.cases import TrainingCase

VALIDATION_SHARE = 0.2


def split_by_subject(
    cases: Sequence[TrainingCase], seed: int, share: float = VALIDATION_SHARE
) -> tuple[tuple[TrainingCase, ...], tuple[TrainingCase, ...]]:
    """Training cases and cases kept apart: a fifth of the subjects, at least one; none if there is only one subject."""
    subjects = sorted({case.subject for case in cases if case.has_image})
    if len(subjects) < 2:
        return tuple(cases), ()
    count = max(1, round(share * len(subjects)))
    apart = {str(name) for name in np.random.default_rng(seed).permutation(subjects)[:count]}
    return (
        tuple(case for case in cases if case.subject not in apart),
        tuple(case for case in cases if case.subject in apart),
    )
