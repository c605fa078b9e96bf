"""Architectures: published sizes, transformers' files, and what is refused."""

from dataclasses import replace

import pytest
import torch

from medsam2_engine.model.config import HieraConfig, Sam2Config
from medsam2_engine.model.errors import ModelError, UnsupportedConfigError
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.model.transformers_config import from_transformers


@pytest.mark.parametrize(
    ("name", "millions"),
    [("hiera_tiny", 38.9), ("hiera_small", 46.0), ("hiera_base_plus", 80.8), ("hiera_large", 224.4)],
)
def test_published_sizes_have_as_many_parameters_as_published(name, millions):
    with torch.device("meta"):
        model = Sam2(getattr(Sam2Config, name)())
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_a_transformers_configuration_is_read_back(small_config, transformers_config_of):
    pytest.importorskip("transformers", reason="transformers writes the configuration")
    assert from_transformers(transformers_config_of(small_config).to_dict()) == small_config


def test_transformers_defaults_are_sam_2_1_tiny():
    assert from_transformers({"model_type": "sam2_video"}) == Sam2Config.hiera_tiny()


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ({"model_type": "sam3_video"}, "model_type is 'sam3_video'"),
        ({"memory_encoder_output_channels": 32}, "memory_encoder_output_channels is 32"),
        ({"rope_parameters": {"rope_type": "linear"}}, "rope_parameters.rope_type is 'linear'"),
        ({"image_size": 512}, "prompt_encoder_config.image_size|backbone_feature_sizes|rope_feat_sizes"),
        ({"memory_attention_hidden_size": 128}, "widths must be equal"),
    ],
)
def test_a_transformers_configuration_that_is_not_sam_2_is_refused_by_name(entries, named):
    stated = {"memory_attention_rope_feat_sizes": [64, 64]}
    with pytest.raises(UnsupportedConfigError, match=named):
        from_transformers({"model_type": "sam2_video"} | stated | entries)


@pytest.mark.parametrize("size", [0, 100, 500])
def test_a_frame_that_does_not_divide_into_patches_is_refused(size):
    with pytest.raises(UnsupportedConfigError, match="multiple of 32"):
        Sam2Config.hiera_tiny(size)


def test_a_block_that_would_pool_and_attend_globally_is_refused():
    with pytest.raises(UnsupportedConfigError, match=r"\[10\]"):
        HieraConfig(global_blocks=(5, 7, 10))


def test_an_unsupported_configuration_is_a_model_error_and_a_value_error():
    assert issubclass(UnsupportedConfigError, ModelError)
    assert issubclass(UnsupportedConfigError, ValueError)


@pytest.mark.parametrize(("points", "wanted"), [(0, True), (1, True), (2, False)])
def test_official_models_take_the_best_of_three_masks_up_to_one_point(points, wanted):
    assert Sam2Config.hiera_tiny().wants_multimask(points, tracking=True) is wanted


@pytest.mark.parametrize(("points", "tracking", "wanted"), [(0, True, False), (1, False, True), (1, True, False)])
def test_the_embedded_model_takes_the_best_of_three_masks_for_one_first_point(small_config, points, tracking, wanted):
    assert small_config.wants_multimask(points, tracking) is wanted


def test_another_frame_size_is_one_replacement_away():
    assert replace(Sam2Config.hiera_tiny(), image_size=512) == Sam2Config.hiera_tiny(512)
