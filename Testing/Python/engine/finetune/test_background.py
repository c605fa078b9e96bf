"""A training that another program has started: it steps back, speaks, and has its folder to itself."""

from __future__ import annotations

import ctypes
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from medsam2_engine.errors import BadRequest
from medsam2_engine.finetune import background, sole_training
from medsam2_engine.finetune.sole_training import sole_training_in
from medsam2_engine.finetune.telling import Telling


def test_on_windows_too_a_training_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    kernel = SimpleNamespace(
        GetCurrentProcess=lambda: -1, SetPriorityClass=lambda process, kind: asked.append((process.value, kind))
    )
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.delattr(background.os, "nice", raising=False)
    background.step_back()
    assert asked == [(2 ** (8 * ctypes.sizeof(ctypes.c_void_p)) - 1, 0x4000)]


def test_programs_understand_every_name_whatever_the_systems_encoding_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Windows of western Europe writes cp1252 into a pipe."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252", write_through=True))
    Telling(True).end("done", "", report="C:/Users/Müller/Łódź/report.html")
    assert json.loads(written.getvalue().decode("utf-8"))["report"] == "C:/Users/Müller/Łódź/report.html"


def test_two_trainings_in_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    first, second = sole_training_in(tmp_path), sole_training_in(tmp_path)
    with first, pytest.raises(BadRequest, match="Another program is training in"), second:
        pass
    with sole_training_in(tmp_path):
        pass


def test_a_folder_on_a_disk_that_knows_no_locks_can_be_trained_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(sole_training, "_lock", refuse)
    with sole_training_in(tmp_path):
        pass
