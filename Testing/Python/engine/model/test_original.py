"""Our modules against what the original SAM 2 video predictor answered, recorded once.

Testing/Benchmarks/record_original.py made the file, on the weights and frames of Testing/seeded_network.py. Kept are
every second row and column of the low-resolution logits.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from medsam2_engine.model.bank import MemoryBank
from medsam2_engine.model.frame import FramePrompt
from medsam2_engine.model.sam2 import Sam2
from seeded_network import (
    BOX,
    CLICK,
    CONFIG,
    CORRECTION_LABELS,
    CORRECTIONS,
    FRAMES,
    drawn_mask,
    seeded_frames,
    seeded_state,
)

BOX_PROMPT = FramePrompt(torch.tensor(BOX), torch.tensor([2, 3]))
CLICK_PROMPT = FramePrompt(torch.tensor([CLICK]), torch.tensor([1]))
CORRECTION = FramePrompt(torch.tensor(CORRECTIONS), torch.tensor(CORRECTION_LABELS))
CORRECTED = 4


@pytest.fixture(scope="module")
def original():
    return load_file(Path(__file__).with_name("original_tiny_256.safetensors"))


@pytest.fixture(scope="module")
def model():
    model = Sam2(CONFIG).eval()
    model.load_state_dict(seeded_state())
    return model


@pytest.fixture(scope="module")
def features(model):
    with torch.inference_mode():
        return [model.encode(frame[None]) for frame in seeded_frames()]


class Follower:
    """One object in one direction, remembered."""

    def __init__(self, model, features, reverse=False):
        self.model, self.features = model, features
        self.bank = MemoryBank(CONFIG, FRAMES, reverse)
        self.masks = {}

    def start(self, frame, mask):
        self.masks[frame] = mask
        self.bank.add_conditioning(frame, self.model.remember(self.features[frame], mask, from_prompt=True))

    def follow(self, frames):
        for frame in frames:
            self.masks[frame] = self.model.track(self.features[frame], self.bank, frame)
            self.bank.add(frame, self.model.remember(self.features[frame], self.masks[frame], from_prompt=False))

    def correct(self, frame, prompt):
        previous = self.masks[frame].gated_logits
        mask = self.model.track(self.features[frame], self.bank, frame, prompt, previous)
        self.masks[frame] = mask
        self.bank.add(frame, self.model.remember(self.features[frame], mask, from_prompt=True))


def assert_alike(mask, recorded, tolerance=1e-3):
    ours = mask.gated_logits[::2, ::2]
    assert float((ours - recorded).abs().max()) <= tolerance
    assert float(((ours > 0) == (recorded > 0)).float().mean()) >= 0.9999


def test_a_box_is_answered_as_recorded(model, features, original):
    assert_alike(model.prompt(features[0], BOX_PROMPT), original["box"])


def test_a_click_takes_the_same_of_three_masks(model, features, original):
    assert_alike(model.prompt(features[FRAMES - 1], CLICK_PROMPT), original["click"])


def test_a_second_click_refines_the_first_answer_as_recorded(model, features, original):
    first = model.prompt(features[0], CLICK_PROMPT)
    assert_alike(model.prompt(features[0], CORRECTION, first.gated_logits), original["refined"])


def test_frames_are_followed_and_corrected_as_recorded(model, features, original):
    follower = Follower(model, features)
    follower.start(0, model.prompt(features[0], BOX_PROMPT))
    follower.follow(range(1, CORRECTED + 1))
    for frame in range(1, CORRECTED + 1):
        assert_alike(follower.masks[frame], original[f"forward {frame}"])
    follower.correct(CORRECTED, CORRECTION)
    assert_alike(follower.masks[CORRECTED], original["correction"])
    follower.follow(range(CORRECTED + 1, FRAMES))
    for frame in range(CORRECTED + 1, FRAMES):
        assert_alike(follower.masks[frame], original[f"corrected {frame}"])


def test_frames_are_followed_backward_as_recorded(model, features, original):
    follower = Follower(model, features, reverse=True)
    follower.start(FRAMES - 1, model.prompt(features[FRAMES - 1], CLICK_PROMPT))
    follower.follow(range(FRAMES - 2, -1, -1))
    for frame in range(FRAMES - 1):
        assert_alike(follower.masks[frame], original[f"reverse {frame}"])


def test_a_drawn_mask_is_answered_as_recorded(model, features, original):
    assert_alike(model.from_mask(features[0], drawn_mask()), original["drawn 0"])
