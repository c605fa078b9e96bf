"""A tiny model, a clip, and a folder as a user has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.shapes import shape_clip
from medsam2_engine.model.sam2 import Sam2
from training_phantoms import TINY, write_pair


@pytest.fixture
def tiny_model() -> Sam2:
    torch.manual_seed(0)
    return Sam2(TINY)


@pytest.fixture(scope="session")
def a_clip() -> Clip:
    rng = np.random.default_rng(1)
    return next(clip for _ in range(20) if (clip := shape_clip(rng, 3)) is not None)


@pytest.fixture
def case_folder(tmp_path: Path) -> Path:
    """Four volumes side by side with their label maps, oblique in space."""
    folder = tmp_path / "cases"
    folder.mkdir()
    for number in range(4):
        write_pair(folder, f"case{number}", number)
    return folder
