"""Parameter names in both layouts."""

import pytest
import torch

from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.errors import CheckpointError
from medsam2_engine.model.keys import is_transformers_layout, to_official, to_transformers
from medsam2_engine.model.sam2 import Sam2


def test_names_there_and_back_are_the_same_to_the_bit(a_random_model):
    state = a_random_model.state_dict()
    back = to_official(to_transformers(state))
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


@pytest.mark.parametrize("name", ["hiera_tiny", "hiera_small", "hiera_base_plus", "hiera_large"])
def test_names_of_published_sizes_are_those_of_transformers(name, transformers_config_of):
    transformers = pytest.importorskip("transformers", reason="transformers knows its own names")
    config = getattr(Sam2Config, name)()
    with torch.device("meta"):
        ours = to_transformers(Sam2(config).state_dict())
        theirs = transformers.Sam2VideoModel(transformers_config_of(config)).state_dict()
    assert {name: tensor.shape for name, tensor in ours.items()} == {
        name: tensor.shape for name, tensor in theirs.items()
    }


@pytest.mark.parametrize("rename", [to_official, to_transformers])
def test_unknown_names_are_reported(a_random_model, rename):
    state = a_random_model.state_dict()
    state = state if rename is to_transformers else to_transformers(state)
    with pytest.raises(CheckpointError, match=r"2 entries .* decoder\.lora, image_encoder\.trunk\.vit\.cls_token"):
        rename(state | {"decoder.lora": torch.zeros(1), "image_encoder.trunk.vit.cls_token": torch.zeros(1)})


def test_two_different_fourier_matrices_are_refused(a_random_model):
    state = to_transformers(a_random_model.state_dict())
    state["shared_image_embedding.positional_embedding"] = torch.zeros(2, 64)
    with pytest.raises(CheckpointError, match="differ"):
        to_official(state)


def test_the_given_state_is_left_alone(a_random_model):
    state = a_random_model.state_dict()
    names = list(state)
    to_transformers(state)
    assert list(state) == names


def test_layouts_are_told_apart(a_random_model):
    state = a_random_model.state_dict()
    assert not is_transformers_layout(state)
    assert is_transformers_layout(to_transformers(state))
