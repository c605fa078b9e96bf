"""Random weights with which a model feels its memory from the first step on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from medsam2_engine.finetune import network
from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.initialisation import initialise
from medsam2_engine.finetune.probes import PARTS, Probes, by_place
from medsam2_engine.finetune.training import Training
from medsam2_engine.framing import ObjectFraming
from medsam2_engine.model.bank import MemoryBank
from medsam2_engine.model.sam2 import Sam2
from training_phantoms import QUICK, TINY, OneClip


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_map_begins_with_the_size_of_prompts_and_memories(tiny_model: Sam2, pixels: torch.Tensor) -> None:
    initialise(tiny_model, pixels, seed=1)
    coarse = tiny_model.encode(pixels).coarse
    assert coarse.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    assert coarse.std().item() == pytest.approx(1, abs=0.01)


@torch.no_grad()
def test_a_remembered_mask_is_felt_where_it_lay(tiny_model: Sam2, pixels: torch.Tensor) -> None:
    initialise(tiny_model, pixels, seed=1)
    features = tiny_model.encode(pixels[:1])
    frames = []
    for where in (slice(0, 32), slice(32, 64)):
        mask = torch.zeros(1, 64, 64)
        mask[:, where] = 1
        present = torch.ones(1, dtype=torch.bool)
        pointer = torch.zeros(1, TINY.hidden)
        bank = MemoryBank(TINY, 9)
        bank.add_conditioning(0, network.memories(tiny_model, features, mask, present, pointer))
        frames.append(network.remembering(tiny_model, features, bank.select(1)))
    change = (frames[0] - frames[1]).square().mean().sqrt()
    assert change > 0.1


def test_the_seed_decides_the_weights(tiny_model: Sam2, pixels: torch.Tensor) -> None:
    states = []
    for seed in (1, 1, 2):
        initialise(tiny_model, pixels, seed)
        states.append(tiny_model.memory_encoder.out_proj.weight.clone())
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_a_place_knows_its_own_part_of_a_mask() -> None:
    mask = torch.zeros(1, 64, 64)
    mask[0, 16:32, 32:48] = 1  # the place in row 1, column 2 of a grid of 4
    shares = by_place(mask, torch.zeros(1, 16, 64))
    assert shares.shape == (1, 16, PARTS**2)
    assert shares[0, 6].min() == 1
    assert shares.sum() == PARTS**2


def test_probes_learn_and_are_kept_with_the_training(tmp_path: Path, a_clip: Clip, tiny_model: Sam2) -> None:
    torch.manual_seed(0)
    probes = Probes(TINY.hidden)
    before = probes.memory.weight.detach().clone()
    training = Training(
        tiny_model, OneClip(a_clip), ObjectFraming(64), replace(QUICK, steps=2), tmp_path, probes=probes
    )
    training.run()
    assert not torch.equal(probes.memory.weight, before)
    assert "probes.memory.weight" in torch.load(tmp_path / "state.pt", weights_only=True)["weights"]
