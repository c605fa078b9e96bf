"""A small model learns from a large one: its features and its masks, without a label.

The student sees the product's own frames. The teacher sees the same part of the same slice, in grey, at its own size,
so that the maps of both lie over each other. The student's encoder learns from the teacher's coarse map without the
decoder between (as in MobileSAM, Zhang et al., arXiv:2306.14289): by the mean squared error and a perceptual term, as
in KD-SAM (Patil et al., arXiv:2501.16740), here one minus the cosine of the features at every place. Beside it, all of
the student learns from the teacher's masks.

The teacher answers a clip once; its answers lie in a folder and are read from there afterwards.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medsam2_engine.atomic_file import replacing
from medsam2_engine.finetune import network
from medsam2_engine.finetune.network import Points
from medsam2_engine.model.sam2 import Sam2

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, as SAM 2 was trained
STUDENT_SCALE, STUDENT_MIDDLE = 0.25, 0.5  # of the student's first channel, see `object_crop.channels`


@dataclass(frozen=True)
class DistillationWeights:
    features: float = 1.0
    similarity: float = 1.0
    masks: float = 1.0


@dataclass(frozen=True)
class TeacherAnswers:
    """For B frames: the teacher's coarse map and its mask."""

    coarse: Tensor  # (B, C, m, m) float32
    logits: Tensor  # (B, 4m, 4m) float32


class Teacher:
    """A frozen model whose answers are kept in a folder."""

    def __init__(self, model: Sam2, name: str, folder: Path) -> None:
        """name: goes into the key of what is kept, so that another teacher is asked again."""
        self._model = model.eval().requires_grad_(False)
        self._name, self._folder = name, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.asked = 0

    @property
    def channels(self) -> int:
        return self._model.config.hidden

    @torch.no_grad()
    def answers(self, pixels: Tensor, points: Points) -> TeacherAnswers:
        """For a student's frames (B, 3, S, S) and its prompts (in pixels of those frames)."""
        path = self._folder / f"{self._key(pixels, points)}.safetensors"
        if path.is_file():
            kept = load_file(path)
            return TeacherAnswers(kept["coarse"].float(), kept["logits"].float())
        found = self._asked(pixels, points)
        with replacing(path) as temporary:
            save_file(
                {"coarse": found.coarse.half().contiguous(), "logits": found.logits.half().contiguous()}, temporary
            )
        return TeacherAnswers(found.coarse.half().float(), found.logits.half().float())

    def _asked(self, pixels: Tensor, points: Points) -> TeacherAnswers:
        self.asked += 1
        size = self._model.config.image_size
        scale = size / pixels.shape[-1]
        features = self._model.encode(as_teachers_pixels(pixels, size))
        enlarged = Points((points.xy + 0.5) * scale - 0.5, points.labels)
        answers = network.prompted(self._model, features, enlarged, None)
        best = answers.ious.argmax(1)
        return TeacherAnswers(features.coarse, answers.chosen(best)[0])

    def _key(self, pixels: Tensor, points: Points) -> str:
        digest = hashlib.sha256(self._name.encode())
        for tensor in (pixels, points.xy, points.labels):
            digest.update(tensor.contiguous().cpu().numpy().tobytes())
        return digest.hexdigest()[:32]


class FeatureBridge(nn.Module):
    """The student's coarse map in as many channels as the teacher's; needed in training only."""

    def __init__(self, student: int, teacher: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(student, teacher, kernel_size=1)

    def forward(self, coarse: Tensor, side: int) -> Tensor:
        """(B, student, n, n) to (B, teacher, side, side)."""
        y: Tensor = F.interpolate(self.widen(coarse), size=(side, side), mode="bilinear", align_corners=False)
        return y


def distillation_loss(
    student: Sam2, bridge: FeatureBridge, pixels: Tensor, points: Points, wanted: TeacherAnswers, w: DistillationWeights
) -> Tensor:
    """A scalar with gradients."""
    features = student.encode(pixels)
    guessed = bridge(features.coarse, wanted.coarse.shape[-1])
    scale = wanted.coarse.std().clamp(min=1e-6)
    loss = w.features * F.mse_loss(guessed / scale, wanted.coarse / scale)
    loss = loss + w.similarity * (1 - F.cosine_similarity(guessed, wanted.coarse, dim=1)).mean()
    answers = network.prompted(student, features, points, None)
    full = network.at_full_size(student, answers.logits)
    size = student.config.image_size
    sure = F.interpolate(wanted.logits[:, None], size=(size, size), mode="bilinear", align_corners=False).sigmoid()
    each = F.binary_cross_entropy_with_logits(full, sure.expand_as(full), reduction="none").flatten(2).mean(2)
    return loss + w.masks * each.min(1).values.mean()


def as_teachers_pixels(pixels: Tensor, size: int) -> Tensor:
    """The student's frames (B, 3, S, S), whose first channel is the intensity, as (B, 3, size, size) grey frames."""
    grey = (pixels[:, :1] * STUDENT_SCALE + STUDENT_MIDDLE).clamp(0, 1)
    grey = F.interpolate(grey, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    mean, deviation = (grey.new_tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    return (grey - mean) / deviation
