from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medsam2_engine.finetune.deepening import WRITERS, block_origins, deepened, deepest
from medsam2_engine.finetune.result_model import write_weights
from medsam2_engine.finetune.settings import ALL
from medsam2_engine.finetune.trainable import groups, make_trainable
from medsam2_engine.model.checkpoint import load_model
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.models import find_checkpoint, find_model
from seeded_networks import seeded_model
from training_phantoms import QUICK, TINY


@pytest.fixture
def model() -> Sam2:
    return seeded_model(TINY, seed=3)


def one_more_everywhere(model: Sam2) -> tuple[int, int, int, int]:
    one, two, three, four = (count + 1 for count in model.config.hiera.blocks)
    return one, two, three, four


@torch.no_grad()
def test_a_deeper_model_says_what_it_said_before(model: Sam2) -> None:
    pixels = torch.randn(2, 3, TINY.image_size, TINY.image_size, generator=torch.Generator().manual_seed(1))
    before, after = model.encode(pixels), deepened(model, one_more_everywhere(model)).encode(pixels)
    for name in ("fine", "middle", "coarse"):
        assert torch.equal(getattr(before, name), getattr(after, name)), name


def test_every_weight_of_the_shallow_model_is_in_the_deep_one(model: Sam2) -> None:
    deep = deepened(model, one_more_everywhere(model))
    assert deep.config.hiera.blocks == one_more_everywhere(model)
    values = {tuple(tensor.flatten().tolist()) for tensor in deep.state_dict().values()}
    assert all(tuple(tensor.flatten().tolist()) in values for tensor in model.state_dict().values())


def test_new_blocks_look_at_the_whole_map_where_the_one_before_does() -> None:
    entry = find_model("embedded")
    shallow = load_model(find_checkpoint(entry))
    one, two, three, four = shallow.config.hiera.blocks
    deep = deepened(shallow, (one, two + 1, three + 2, four))
    first = one + two + 1  # of the third stage; it pools
    assert deep.config.hiera.global_blocks == tuple(range(first + 1, first + three + 2))


def test_new_blocks_learn(model: Sam2) -> None:
    deep = deepened(model, one_more_everywhere(model))
    deep.encode(torch.randn(1, 3, TINY.image_size, TINY.image_size)).coarse.sum().backward()
    for number, origin in enumerate(block_origins(model.config.hiera.blocks, one_more_everywhere(model))[:-1]):
        for writer in WRITERS if origin is None else ():
            gradient = deep.get_parameter(f"image_encoder.trunk.blocks.{number}.{writer}.weight").grad
            assert gradient is not None, (number, writer)
            assert gradient.abs().sum() > 0, (number, writer)
    parameters = make_trainable(deep, QUICK)
    zeros = {id(p) for p in parameters.values() if not p.detach().any()}
    assert all(group["scale"] == 1.0 for group in groups(parameters, QUICK) if zeros & {id(p) for p in group["params"]})


def test_a_stage_cannot_lose_blocks(model: Sam2) -> None:
    one, two, three, four = model.config.hiera.blocks
    with pytest.raises(ValueError, match="would lose"):
        deepened(model, (one, two, three - 1, four))


def test_as_deep_as_it_is_it_stays_what_it_is(model: Sam2) -> None:
    assert deepened(model, model.config.hiera.blocks) is model
    assert deepest([(1, 1, 4, 2), (1, 2, 3, 1)]) == (1, 2, 4, 2)


def test_a_deeper_embedded_model_is_written_with_its_depth(tmp_path: Path) -> None:
    entry = find_model("embedded")
    shallow = load_model(find_checkpoint(entry))
    deep = deepened(shallow, one_more_everywhere(shallow))
    write_weights(tmp_path, deep, ALL, entry)
    found = load_model(tmp_path)
    assert found.config == deep.config
    pixels = torch.randn(1, 3, found.config.image_size, found.config.image_size)
    with torch.no_grad():
        torch.testing.assert_close(found.encode(pixels).coarse, shallow.encode(pixels).coarse, atol=0.05, rtol=0.05)
