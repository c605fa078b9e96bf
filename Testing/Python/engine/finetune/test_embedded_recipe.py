from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from medsam2_engine.finetune.cases import read_cases
from medsam2_engine.finetune.clip_pool import write_shard
from medsam2_engine.finetune.clips import Clip
from medsam2_engine.finetune.deepening import deepened
from medsam2_engine.finetune.embedded_recipe import (
    BEFORE,
    DEPTHS,
    FIRST_DEPTH,
    FIRST_GLOBAL_BLOCKS,
    MIXTURES,
    POOLS,
    RECIPES,
    SCRATCH,
    SETTINGS,
    TRAINING,
    VALIDATION_SUBJECTS,
    WALKS,
    allowed_cases,
    begun,
    clips_folder,
    map_of,
    subject_of,
    train,
)
from medsam2_engine.finetune.embedded_result import curves, export, merge
from medsam2_engine.finetune.result_model import write_weights
from medsam2_engine.model.checkpoint import load_model
from medsam2_engine.models import find_checkpoint, find_model
from training_phantoms import ellipsoid, in_space


def write_case(folder: Path, case_id: str, licence: str) -> None:
    image, labels = ellipsoid(1)
    (folder / case_id).mkdir(parents=True)
    sitk.WriteImage(in_space(image), str(folder / case_id / "image.nii.gz"))
    sitk.WriteImage(in_space(labels), str(folder / case_id / "label.nii.gz"))
    meta = {"id": case_id, "licence": licence, "structures": {"x": {"label": 1}}}
    (folder / case_id / "meta.json").write_text(json.dumps(meta))


def write_clips(state: Path, recipes: Iterable[str], clip: Clip) -> None:
    """For each recipe a pool of one clip, as long as the recipe's own."""
    for recipe in recipes:
        order = np.repeat(np.arange(clip.length), 5)[: MIXTURES[recipe].length]
        folder = clips_folder(state, recipe)
        folder.mkdir()
        write_shard(folder / "a.clips", [Clip(clip.images[order], clip.masks[order], clip.spacing_xy)])


def test_data_that_may_not_be_passed_on_is_left_out(tmp_path: Path) -> None:
    for number, licence in enumerate(
        ("CC BY 4.0", "CC BY-NC-SA 4.0", "GPL-3", "research only", "see repo", "", "Apache-2.0")
    ):
        write_case(tmp_path, f"tr_mr_case_{number}", licence)
    assert [case.licence for case in allowed_cases(tmp_path)] == ["CC BY 4.0", "Apache-2.0"]


def test_the_modalities_of_one_patient_are_one_subject() -> None:
    assert subject_of("tr_ct_sts012") == subject_of("tr_pet_sts012") == "sts012"
    assert subject_of("tr_mr_hippocampus_011") == "hippocampus_011"
    assert {"sts012", "hippocampus_011"} <= set(VALIDATION_SUBJECTS)


def test_a_training_goes_on_and_its_average_becomes_a_model(tmp_path: Path, a_clip: Clip) -> None:
    (tmp_path / "clips").mkdir()
    long = Clip(np.repeat(a_clip.images, 3, 0)[:7], np.repeat(a_clip.masks, 3, 0)[:7], a_clip.spacing_xy)
    write_shard(tmp_path / "clips" / "a.clips", [long])
    train(tmp_path, 1, "embedded")
    train(tmp_path, 2, "embedded")
    export(tmp_path, tmp_path / "model")
    kept = torch.load(tmp_path / "training" / "state.pt", weights_only=True)
    assert kept["step"] == 2
    model = load_model(tmp_path / "model")
    name = "sam_mask_decoder.iou_token.weight"
    torch.testing.assert_close(model.state_dict()[name], kept["average"][name], atol=2e-3, rtol=2e-3)
    assert (tmp_path / "model" / "model.safetensors").stat().st_size < 15e6


@pytest.mark.parametrize(("recipe", "before"), BEFORE.items())
def test_a_recipe_that_comes_after_another_goes_on_from_its_end(
    tmp_path: Path, a_clip: Clip, recipe: str, before: str
) -> None:
    write_clips(tmp_path, {*POOLS[before], *POOLS[recipe]}, a_clip)
    train(tmp_path, 1, "embedded", before)
    train(tmp_path, 0, "embedded", recipe)
    ended, started = (torch.load(tmp_path / name / "state.pt", weights_only=True) for name in (before, recipe))
    assert started["step"] == 0
    for name, weights in ended["average"].items():
        assert torch.equal(started["weights"][name], weights), name


def test_from_scratch_nothing_of_the_shipped_weights_is_left(tmp_path: Path, a_clip: Clip) -> None:
    write_clips(tmp_path, POOLS[SCRATCH], a_clip)
    train(tmp_path, 0, "embedded", SCRATCH)
    first = torch.load(tmp_path / SCRATCH / "state.pt", weights_only=True)["weights"]
    shipped = load_model(find_checkpoint(find_model("embedded"))).state_dict()
    for name, weights in first.items():
        if name in shipped and weights.ndim > 1 and weights.shape == shipped[name].shape:
            assert not torch.allclose(weights, shipped[name].float(), atol=1e-3), name
    assert any(name.startswith("probes.") for name in first)
    train(tmp_path, 1, "embedded", SCRATCH)
    assert torch.load(tmp_path / SCRATCH / "state.pt", weights_only=True)["step"] == 1
    export(tmp_path, tmp_path / "model", SCRATCH)
    trunk = load_model(tmp_path / "model").config.hiera
    assert (trunk.blocks, trunk.global_blocks) == (FIRST_DEPTH, FIRST_GLOBAL_BLOCKS)


def test_walks_go_on_from_the_installed_model_with_more_blocks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, a_clip: Clip
) -> None:
    one, two, three, four = load_model(find_checkpoint(find_model("embedded"))).config.hiera.blocks
    monkeypatch.setitem(DEPTHS, WALKS, (one + 1, two, three + 1, four))
    write_clips(tmp_path, POOLS[WALKS], a_clip)
    train(tmp_path, 1, "embedded", WALKS)
    export(tmp_path, tmp_path / "model", WALKS)
    model, shipped = load_model(tmp_path / "model"), load_model(find_checkpoint(find_model("embedded")))
    assert model.config.hiera.blocks == DEPTHS[WALKS]
    name = "sam_mask_decoder.iou_token.weight"
    torch.testing.assert_close(model.state_dict()[name], shipped.state_dict()[name], atol=1e-2, rtol=1e-2)


def test_a_training_goes_on_from_a_folder(tmp_path: Path, a_clip: Clip) -> None:
    write_clips(tmp_path, POOLS[TRAINING], a_clip)
    entry = find_model("embedded")
    model = load_model(find_checkpoint(entry))
    with torch.no_grad():
        model.sam_mask_decoder.iou_token.weight.fill_(0.5)
    write_weights(tmp_path / "start", model, "all", entry)
    train(tmp_path, 0, str(tmp_path / "start"))
    weights = torch.load(tmp_path / "training" / "state.pt", weights_only=True)["weights"]
    assert weights["sam_mask_decoder.iou_token.weight"].eq(0.5).all()


def test_a_folder_named_like_a_model_does_not_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "embedded").mkdir()
    monkeypatch.chdir(tmp_path)
    begun("embedded", TRAINING)


def test_some_clips_are_as_long_as_the_longest_walk_of_their_recipe() -> None:
    for recipe, pools in POOLS.items():
        assert max(RECIPES[recipe].lengths) <= max(MIXTURES[pool].length for pool in pools), recipe


def test_merged_weights_are_the_mean_of_both(tmp_path: Path) -> None:
    entry = find_model("embedded")
    for name, shift in (("first", 0.5), ("second", -0.25)):
        model = load_model(find_checkpoint(entry))
        with torch.no_grad():
            model.sam_mask_decoder.iou_token.weight.fill_(shift)
        write_weights(tmp_path / name, model, "all", entry)
    merge(tmp_path / "merged", [tmp_path / "first", tmp_path / "second"])
    found, before = load_model(tmp_path / "merged").state_dict(), load_model(tmp_path / "first").state_dict()
    for name, weights in found.items():
        expected = torch.full_like(weights, 0.125) if name == "sam_mask_decoder.iou_token.weight" else before[name]
        torch.testing.assert_close(weights, expected, atol=0, rtol=0)


def test_a_shallow_and_a_deep_model_are_merged_as_deep_ones(tmp_path: Path) -> None:
    entry = find_model("embedded")
    shallow = load_model(find_checkpoint(entry))
    one, two, three, four = shallow.config.hiera.blocks
    write_weights(tmp_path / "shallow", shallow, "all", entry)
    write_weights(tmp_path / "deep", deepened(shallow, (one, two, three + 1, four)), "all", entry)
    merge(tmp_path / "merged", [tmp_path / "shallow", tmp_path / "deep"])
    merged = load_model(tmp_path / "merged")
    assert merged.config.hiera.blocks == (one, two, three + 1, four)
    pixels = torch.randn(1, 3, merged.config.image_size, merged.config.image_size)
    with torch.no_grad():
        torch.testing.assert_close(merged.encode(pixels).coarse, shallow.encode(pixels).coarse, atol=0.05, rtol=0.05)


def test_body_parts_with_more_label_maps_come_more_often(tmp_path: Path) -> None:
    for number in range(4):
        write_case(tmp_path, f"tr_lab_brain_{number}", "CC BY 4.0")
    write_case(tmp_path, "tr_lab_torso", "CC BY 4.0")
    maps, rng = read_cases(tmp_path), np.random.default_rng(1)
    for by_number, share in ((False, 1 / 2), (True, 1 / 3)):
        drawn = [map_of(rng, maps, by_number).id for _ in range(600)]
        assert abs(drawn.count("tr_lab_torso") / 600 - share) < 0.06


def test_curves_are_means_since_the_row_before(tmp_path: Path) -> None:
    lines = [
        {"step": 25 * n, "rate": 1e-4, "loss": float(n)} | ({"dice_box": 0.5} if n > 2 else {}) for n in range(1, 5)
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    head, _, first, second = curves(tmp_path / "log.jsonl", 2)
    assert head.split(" | ")[2:4] == ["loss", "Dice, box"]
    assert first.split(" | ")[:4] == ["| 50", "1.0e-04", "1.500", ""]
    assert second.split(" | ")[:4] == ["| 100", "1.0e-04", "3.500", "0.500"]


def test_a_mixture_leaves_room_for_shapes() -> None:
    for mixture in MIXTURES.values():
        of_cases = (mixture.real, mixture.hippocampus, mixture.pseudo, mixture.painted_real, mixture.painted)
        assert 0 < sum(of_cases) < 0.9
        assert sum(of_cases) + mixture.implant < 0.95


def test_the_recipe_learns_everything_without_ending_early() -> None:
    assert SETTINGS.trained == "all"
    assert SETTINGS.patience == 0
