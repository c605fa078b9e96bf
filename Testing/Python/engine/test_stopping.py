"""Computations end when nobody wants them any more."""

from __future__ import annotations

import pytest

from medsam2_engine.stopping import Stopped, stop_if_unwanted, stoppable


def test_a_wanted_computation_goes_on() -> None:
    with stoppable(lambda: True):
        stop_if_unwanted()


def test_an_unwanted_computation_ends() -> None:
    with pytest.raises(Stopped), stoppable(lambda: False):
        stop_if_unwanted()


def test_nothing_ends_what_nobody_watches() -> None:
    stop_if_unwanted()


def test_the_innermost_word_counts() -> None:
    with stoppable(lambda: False), stoppable(lambda: True):
        stop_if_unwanted()


def test_after_an_end_nothing_is_stopped_any_more() -> None:
    with pytest.raises(Stopped), stoppable(lambda: False):
        stop_if_unwanted()
    stop_if_unwanted()
