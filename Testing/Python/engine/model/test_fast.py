"""Folding weights for inference changes the steps, not the answers (equality with transformers: test_sam2)."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from medsam2_engine.frames import SliceStack
from medsam2_engine.framing import ObjectFraming, WholeSliceFraming
from medsam2_engine.grey_frames import grey_of
from medsam2_engine.model.bank import MemoryBank
from medsam2_engine.model.errors import WrongShapeError
from medsam2_engine.model.fast.affine import Affine, softmax_attention
from medsam2_engine.model.fast.grey import Grey
from medsam2_engine.model.fast.windows import WindowOrder
from medsam2_engine.model.image_encoder import from_windows, to_windows
from medsam2_engine.model.sam2 import Sam2
from medsam2_engine.neighbours import NeighbourFraming
from medsam2_engine.slice_prompts import SlicePrompts
from medsam2_engine.whole_slice import HALF, IMAGENET, PlainSliceFraming
from medsam2_protocol.messages import Window
from phantoms import a_phantom


@pytest.fixture
def prepared(small_config, a_random_model):
    model = Sam2(small_config).eval()
    model.load_state_dict(a_random_model.state_dict())
    return model.prepare()


@pytest.mark.parametrize(("side", "window"), [(8, 8), (16, 4), (32, 14), (9, 4)])
def test_tokens_are_ordered_as_windows_are_cut(side, window):
    x = torch.randn(2, side, side, 3)
    order = WindowOrder.of(side, window)
    arranged = order.arranged(x.flatten(1, 2))
    arranged[:, order.beyond] = 0
    assert torch.equal(arranged.view(-1, window, window, 3), to_windows(x, window))


@pytest.mark.parametrize(("side", "window"), [(8, 8), (16, 4), (32, 14)])
def test_undoing_the_order_drops_what_lies_beyond_the_border(side, window):
    x = torch.randn(2, side, side, 3)
    windows = to_windows(x, window)
    undone = WindowOrder.of(side, window).undone(windows.view(2, -1, 3))
    assert torch.equal(undone.view(2, side, side, 3), from_windows(windows, side, side))


def test_two_linear_layers_fold_into_one():
    first, second = torch.nn.Linear(5, 7), torch.nn.Linear(7, 3)
    x = torch.randn(4, 5)
    folded = Affine.of(second).after(Affine.of(first))
    assert torch.allclose(folded(x), second(first(x)), atol=1e-6)


@pytest.mark.parametrize("limit", [1, 200 * 90, 1 << 22])
def test_attention_in_blocks_is_attention(limit):
    q, k, v = torch.randn(2, 130, 16), torch.randn(2, 200, 16), torch.randn(2, 200, 4)
    expected = F.softmax(q @ k.mT, -1) @ v
    assert torch.allclose(softmax_attention(q, k, v, limit), expected, atol=1e-6)


def test_several_frames_at_once_are_encoded_as_one_by_one(prepared):
    frames = torch.randn(3, 3, 128, 128)
    together = prepared.encode(frames)
    for index in range(3):
        alone = prepared.encode(frames[index : index + 1])
        assert torch.allclose(together.at(index).coarse, alone.coarse, atol=1e-4)


def test_an_encoding_can_be_ended_between_two_blocks(prepared):
    pauses = []

    def stop_at_the_third():
        pauses.append(len(pauses))
        if len(pauses) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        prepared.encode(torch.zeros(1, 3, 128, 128), stop_at_the_third)
    assert len(pauses) == 3


def test_there_is_a_pause_before_every_block_and_the_first_attention(prepared, small_config):
    pauses = []
    prepared.encode(torch.zeros(1, 3, 128, 128), lambda: pauses.append(None))
    assert len(pauses) == sum(small_config.hiera.blocks) + 1


def test_what_needs_no_memory_is_kept_with_the_frame(prepared):
    features = prepared.encode(torch.randn(1, 3, 128, 128))
    bare = replace(features, begun=None)
    assert features.begun is not None
    assert features.nbytes == bare.nbytes + features.begun.nbytes
    bank = MemoryBank(prepared.config, 10)
    mask = torch.zeros(128, 128, dtype=torch.bool)
    mask[40:80, 50:90] = True
    bank.add_conditioning(0, prepared.remember(features, prepared.from_mask(features, mask), from_prompt=True))
    kept, anew = features.begun.clone(), prepared.track(bare, bank, 1)
    assert torch.equal(prepared.track(features, bank, 1).logits, anew.logits)
    assert torch.equal(features.begun, kept)  # shared by all objects, so nobody may change it


def test_a_frame_of_another_size_is_refused(prepared):
    with pytest.raises(WrongShapeError):
        prepared.encode(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("unusual", [{"memory_heads": 2}, {"fpn_top_down_levels": (1, 2, 3)}])
def test_an_unusual_architecture_goes_through_the_modules(small_config, unusual):
    model = Sam2(replace(small_config, **unusual)).eval().prepare()
    assert model.encode(torch.zeros(1, 3, 128, 128)).coarse.shape == (1, 128, 8, 8)


def test_rounded_products_follow_an_object_closely(small):
    exact, rounded = small.prepared(), small.prepared(torch.bfloat16)
    masks = [followed(pair) for pair in (exact, rounded)]
    both = (masks[0] & masks[1]).sum()
    assert 2 * both / (masks[0].sum() + masks[1].sum()) >= 0.99


def followed(pair):
    session = pair.our_session()
    session.prompt(0, pair.box)
    session.follow(range(1, 8))
    return torch.stack([session.masks[frame].logits > 0 for frame in range(8)])


def test_a_sum_in_place_is_the_sum():
    layer = Affine.of(torch.nn.Linear(5, 7))
    x, total = torch.randn(4, 5), torch.randn(4, 7)
    expected = total + layer(x)
    layer.add_to(total, x)
    assert torch.allclose(total, expected, atol=1e-6)


def test_one_channel_of_grey_frames_is_encoded_as_all_three(small_config, a_random_model, prepared):
    mean, deviation = IMAGENET
    grey = torch.rand(1, 1, 128, 128)
    pixels = (grey - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(deviation).view(1, 3, 1, 1)
    model = Sam2(small_config).eval()
    model.load_state_dict(a_random_model.state_dict())
    expected, found = prepared.encode(pixels), model.prepare(grey=Grey(mean, deviation)).encode(pixels)
    for name in ("fine", "middle", "coarse"):
        assert torch.allclose(getattr(found, name), getattr(expected, name), atol=1e-4)


def test_of_grey_frames_only_the_first_channel_is_looked_at(small_config, a_random_model):
    model = Sam2(small_config).eval()
    model.load_state_dict(a_random_model.state_dict())
    model.prepare(grey=Grey(*IMAGENET))
    pixels = torch.randn(1, 3, 128, 128)
    other = torch.cat((pixels[:, :1], torch.zeros(1, 2, 128, 128)), dim=1)
    assert torch.equal(model.encode(pixels).coarse, model.encode(other).coarse)


@pytest.mark.parametrize(
    ("framing", "is_grey"),
    [
        (WholeSliceFraming(128), True),
        (PlainSliceFraming(128, False, *HALF), True),
        (PlainSliceFraming(128, True, *IMAGENET), False),
        (NeighbourFraming(WholeSliceFraming(128)), False),
        (ObjectFraming(128), False),
    ],
    ids=["whole slices", "plain slices", "padded slices", "neighbours", "crops with three meanings"],
)
def test_only_frames_of_three_equal_channels_are_grey(framing, is_grey):
    assert (grey_of(framing) is not None) == is_grey


@pytest.mark.parametrize("statistics", [IMAGENET, HALF])
def test_grey_is_what_the_frames_are(statistics):
    framing = PlainSliceFraming(32, False, *statistics)
    slices = SliceStack(a_phantom().volume, "K")
    pixels = framing.looks(slices, 9, SlicePrompts(), Window(0.0, 200.0))[0].pixels(9)
    grey = grey_of(framing)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (grey.mean, grey.deviation))
    plain = pixels[0] * deviation + mean
    assert torch.allclose(plain, plain[:1].expand(3, -1, -1), atol=1e-6)
