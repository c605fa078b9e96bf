"""Every published SAM 2, saved in the original layout with seeded weights, against transformers' Sam2VideoModel.

What transformers leaves out is given to it, as the original predictor does: the earlier logits with a correction. The
original configuration of MedSAM2 is the tiny one at 512 pixels. By default the tiny one is followed, at 256 pixels;
MEDSAM2_PARITY=all takes the others, which needs some minutes. MEDSAM2_PARITY_REPORT names a file for the figures.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from comparison import Comparison
from medsam2_engine.model.architectures import PUBLISHED
from medsam2_engine.model.checkpoint import load_model
from medsam2_engine.model.keys import to_official
from medsam2_engine.model.sam2 import Sam2

pytest.importorskip("transformers", reason="transformers is the reference")

FRAMES = 40
CORRECTED = 20
DEFAULT = ("sam2.1_hiera_tiny", 256)
CASES = [*((name, 256) for name in PUBLISHED), ("sam2.1_hiera_tiny", 512)]
everything = pytest.mark.skipif(os.environ.get("MEDSAM2_PARITY") != "all", reason="MEDSAM2_PARITY is not all")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(case, marks=() if case == DEFAULT else (pytest.mark.slow, everything), id="-".join(map(str, case)))
        for case in CASES
    ],
)
def loaded(request, make_pair, tmp_path_factory):
    """A pair whose our half came through a file as its authors would have written it, recognised by its tensors."""
    name, size = request.param
    pair = make_pair(replace(PUBLISHED[name], image_size=size), frames=FRAMES)
    path = tmp_path_factory.mktemp(name) / "any name.pt"
    torch.save({"model": to_official(pair.theirs.state_dict())}, path)
    return name, replace(pair, ours=load_model(path, image_size=size))


def test_a_checkpoint_in_the_original_layout_answers_as_the_reference(loaded):
    name, pair = loaded
    assert type(pair.ours) is Sam2
    assert pair.ours.config == pair.config
    size = pair.config.image_size
    features = features_difference(pair)
    prompts, forward, reverse = Comparison(size), Comparison(size), Comparison(size)
    for kind in ("box", "one_point", "two_points"):
        prompt = getattr(pair, kind)
        prompts.add(pair.our_session().prompt(0, prompt).logits, pair.their_session().prompt(0, prompt))
    mask = pair.frames[0, 0] > 1
    prompts.add(pair.our_session().draw(0, mask).logits, pair.their_session().draw(0, mask))
    follow_with_a_correction(pair, forward)
    follow_in_reverse(pair, reverse)
    report(name, size, features, prompts, forward, reverse)
    assert features <= 1e-3
    for comparison in (prompts, forward, reverse):
        assert comparison.difference <= 1e-3
        assert comparison.alike >= 0.9999


def features_difference(pair):
    ours = pair.ours.encode(pair.frames[:1])
    theirs = pair.theirs.get_image_features(pair.frames[:1], return_dict=True).fpn_hidden_states
    levels = (ours.fine, ours.middle, ours.coarse)
    return max(
        float((level.flatten(2).permute(2, 0, 1) - reference).abs().max())
        for level, reference in zip(levels, theirs, strict=True)
    )


def follow_with_a_correction(pair, comparison):
    """The first object: a box on the first frame, followed to the last; a click on a later one corrects it there."""
    ours, theirs = pair.our_session(), pair.their_session()
    for session in (ours, theirs):
        session.prompt(0, pair.box)
        session.follow(range(1, CORRECTED + 1))
    correct(pair, ours, theirs)
    for session in (ours, theirs):
        session.follow(range(CORRECTED + 1, FRAMES))
    for frame in range(1, FRAMES):
        comparison.add(ours.masks[frame].gated_logits, theirs.logits(frame))


def correct(pair, ours, theirs):
    previous = ours.masks[CORRECTED].logits
    features = pair.features[CORRECTED]
    mask = pair.ours.track(features, ours.bank, CORRECTED, pair.two_points, previous)
    ours.masks[CORRECTED] = mask
    ours.bank.add(CORRECTED, pair.ours.remember(features, mask, from_prompt=True))
    single = pair.theirs._run_single_frame_inference
    try:
        pair.theirs._run_single_frame_inference = lambda **given: single(
            **given | {"prev_sam_mask_logits": previous[None, None].clamp(-32, 32)}
        )
        theirs.prompt(CORRECTED, pair.two_points)
    finally:
        del pair.theirs._run_single_frame_inference


def follow_in_reverse(pair, comparison):
    """The second object: a click on the last frame, followed to the first, over the same features."""
    last = FRAMES - 1
    click = pair.points((0.68, 0.55), labels=(1,))
    ours, theirs = pair.our_session(reverse=True), pair.their_session()
    for session in (ours, theirs):
        session.prompt(last, click)
        session.follow(range(last - 1, -1, -1))
    for frame in range(last):
        comparison.add(ours.masks[frame].gated_logits, theirs.logits(frame))


def report(name, size, features, *comparisons):
    if path := os.environ.get("MEDSAM2_PARITY_REPORT"):
        figures = {
            "architecture": name,
            "size": size,
            "features": features,
            "logits": max(comparison.difference for comparison in comparisons),
            "alike": 1 - sum(c.flipped for c in comparisons) / sum(c.pixels for c in comparisons),
        }
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(figures) + "\n")
