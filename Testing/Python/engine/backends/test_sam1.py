"""SAM 1 by transformers, against the package segment-anything with the same seeded weights in the original layout."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from medsam2_engine.backends.sam1 import Sam1Backend, build_sam1, load_sam1, sam1_config
from medsam2_engine.backends.sam1_names import to_transformers
from medsam2_engine.device import Device
from medsam2_engine.errors import NoSuchModel
from medsam2_engine.model.errors import CheckpointError
from medsam2_engine.model.frame import FramePrompt
from medsam2_engine.whole_slice import IMAGENET, PlainSliceFraming
from segment_anything_oracle import perturb, segment_anything, their_answer, weights_of

transformers = pytest.importorskip("transformers", reason="SAM 1 runs on transformers")

SIZE, WIDTH, DEPTH, HEADS = 256, 64, 3, 4
PROMPTS = {
    "box": FramePrompt(torch.tensor([[60.0, 70.0], [150.0, 160.0]]), torch.tensor([2, 3])),
    "point": FramePrompt(torch.tensor([[100.0, 110.0]]), torch.tensor([1])),
    "two points": FramePrompt(torch.tensor([[100.0, 110.0], [20.0, 200.0]]), torch.tensor([1, 0])),
    "box and point": FramePrompt(torch.tensor([[60.0, 70.0], [150.0, 160.0], [100.0, 110.0]]), torch.tensor([2, 3, 1])),
}


@pytest.fixture(scope="module")
def original() -> Iterator[Any]:
    """segment-anything's own modules, small, every parameter random; its torchvision is not used here."""
    if importlib.util.find_spec("segment_anything") is None:
        pytest.skip("segment-anything is the reference")
    with segment_anything("segment_anything.modeling") as modeling:
        yield _seeded_original(modeling)


def _seeded_original(modeling: Any) -> Any:
    encoder = modeling.ImageEncoderViT(
        depth=DEPTH, embed_dim=WIDTH, img_size=SIZE, mlp_ratio=4, num_heads=HEADS, patch_size=16, qkv_bias=True,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=True, global_attn_indexes=[1], window_size=14,
        out_chans=256,
    )  # fmt: skip
    prompts = modeling.PromptEncoder(
        embed_dim=256, image_embedding_size=(SIZE // 16,) * 2, input_image_size=(SIZE, SIZE), mask_in_chans=16
    )
    decoder = modeling.MaskDecoder(
        num_multimask_outputs=3,
        transformer=modeling.TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
        transformer_dim=256,
    )
    return perturb(modeling.Sam(encoder, prompts, decoder))


def small_config() -> Any:
    vision = transformers.SamVisionConfig(
        image_size=SIZE, hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS, mlp_dim=4 * WIDTH,
        global_attn_indexes=[1],
    )  # fmt: skip
    prompts = transformers.SamPromptEncoderConfig(image_size=SIZE)
    return transformers.SamConfig(vision_config=vision.to_dict(), prompt_encoder_config=prompts.to_dict())


@pytest.fixture(scope="module")
def backend(original: Any) -> Sam1Backend:
    model = build_sam1(weights_of(original), small_config(), Path("seeded.pth"))
    return Sam1Backend("seeded", model, PlainSliceFraming(SIZE, True, *IMAGENET), Device("cpu", "CPU"))


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    disc = ((rows - 110) ** 2 + (columns - 100) ** 2 < 45**2).float()
    return (2 * disc + 0.2 * torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(1))).expand(1, 3, -1, -1)


@torch.inference_mode()
def test_features_are_those_of_segment_anything(original: Any, backend: Sam1Backend, pixels: Tensor) -> None:
    assert float((backend.encode(pixels).embedding - original.image_encoder(pixels)).abs().max()) <= 1e-3


@pytest.mark.parametrize("kind", PROMPTS)
@torch.inference_mode()
def test_masks_are_those_of_segment_anything(original: Any, backend: Sam1Backend, pixels: Tensor, kind: str) -> None:
    features = backend.encode(pixels)
    reference = their_answer(original, features.embedding, PROMPTS[kind], None, best_of_three=kind == "point")
    ours = backend.prompt(features, PROMPTS[kind]).logits
    assert float((ours - reference).abs().max()) <= 1e-3
    assert float(((ours > 0) == (reference > 0)).float().mean()) >= 0.9999


@torch.inference_mode()
def test_a_correction_hands_the_earlier_logits_on_as_segment_anything_does(
    original: Any, backend: Sam1Backend, pixels: Tensor
) -> None:
    features = backend.encode(pixels)
    first = backend.prompt(features, PROMPTS["point"])
    reference = their_answer(
        original, features.embedding, PROMPTS["two points"], first.logits[None, None].clamp(-32, 32), False
    )
    ours = backend.prompt(features, PROMPTS["two points"], first.logits).logits
    assert float((ours - reference).abs().max()) <= 1e-3


@torch.inference_mode()
def test_the_next_slice_is_asked_with_the_box_and_the_mask_of_the_last(
    original: Any, backend: Sam1Backend, pixels: Tensor
) -> None:
    features = backend.encode(pixels)
    drawn = pixels[0, 0] > 1
    tracker = backend.tracker(10, reverse=False)
    tracker.condition(3, features, backend.from_mask(features, drawn))
    ours = tracker.track(4, features).logits
    given = backend.from_mask(features, drawn).logits
    rows, columns = (given > 0).any(1).nonzero()[:, 0], (given > 0).any(0).nonzero()[:, 0]
    corners = torch.tensor([[columns[0], rows[0]], [columns[-1], rows[-1]]]).float() * 4
    corners[1] += 3
    box = FramePrompt(corners, torch.tensor([2, 3]))
    reference = their_answer(original, features.embedding, box, given[None, None], best_of_three=False)
    assert float((ours - reference).abs().max()) <= 1e-3


def test_an_original_file_is_read_and_told_from_other_families(
    original: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medsam2_engine.backends.sam1.sam1_config", lambda architecture: small_config())
    torch.save(weights_of(original), tmp_path / "any.pth")
    model = load_sam1(tmp_path / "any.pth", "sam_vit_b")
    assert torch.equal(model.state_dict()["vision_encoder.pos_embed"], original.state_dict()["image_encoder.pos_embed"])
    torch.save({"image_encoder.trunk.patch_embed.proj.weight": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="a SAM 2 model, not SAM 1"):
        load_sam1(tmp_path / "other.pth", "sam_vit_b")


def test_a_missing_parameter_is_named_and_nothing_is_loaded(original: Any) -> None:
    state = weights_of(original)
    del state["mask_decoder.iou_token.weight"]
    with pytest.raises(CheckpointError, match=r"1 missing: mask_decoder\.iou_token\.weight"):
        build_sam1(state, small_config(), Path("any.pth"))


@pytest.mark.parametrize(
    ("architecture", "millions"), [("sam_vit_b", 93.7), ("sam_vit_l", 312.3), ("sam_vit_h", 641.1)]
)
def test_published_sizes_have_as_many_parameters_as_published(architecture: str, millions: float) -> None:
    with torch.device("meta"):
        model = transformers.SamModel(sam1_config(architecture))
    assert sum(parameter.numel() for parameter in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.2)


@pytest.mark.parametrize("architecture", ["vit_b", "vit_l", "vit_h"])
def test_the_names_of_every_published_size_are_mapped(original: Any, architecture: str) -> None:
    build = importlib.import_module("segment_anything.build_sam")
    with torch.device("meta"):
        state = getattr(build, f"build_sam_{architecture}")().state_dict()
        model = transformers.SamModel(sam1_config(f"sam_{architecture}"))
    renamed = to_transformers({name: tensor for name, tensor in state.items() if not name.startswith("pixel_")})
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    assert {name: tensor.shape for name, tensor in renamed.items()} == expected


def test_without_transformers_the_way_to_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(NoSuchModel, match=r"pip install medsam2slicer-engine\[transformers\]"):
        sam1_config("sam_vit_b")
