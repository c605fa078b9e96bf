"""EdgeTAM and the tracker of SAM 3, against transformers' own inference sessions on the same seeded weights."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from medsam2_engine.backends.edgetam import build_edgetam
from medsam2_engine.backends.transformers_video import VideoBackend
from medsam2_engine.device import Device
from medsam2_engine.model.frame import FrameMask, FramePrompt
from medsam2_engine.whole_slice import IMAGENET, PlainSliceFraming
from video_oracles import TheirSession, drifting_disc, seeded_edgetam, small_sam3

pytest.importorskip("transformers", reason="these families run on transformers")

SIZES = {"edgetam": 256, "sam3": 224}
FRAMES = 12
CORRECTED = 5
BOX = ((0.3, 0.35), (0.6, 0.64)), (2, 3)
CLICK = ((0.45, 0.5),), (1,)
CLICKS = ((0.45, 0.5), (0.8, 0.55)), (1, 0)


class Pair:
    """One network twice, and the frames it looks at."""

    def __init__(self, theirs: Any, ours: VideoBackend, frames: Tensor) -> None:
        self.theirs, self.ours, self.frames = theirs, ours, frames
        self.features = [ours.encode(frame[None]) for frame in frames]

    def prompt(self, places: tuple[tuple[float, float], ...], labels: tuple[int, ...]) -> FramePrompt:
        return FramePrompt(torch.tensor(places) * self.frames.shape[-1], torch.tensor(labels))

    def session(self) -> TheirSession:
        return TheirSession(self.theirs, self.frames)


@pytest.fixture(scope="module", params=SIZES)
def pair(request: pytest.FixtureRequest) -> Pair:
    family = str(request.param)
    size = SIZES[family]
    if family == "edgetam":
        theirs = seeded_edgetam(size)
        model = build_edgetam(theirs.state_dict(), size, Path("seeded.pt"))
    else:
        theirs = small_sam3(size)
        model = copy.deepcopy(theirs)
    backend = VideoBackend("seeded", model, PlainSliceFraming(size, False, *IMAGENET), Device("cpu", "CPU"))
    torch.set_num_threads(1)
    with torch.inference_mode():
        return Pair(theirs, backend, drifting_disc(FRAMES, size))


def assert_alike(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= 1e-3
    assert float(((ours > 0) == (theirs > 0)).float().mean()) >= 0.9999


@torch.inference_mode()
@pytest.mark.parametrize("kind", [BOX, CLICK, CLICKS], ids=["box", "one click", "two clicks"])
def test_a_prompt_is_answered_as_by_their_session(pair: Pair, kind: Any) -> None:
    prompt = pair.prompt(*kind)
    assert_alike(pair.ours.prompt(pair.features[0], prompt).logits, pair.session().prompt(0, prompt))


@torch.inference_mode()
def test_a_second_click_refines_the_earlier_logits_as_theirs_does_when_given_them(pair: Pair) -> None:
    session = pair.session()
    session.prompt(0, pair.prompt(*CLICK))
    first = pair.ours.prompt(pair.features[0], pair.prompt(*CLICK)).logits
    clicks = pair.prompt(*CLICKS)
    ours = pair.ours.prompt(pair.features[0], clicks, first)
    assert_alike(ours.logits, session.refined(0, clicks, first))


@torch.inference_mode()
def test_frames_forward_with_a_correction_are_theirs(pair: Pair) -> None:
    box, clicks = pair.prompt(*BOX), pair.prompt(*CLICKS)
    session = pair.session()
    session.prompt(0, box)
    theirs = session.follow(range(1, CORRECTED))
    session.prompt(CORRECTED, clicks)
    theirs |= session.follow(range(CORRECTED + 1, FRAMES))
    tracker = pair.ours.tracker(FRAMES, reverse=False)
    tracker.condition(0, pair.features[0], pair.ours.prompt(pair.features[0], box))
    ours = {frame: tracker.track(frame, pair.features[frame]) for frame in range(1, CORRECTED)}
    tracker.condition(CORRECTED, pair.features[CORRECTED], pair.ours.prompt(pair.features[CORRECTED], clicks))
    ours |= {frame: tracker.track(frame, pair.features[frame]) for frame in range(CORRECTED + 1, FRAMES)}
    assert ours.keys() == theirs.keys()
    for frame, mask in ours.items():
        assert_alike(mask.gated_logits, theirs[frame])


@torch.inference_mode()
def test_frames_in_reverse_are_theirs(pair: Pair) -> None:
    click, last = pair.prompt(*CLICK), FRAMES - 1
    session = pair.session()
    session.prompt(last, click)
    theirs = session.follow(range(last - 1, -1, -1))
    tracker = pair.ours.tracker(FRAMES, reverse=True)
    tracker.condition(last, pair.features[last], pair.ours.prompt(pair.features[last], click))
    for frame in range(last - 1, -1, -1):
        assert_alike(tracker.track(frame, pair.features[frame]).gated_logits, theirs[frame])


@torch.inference_mode()
def test_a_drawn_mask_has_the_pointer_of_the_single_mask(pair: Pair) -> None:
    drawn = pair.frames[0, 0] > 0.8
    found: FrameMask = pair.ours.from_mask(pair.features[0], drawn)
    features = [pair.features[0].fine, pair.features[0].middle]
    theirs = pair.theirs._single_frame_forward(
        input_masks=pair.theirs.mask_downsample(drawn[None, None].float()),
        image_embeddings=[*features, pair.features[0].coarse],
        multimask_output=False,
    )
    assert float((found.pointer - theirs.object_pointer.flatten()).abs().max()) <= 1e-3
    assert found.is_present
    assert int((found.logits > 0).sum()) > 0
