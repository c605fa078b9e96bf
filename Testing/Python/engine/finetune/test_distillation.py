from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medsam2_engine.finetune.distillation import (
    DistillationWeights,
    FeatureBridge,
    Teacher,
    as_teachers_pixels,
    distillation_loss,
)
from medsam2_engine.finetune.network import Points
from medsam2_engine.model.sam2 import Sam2
from seeded_networks import seeded_model
from training_phantoms import TINY

BOXES = Points(torch.tensor([[[10.0, 12.0], [40.0, 44.0]]] * 2), torch.tensor([[2, 3]] * 2))


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def teacher(tmp_path: Path) -> Teacher:
    return Teacher(seeded_model(TINY, seed=5), "teacher", tmp_path / "answers")


def test_a_teacher_is_asked_once_about_a_batch(teacher: Teacher, pixels: torch.Tensor) -> None:
    first, second = (teacher.answers(pixels, BOXES) for _ in range(2))
    assert teacher.asked == 1
    assert torch.equal(first.coarse, second.coarse)
    assert torch.equal(first.logits, second.logits)


def test_another_teacher_or_prompt_is_asked_again(teacher: Teacher, pixels: torch.Tensor, tmp_path: Path) -> None:
    teacher.answers(pixels, BOXES)
    teacher.answers(pixels, Points(BOXES.xy + 3, BOXES.labels))
    assert teacher.asked == 2
    other = Teacher(seeded_model(TINY, seed=6), "other", tmp_path / "answers")
    other.answers(pixels, BOXES)
    assert other.asked == 1


def test_the_teacher_sees_the_students_grey_values_at_its_own_size(pixels: torch.Tensor) -> None:
    frames = torch.zeros(1, 3, 32, 32)
    frames[:, 0, :16] = 2.0  # white
    frames[:, 0, 16:] = -2.0  # black
    seen = as_teachers_pixels(frames, 64)
    assert seen.shape == (1, 3, 64, 64)
    torch.testing.assert_close(seen[0, 0, 5, 5] * 0.229 + 0.485, torch.tensor(1.0))
    torch.testing.assert_close(seen[0, 2, 60, 5] * 0.225 + 0.406, torch.tensor(0.0), atol=1e-6, rtol=0)


def test_a_student_comes_nearer_to_its_teacher(teacher: Teacher, pixels: torch.Tensor, tiny_model: Sam2) -> None:
    torch.manual_seed(2)
    bridge = FeatureBridge(TINY.hidden, teacher.channels)
    wanted = teacher.answers(pixels, BOXES)
    optimiser = torch.optim.AdamW([*tiny_model.parameters(), *bridge.parameters()], lr=2e-3)
    losses = []
    for _ in range(25):
        loss = distillation_loss(tiny_model, bridge, pixels, BOXES, wanted, DistillationWeights())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
