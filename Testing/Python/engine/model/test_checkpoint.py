"""Checkpoints on disk: what is read, and what is refused and how."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from medsam2_engine.model.checkpoint import load_model
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.errors import CheckpointError, ModelError, UnsupportedConfigError
from medsam2_engine.model.keys import to_transformers


class RunsCode:
    """What a malicious pickle does when it is opened."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (str(self.trace), "w"))


@pytest.fixture
def state(a_random_model):
    return dict(a_random_model.state_dict())


@pytest.fixture
def save_pt(tmp_path):
    def save(content):
        path = tmp_path / "model.pt"
        torch.save(content, path)
        return path

    return save


def is_the_same_model(model, state):
    return all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_an_official_pt_file_is_read(save_pt, state, small_config):
    assert is_the_same_model(load_model(save_pt({"model": state}), small_config), state)


def test_a_safetensors_file_with_official_names_is_read(tmp_path, state, small_config):
    save_file(state, tmp_path / "model.safetensors")
    assert is_the_same_model(load_model(tmp_path / "model.safetensors", small_config), state)


def test_a_safetensors_file_with_transformers_names_is_read(tmp_path, state, small_config):
    save_file({name: tensor.clone() for name, tensor in to_transformers(state).items()}, tmp_path / "m.safetensors")
    assert is_the_same_model(load_model(tmp_path / "m.safetensors", small_config), state)


def test_a_half_precision_file_becomes_a_float32_model(save_pt, state, small_config):
    half = {name: tensor.half() for name, tensor in state.items()}
    model = load_model(save_pt({"model": half}), small_config)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_a_model_is_ready_for_inference(save_pt, state, small_config):
    assert not load_model(save_pt({"model": state}), small_config).training


def test_missing_parameters_are_named(save_pt, state, small_config):
    del state["no_obj_ptr"]
    with pytest.raises(CheckpointError, match="1 missing: no_obj_ptr"):
        load_model(save_pt({"model": state}), small_config)


def test_unexpected_parameters_are_named(save_pt, state, small_config):
    with pytest.raises(CheckpointError, match="1 unexpected: adapter"):
        load_model(save_pt({"model": state | {"adapter": torch.zeros(1)}}), small_config)


def test_parameters_of_another_shape_are_named(save_pt, state, small_config):
    state["no_obj_ptr"] = torch.zeros(1, 64)
    with pytest.raises(CheckpointError, match=r"no_obj_ptr \(1, 64\) instead of \(1, 128\)"):
        load_model(save_pt({"model": state}), small_config)


def test_a_checkpoint_of_another_size_names_a_few_faults_and_counts_the_rest(save_pt, state):
    with pytest.raises(CheckpointError, match=r"missing: .* and \d+ more"):
        load_model(save_pt({"model": state}), Sam2Config.hiera_tiny(256))


def test_a_pickle_that_runs_code_is_not_opened(save_pt, tmp_path, small_config):
    trace = tmp_path / "trace"
    with pytest.raises(CheckpointError, match="foreign code"):
        load_model(save_pt({"model": {"weight": RunsCode(trace)}}), small_config)
    assert not trace.exists()


def test_a_bare_pickle_that_runs_code_is_not_opened(tmp_path, small_config):
    trace, path = tmp_path / "trace", tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(RunsCode(trace), protocol=2))
    with pytest.raises(CheckpointError):
        load_model(path, small_config)
    assert not trace.exists()


@pytest.mark.parametrize("content", [{"weights": {}}, {"model": {"step": 3}}, [1, 2]])
def test_a_pt_file_without_a_state_dict_is_refused(save_pt, small_config, content):
    with pytest.raises(CheckpointError, match="no state dict under 'model'"):
        load_model(save_pt(content), small_config)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_truncated_file_is_refused(tmp_path, small_config, suffix):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(b"PK\x03\x04 half a download")
    with pytest.raises(CheckpointError):
        load_model(path, small_config)


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path, small_config):
    with pytest.raises(CheckpointError, match=r"gone\.pt does not exist"):
        load_model(tmp_path / "gone.pt", small_config)


def test_a_single_file_of_an_unpublished_size_needs_a_configuration(save_pt, state):
    with pytest.raises(CheckpointError, match="Pass the Sam2Config"):
        load_model(save_pt({"model": state}))


def test_a_folder_of_another_architecture_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "edgetam_video"}), encoding="utf-8")
    with pytest.raises(UnsupportedConfigError, match="edgetam_video"):
        load_model(tmp_path)


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        load_model(tmp_path)
