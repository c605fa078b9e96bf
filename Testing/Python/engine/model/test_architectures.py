"""A checkpoint is told by its tensors: every published SAM 2, and what is not one."""

from dataclasses import replace

import pytest
import torch

from medsam2_engine.model.architectures import PUBLISHED, family_of, recognise
from medsam2_engine.model.errors import CheckpointError
from medsam2_engine.model.keys import to_official, to_transformers
from medsam2_engine.model.sam2 import Sam2


def shapes_of(config):
    """A state dict without numbers."""
    with torch.device("meta"):
        return dict(Sam2(config).state_dict())


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_architecture_is_recognised(name):
    assert recognise(shapes_of(PUBLISHED[name])) == PUBLISHED[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_parameter_of_every_architecture_has_a_name_in_both_layouts(name):
    state = shapes_of(PUBLISHED[name])
    back = to_official(to_transformers(state))
    assert {key: tensor.shape for key, tensor in back.items()} == {key: tensor.shape for key, tensor in state.items()}


def test_the_size_of_the_frame_is_told_not_read():
    assert recognise(shapes_of(PUBLISHED["sam2.1_hiera_tiny"]), 512).image_size == 512


def test_unusual_parts_around_a_published_trunk_are_read_from_their_shapes():
    config = replace(PUBLISHED["sam2.1_hiera_tiny"], num_maskmem=4, memory_layers=2, fuser_layers=1)
    assert recognise(shapes_of(config)) == config


def test_a_trunk_that_nobody_published_is_refused_with_a_way_out(small_config):
    with pytest.raises(CheckpointError, match=r"no published SAM 2 has.*transformers folder"):
        recognise(shapes_of(small_config))


@pytest.mark.parametrize(
    ("name", "shape", "family"),
    [
        ("image_encoder.trunk.pos_embed", (1, 1024, 192), "EfficientTAM"),
        ("spatial_perceiver.latents", (256, 64), "EdgeTAM"),
        ("image_encoder.blocks.0.attn.rel_pos_h", (27, 64), "SAM 1"),
        ("image_encoder.blocks.0.Adapter.channel.0.weight", (192, 768), "SAM-Med2D"),
        ("image_encoder.layers.1.blocks.0.attn.attention_biases", (4, 49), "MobileSAM"),
        ("detector_model.vision_encoder.x", (1,), "SAM 3"),
    ],
)
def test_another_family_is_called_by_its_name(name, shape, family):
    state = {name: torch.zeros(shape, device="meta")}
    assert family_of(state) == family
    with pytest.raises(CheckpointError, match=f"a {family} model, not SAM 2"):
        recognise(state)


def test_an_unknown_family_is_not_guessed():
    with pytest.raises(CheckpointError, match="no model that is known here"):
        recognise({"network.0.weight": torch.zeros(1, device="meta")})


def test_a_checkpoint_without_its_memory_names_what_is_missing():
    state = shapes_of(PUBLISHED["sam2.1_hiera_tiny"])
    with pytest.raises(CheckpointError, match=r"maskmem_tpos_enc.*is missing"):
        recognise({name: tensor for name, tensor in state.items() if name != "maskmem_tpos_enc"})
