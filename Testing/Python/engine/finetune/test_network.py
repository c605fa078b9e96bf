"""What is trained is what is used: the batched steps give the product's own numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from medsam2_engine.finetune import network
from medsam2_engine.finetune.network import Points
from medsam2_engine.model.bank import MemoryBank
from medsam2_engine.model.frame import FramePrompt, ImageFeatures
from medsam2_engine.model.sam2 import Sam2
from seeded_networks import randomise, seeded_model
from training_phantoms import TINY

OBJECTS, FRAMES, SIZE = 2, 4, TINY.image_size
XY = torch.tensor([[[10.0, 12.0], [40.0, 44.0]], [[5.0, 20.0], [50.0, 61.0]]])
BOX = torch.tensor([[2, 3], [2, 3]])
ROUNDING = 0.05  # of logits, since the product remembers in bfloat16


@pytest.fixture(scope="module")
def model() -> Sam2:
    return seeded_model(TINY, seed=3)


@pytest.fixture(scope="module")
def features(model: Sam2) -> list[ImageFeatures]:
    """FRAMES times the features of OBJECTS different frames."""
    pixels = torch.randn(FRAMES, OBJECTS, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        return [model.encode(frame) for frame in pixels]


@torch.no_grad()
def test_a_box_gets_the_products_answer(model: Sam2, features: list[ImageFeatures]) -> None:
    answers = network.prompted(model, features[0], Points(XY, BOX), None)
    for number in range(OBJECTS):
        single = model.prompt(features[0].at(number), FramePrompt(XY[number], BOX[number]))
        torch.testing.assert_close(answers.logits[number, 0], single.logits, atol=1e-4, rtol=1e-4)
        assert answers.ious[number, 0].item() == pytest.approx(single.predicted_iou, abs=1e-5)
        assert answers.object_score[number].item() == pytest.approx(single.object_score, abs=1e-4)


@torch.no_grad()
def test_a_point_gets_the_best_of_three_as_in_the_product(model: Sam2, features: list[ImageFeatures]) -> None:
    one = Points(XY[:, :1], torch.ones(OBJECTS, 1, dtype=torch.int64))
    answers = network.prompted(model, features[0], one, None)
    assert answers.logits.shape[1] == 3
    for number in range(OBJECTS):
        single = model.prompt(features[0].at(number), FramePrompt(XY[number, :1], torch.tensor([1])))
        best = answers.logits[number, answers.ious[number].argmax()]
        torch.testing.assert_close(best, single.logits, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_correction_sees_the_answer_before_as_in_the_product(model: Sam2, features: list[ImageFeatures]) -> None:
    first = network.prompted(model, features[0], Points(XY, BOX), None)
    clicked = Points(XY, BOX).and_clicks(torch.tensor([[20.0, 20.0], [9.0, 30.0]]), torch.tensor([1, 0]))
    answers = network.prompted(model, features[0], clicked, first.logits[:, 0])
    single = model.prompt(features[0].at(1), FramePrompt(clicked.xy[1], clicked.labels[1]), first.logits[1, 0])
    torch.testing.assert_close(answers.logits[1, 0], single.logits, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("age", [0, 7])
def test_following_gives_the_products_masks(model: Sam2, features: list[ImageFeatures], age: int) -> None:
    answers = network.prompted(model, features[0], Points(XY, BOX), None)
    singles = [model.prompt(features[0].at(n), FramePrompt(XY[n], BOX[n])) for n in range(OBJECTS)]
    together, apart = MemoryBank(TINY, 50), [MemoryBank(TINY, 50) for _ in range(OBJECTS)]
    full = network.at_full_size(model, answers.logits)[:, 0]
    together.add_conditioning(0, _memory(model, features[0], (full > 0).float(), answers))
    for number, bank in enumerate(apart):
        bank.add_conditioning(0, model.remember(features[0].at(number), singles[number], from_prompt=True))
    for frame in range(1, FRAMES):
        answers = network.tracked(model, features[frame], together.select(frame + age), None, None)
        for number, bank in enumerate(apart):
            single = model.track(features[frame].at(number), bank, frame + age)
            torch.testing.assert_close(answers.logits[number, 0], single.logits, atol=ROUNDING, rtol=0.05)
            bank.add(frame + age, model.remember(features[frame].at(number), single, from_prompt=False))
        full = network.at_full_size(model, answers.logits)[:, 0]
        together.add(frame + age, _memory(model, features[frame], full.sigmoid(), answers))


@torch.no_grad()
def test_the_memory_of_an_absent_object_is_the_products(model: Sam2, features: list[ImageFeatures]) -> None:
    nobody = torch.zeros(OBJECTS, dtype=torch.bool)
    pointer = network.pointers(model, torch.randn(OBJECTS, TINY.hidden), nobody)
    empty = torch.zeros(OBJECTS, SIZE, SIZE)
    memory = network.memories(model, features[0], empty, nobody, pointer)
    mask = model.from_mask(features[0].at(1), torch.zeros(SIZE, SIZE, dtype=torch.bool))
    single = model.remember(features[0].at(1), mask, from_prompt=True)
    torch.testing.assert_close(memory.tokens[1], single.tokens.float(), atol=0.02, rtol=0.01)
    torch.testing.assert_close(memory.pointer[1], single.pointer)


@torch.no_grad()
def test_a_drawn_mask_leaves_the_products_pointer(model: Sam2, features: list[ImageFeatures]) -> None:
    drawn = torch.zeros(OBJECTS, SIZE, SIZE)
    drawn[:, 20:40, 10:30] = 1
    answers = network.drawn(model, features[0], drawn)
    pointer = network.pointers(model, answers.tokens[:, 0], torch.ones(OBJECTS, dtype=torch.bool))
    single = model.from_mask(features[0].at(0), drawn[0] > 0)
    torch.testing.assert_close(pointer[0], single.pointer, atol=1e-4, rtol=1e-4)


def test_gradients_reach_every_part_that_a_walk_uses(tiny_model: Sam2) -> None:
    randomise(tiny_model, 5)
    with torch.no_grad():
        tiny_model.sam_mask_decoder.pred_obj_score_head.get_parameter("layers.2.bias").fill_(3.0)
    pixels = torch.randn(2, 3, SIZE, SIZE)
    both = tiny_model.encode(pixels)
    bank = MemoryBank(TINY, 50)
    answers = network.prompted(tiny_model, both.at(0), Points(XY[:1], BOX[:1]), None)
    certainty = (network.at_full_size(tiny_model, answers.logits)[:, 0] > 0).float()
    bank.add_conditioning(0, _memory(tiny_model, both.at(0), certainty, answers))
    answers = network.tracked(tiny_model, both.at(1), bank.select(1), None, None)
    answers.logits.square().mean().backward()
    for part in ("image_encoder", "memory_attention", "memory_encoder", "sam_mask_decoder", "obj_ptr_proj"):
        gradients = [p.grad for p in tiny_model.get_submodule(part).parameters() if p.grad is not None]
        assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0, part


def _memory(model: Sam2, features: ImageFeatures, certainty: Tensor, answers: network.Answers) -> object:
    present = answers.object_score > 0
    certainty = certainty * present[:, None, None]
    pointer = network.pointers(model, answers.tokens[:, 0], present)
    return network.memories(model, features, certainty, present, pointer)
