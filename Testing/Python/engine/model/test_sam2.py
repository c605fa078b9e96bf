"""Every step of a frame, against transformers' Sam2VideoModel with the same random weights."""

import pytest
import torch
from torch import Tensor

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
