"""Which memories a frame recalls."""

from dataclasses import replace

import pytest
import torch

from medsam2_engine.model.bank import Memory, MemoryBank
from medsam2_engine.model.config import Sam2Config

OFFICIAL = Sam2Config.hiera_tiny()


def memory(frame):
    """A memory that can be told by its frame."""
    return Memory(tokens=torch.tensor([[float(frame)]]), pointer=torch.tensor([float(frame)]))


def a_bank(conditioning=(0,), followed=(), frame_count=100, reverse=False, config=OFFICIAL):
    bank = MemoryBank(config, frame_count, reverse)
    for frame in conditioning:
        bank.add_conditioning(frame, memory(frame))
    for frame in followed:
        bank.add(frame, memory(frame))
    return bank


def frames(recalled):
    """(age, frame) of recalled memories or pointers."""
    return [(age, int(getattr(value, "tokens", value).flatten()[0])) for age, value in recalled]


def test_a_bank_without_a_prompted_frame_recalls_nothing_and_says_so():
    with pytest.raises(ValueError, match="prompted frame"):
        a_bank(conditioning=()).select(1)


def test_maps_are_the_prompted_frame_and_the_last_six():
    maps = a_bank(followed=range(1, 20)).select(20).maps
    assert frames(maps) == [(0, 0), (1, 19), (2, 18), (3, 17), (4, 16), (5, 15), (6, 14)]


def test_in_reverse_the_last_six_have_higher_numbers():
    maps = a_bank(conditioning=(50,), followed=range(49, 30, -1), reverse=True).select(30).maps
    assert frames(maps) == [(0, 50), (1, 31), (2, 32), (3, 33), (4, 34), (5, 35), (6, 36)]


def test_pointers_are_the_prompted_frames_and_the_last_fifteen():
    pointers = a_bank(followed=range(1, 40)).select(40).pointers
    assert frames(pointers) == [(40, 0)] + [(age, 40 - age) for age in range(1, 16)]


def test_a_short_volume_shortens_the_reach_and_the_span_of_pointers():
    recalled = a_bank(followed=range(1, 5), frame_count=6).select(5)
    assert recalled.pointer_span == 5
    assert frames(recalled.pointers) == [(5, 0), (1, 4), (2, 3), (3, 2), (4, 1)]


def test_a_long_volume_spans_the_largest_number_of_pointers():
    assert a_bank(frame_count=300).select(1).pointer_span == 15


def test_pointers_of_prompted_frames_ahead_wait_until_they_are_past():
    bank = a_bank(conditioning=(0, 10))
    assert frames(bank.select(5).pointers) == [(5, 0)]
    assert frames(bank.select(12).pointers) == [(12, 0), (2, 10)]


def test_in_reverse_prompted_frames_with_higher_numbers_are_past():
    bank = a_bank(conditioning=(0, 10), reverse=True)
    assert frames(bank.select(5).pointers) == [(5, 10)]


def test_maps_of_prompted_frames_ahead_are_recalled():
    assert frames(a_bank(conditioning=(0, 10)).select(5).maps) == [(0, 0), (0, 10)]


def test_of_many_prompted_frames_both_neighbours_and_the_nearest_are_recalled():
    bank = a_bank(conditioning=(0, 20, 24, 60), config=replace(OFFICIAL, max_cond_frames=3))
    assert [frame for _, frame in frames(bank.select(30).maps)] == [24, 60, 20]


def test_a_prompted_frame_that_was_passed_over_counts_as_followed():
    bank = a_bank(conditioning=(0, 26, 28, 29, 60), config=replace(OFFICIAL, max_cond_frames=2))
    recalled = bank.select(30)
    assert frames(recalled.maps) == [(0, 29), (0, 60), (2, 28), (4, 26)]
    assert frames(recalled.pointers) == [(1, 29), (2, 28), (4, 26)]


def test_prompting_a_followed_frame_makes_it_a_prompted_one():
    bank = a_bank(followed=(1, 2, 3))
    bank.add_conditioning(3, memory(3))
    assert frames(bank.select(4).maps) == [(0, 0), (0, 3), (2, 2), (3, 1)]


def test_what_can_no_longer_be_recalled_is_forgotten():
    bank = a_bank(followed=range(1, 1000), frame_count=1000)
    assert len(bank._maps) == OFFICIAL.num_maskmem
    assert len(bank._pointers) == OFFICIAL.max_object_pointers


def test_the_last_frame_can_be_followed_again_with_the_same_memories():
    before = a_bank(followed=range(1, 30)).select(30)
    again = a_bank(followed=range(1, 31)).select(30)
    assert frames(again.maps) == frames(before.maps)
    assert frames(again.pointers) == frames(before.pointers)
