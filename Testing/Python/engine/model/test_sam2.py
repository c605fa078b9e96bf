"""Every step of a frame, against transformers' Sam2VideoModel with the same random weights."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from medsam2_engine.model.bank import MemoryBank
from medsam2_engine.model.config import Sam2Config
from medsam2_engine.model.errors import WrongShapeError
from medsam2_engine.model.frame import FramePrompt
from medsam2_engine.model.sam2 import Sam2

pytest.importorskip("transformers", reason="transformers is the reference these steps are compared with")


def difference(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


def test_features_of_a_frame_are_theirs(pair):
    ours = pair.ours.encode(pair.frames[:2])
    theirs = pair.theirs.get_image_features(pair.frames[:2], return_dict=True).fpn_hidden_states
    for level, reference in zip((ours.fine, ours.middle, ours.coarse), theirs, strict=True):
        assert difference(level.flatten(2).permute(2, 0, 1), reference) <= 1e-4


@pytest.mark.parametrize("kind", ["box", "one_point", "two_points"])
def test_first_mask_is_theirs(pair, kind):
    prompt = getattr(pair, kind)
    ours = pair.our_session().prompt(0, prompt)
    assert difference(ours.logits, pair.their_session().prompt(0, prompt)) <= 1e-4


@pytest.mark.parametrize("kind", ["box", "one_point", "two_points"])
def test_pointer_and_object_score_of_a_prompted_frame_are_theirs(pair, kind):
    prompt, theirs = getattr(pair, kind), pair.their_session()
    ours = pair.our_session().prompt(0, prompt)
    theirs.prompt(0, prompt)
    assert difference(ours.pointer, theirs.pointer(0)) <= 1e-5
    assert ours.object_score == pytest.approx(theirs.score(0), abs=1e-5)


def test_a_second_click_refines_the_earlier_logits_as_theirs_does_when_given_them(pair):
    first = pair.our_session().prompt(0, pair.one_point)
    ours = pair.ours.prompt(pair.features[0], pair.two_points, first.logits)
    theirs = pair.their_session().refine(0, pair.two_points, first.logits)
    assert difference(ours.logits, theirs) <= 1e-4


def test_memory_of_a_prompted_frame_is_theirs_to_one_bfloat16_step(pair):
    ours, theirs = pair.our_session(), pair.their_session()
    ours.prompt(0, pair.box)
    theirs.prompt(0, pair.box)
    assert is_the_same_memory(ours.memories[0].tokens, theirs.memory(0))


@pytest.mark.parametrize("kind", ["box", "one_point"])
def test_ten_frames_forward_are_theirs(pair, kind):
    assert_follows_alike(pair, getattr(pair, kind), start=0, frames=range(1, 11))


def test_ten_frames_in_reverse_are_theirs(pair):
    assert_follows_alike(pair, pair.box, start=11, frames=range(10, 0, -1))


def test_frames_without_the_object_are_remembered_as_theirs(small):
    assert_follows_alike(small.with_absent_object(), small.box, start=0, frames=range(1, 6))


def test_frames_of_a_sam_2_0_model_are_theirs(make_pair, small_config):
    pair = make_pair(replace(small_config, occlusion_embedding=False, pointer_time_encoding=False))
    assert_follows_alike(pair, pair.box, start=0, frames=range(1, 6))


def test_two_prompted_frames_are_recalled_as_theirs(pair):
    ours, theirs = pair.our_session(), pair.their_session()
    for session in (ours, theirs):
        session.prompt(2, pair.box)
        session.prompt(6, pair.one_point)
        session.follow(range(3, 6))
        session.follow(range(7, 10))
    for frame in (3, 4, 5, 7, 8, 9):
        assert difference(ours.masks[frame].gated_logits, theirs.logits(frame)) <= 1e-3


def test_a_correction_on_a_followed_frame_is_theirs(pair):
    ours, theirs = pair.our_session(), pair.their_session()
    for session in (ours, theirs):
        session.prompt(0, pair.box)
        session.follow(range(1, 4))
    ours.follow(range(3, 4), pair.two_points)
    theirs.prompt(3, pair.two_points)
    assert difference(ours.masks[3].gated_logits, theirs.logits(3)) <= 1e-3
    assert is_the_same_memory(ours.memories[3].tokens, theirs.memory(3))


def test_a_drawn_mask_is_remembered_as_theirs(small):
    mask = small.frames[0, 0] > 1
    ours, theirs = small.our_session(), small.their_session()
    drawn = ours.draw(0, mask)
    assert difference(drawn.logits, theirs.draw(0, mask)) <= 1e-5
    assert drawn.object_score == theirs.score(0)
    assert is_the_same_memory(ours.memories[0].tokens, theirs.memory(0))


def test_pointer_of_a_drawn_mask_comes_from_the_single_mask_token(small):
    """transformers takes the best of three there, official SAM 2 does not."""
    mask = small.frames[0, 0] > 1
    features = small.features[0]
    dense = small.theirs.mask_downsample(mask[None, None].float())
    theirs = small.theirs._single_frame_forward(
        input_masks=dense, image_embeddings=[features.fine, features.middle, features.coarse], multimask_output=False
    )
    assert difference(small.ours.from_mask(features, mask).pointer, theirs.object_pointer.flatten()) <= 1e-5


def test_an_empty_drawn_mask_means_the_object_is_absent(small):
    features = small.features[0]
    mask = small.ours.from_mask(features, torch.zeros(128, 128, dtype=torch.bool))
    assert not mask.is_present
    assert torch.equal(mask.pointer, small.ours.no_obj_ptr[0])


def test_an_absent_object_keeps_the_decoders_opinion_beside_the_gated_logits(small):
    pair = small.with_absent_object()
    mask = pair.our_session().prompt(0, pair.box)
    assert not mask.is_present
    assert (mask.gated_logits == -1024).all()
    assert (mask.logits > 0).any()


@pytest.mark.slow
def test_frames_of_512_pixels_are_theirs(make_pair):
    pair = make_pair(Sam2Config.hiera_tiny(512), frames=3)
    assert_follows_alike(pair, pair.box, start=0, frames=range(1, 3))


def test_a_frame_of_another_size_is_refused(small):
    with pytest.raises(WrongShapeError, match="pixels has shape"):
        small.ours.encode(torch.zeros(1, 3, 64, 64))


def test_gradients_reach_the_encoder_through_masks_pointers_and_memories(small_config):
    with torch.inference_mode(False), torch.enable_grad():
        model = Sam2(small_config).eval()
        features = model.encode(torch.rand(1, 3, 128, 128))
        bank = MemoryBank(small_config, frame_count=2)
        prompt = FramePrompt(torch.tensor([[40.0, 40.0], [80.0, 80.0]]), torch.tensor([2, 3]))
        bank.add_conditioning(0, model.remember(features, model.prompt(features, prompt), from_prompt=False))
        mask = model.track(features, bank, 1)
        (mask.logits.mean() + mask.pointer.mean()).backward()
        silent = [name for name, parameter in model.image_encoder.named_parameters() if parameter.grad is None]
    assert not silent


def test_neither_transformers_nor_sam2_is_imported():
    code = "import sys, medsam2_engine.model.checkpoint; assert not {'transformers', 'sam2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})


def assert_follows_alike(pair, prompt, start, frames):
    ours, theirs = pair.our_session(reverse=frames.step < 0), pair.their_session()
    for session in (ours, theirs):
        session.prompt(start, prompt)
        session.follow(frames)
    for frame in frames:
        assert difference(ours.masks[frame].gated_logits, theirs.logits(frame)) <= 1e-3
        assert difference(ours.masks[frame].pointer, theirs.pointer(frame)) <= 1e-3


def is_the_same_memory(ours: Tensor, theirs: Tensor) -> bool:
    """Equal to one step of bfloat16, that is 2^-7 of a value; near zero float32 noise is wider than a step."""
    assert ours.dtype == theirs.dtype == torch.bfloat16
    return torch.allclose(ours.float(), theirs.float(), rtol=2**-7, atol=1e-4)
