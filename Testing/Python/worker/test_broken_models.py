"""Broken, foreign and dangerous checkpoints: one clear sentence each, and the running model goes on."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from medsam2_engine.model.keys import to_official
from medsam2_engine.models import CheckpointFile, InputPolicy, ModelEntry, find_checkpoint, find_model
from medsam2_engine.service import Desk, Inbox, LineWriter
from medsam2_protocol.messages import Done, Failed, OpenVolume, Predict
from medsam2_protocol.prompts import SegmentPrompts
from medsam2_protocol.tagged import to_jsonable
from phantoms import Phantom

State = dict[str, Tensor]


class RunsCode:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trace),)


@pytest.fixture(scope="module")
def state() -> State:
    """The embedded model's weights under official names."""
    return to_official(load_file(find_checkpoint(find_model("embedded")) / "model.safetensors"))


@pytest.fixture(scope="module")
def busy_desk(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk at which the embedded model is at work on the volume v1."""
    voxels = phantom.volume.voxels_kji
    path = tmp_path_factory.mktemp("volume") / "v1.raw"
    np.ascontiguousarray(voxels).tofile(path)
    matrix: Any = tuple(tuple(map(float, row)) for row in phantom.volume.ijk_to_ras)
    writer = LineWriter(io.BytesIO())
    desk = Desk(writer, Inbox(writer))
    desk.end_of(OpenVolume("", "v1", str(path), voxels.dtype.str, voxels.shape, matrix, ""))
    assert isinstance(desk.end_of(a_request(phantom, "embedded")), Done)
    return desk


@pytest.fixture
def desk(busy_desk: Desk) -> Iterator[Desk]:
    """Afterwards it has forgotten the brought model, not the embedded one."""
    yield busy_desk
    forget(busy_desk)


def forget(desk: Desk) -> None:
    desk._backends.pop(("broken", "cpu"), None)
    desk._sessions.pop(("v1", "broken", "cpu"), None)


@pytest.fixture
def bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[Path], None]], Path]:
    """A function that puts a checkpoint where the user's models are, listed under the id "broken"."""
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "cache"))

    def put(name: str, write: Callable[[Path], None]) -> Path:
        folder = tmp_path / "models" / "broken"
        folder.mkdir(parents=True)
        shutil.copyfile(find_checkpoint(find_model("embedded")) / "config.json", folder / "config.json")
        write(folder / name)
        files = (CheckpointFile("config.json", 0, ""), CheckpointFile(name, 0, ""))
        policy = InputPolicy("object_crop", 128, 2.5)
        entry = ModelEntry("broken", "Broken", "sam2", "", policy, files, "", "", (), "")
        (folder / "entry.json").write_text(json.dumps(to_jsonable(entry)), encoding="utf-8")
        return folder / name

    return put


def a_request(phantom: Phantom, model: str) -> Predict:
    return Predict("r1", "v1", SegmentPrompts("s1", (phantom.box("K", 9),)), "K", 9, model=model, device="cpu")


def pt(content: object) -> Callable[[Path], None]:
    return lambda path: torch.save(content, path)


def raw(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def changed(state: State, **changes: Tensor) -> State:
    return {**state, **{name.replace("__", "."): tensor for name, tensor in changes.items()}}


def without(state: State, start: str) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith(start)}


def compressed(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 50_000_000)


def cut(state: State, share: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        torch.save({"model": state}, path)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return write


def cut_safetensors(state: State) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
        path.write_bytes(path.read_bytes()[:-1000])

    return write


BROKEN: dict[str, tuple[str, Callable[[State, Path], Callable[[Path], None]], str]] = {
    "empty": ("m.pt", lambda s, t: raw(b""), "is empty"),
    "half a download": ("m.pt", lambda s, t: cut(s, 0.5), "cut short"),
    "almost a download": ("m.pt", lambda s, t: cut(s, 0.999), "cut short"),
    "half a safetensors": ("m.safetensors", lambda s, t: cut_safetensors(s), "is damaged"),
    "a header that never ends": ("m.safetensors", lambda s, t: raw(b"\xff" * 4096), "is damaged"),
    "an LFS pointer": (
        "m.pt",
        lambda s, t: raw(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "git lfs pull",
    ),
    "an error page": ("m.pt", lambda s, t: raw(b"<!DOCTYPE html><html>Sign in</html>"), "web page"),
    "an error in XML": ("m.safetensors", lambda s, t: raw(b'<?xml version="1.0"?><Error/>'), "web page"),
    "a text": ("m.pt", lambda s, t: raw(b"see the other folder"), "holds more than weights|damaged"),
    "a gzip": ("m.pt", lambda s, t: raw(gzip.compress(b"weights")), "holds more than weights|damaged"),
    "a zip bomb": ("m.pt", lambda s, t: compressed, "compressed archive"),
    "a pickle bomb": ("m.pt", lambda s, t: pt({"model": {"w": RunsCode(t)}}), "foreign code"),
    "a bare pickle bomb": ("m.pt", lambda s, t: raw(pickle.dumps(RunsCode(t), protocol=2)), "foreign code"),
    "a whole module": ("m.pt", lambda s, t: pt(torch.nn.Linear(2, 2)), "foreign code"),
    "only an optimiser": ("m.pt", lambda s, t: pt({"optimizer": {"step": 3}, "epoch": 2}), "no state dict"),
    "no memory encoder": ("m.pt", lambda s, t: pt({"model": without(s, "memory_encoder.")}), "missing: memory_encoder"),
    "no mask decoder": ("m.pt", lambda s, t: pt({"model": without(s, "sam_mask_decoder.")}), "missing: sam_mask_dec"),
    "something more": (
        "m.pt",
        lambda s, t: pt({"model": changed(s, adapter__weight=torch.ones(2))}),
        r"1 unexpected: adapter\.weight",
    ),
    "another width": (
        "m.pt",
        lambda s, t: pt({"model": changed(s, no_obj_ptr=torch.ones(1, 64))}),
        r"no_obj_ptr \(1, 64\) instead of",
    ),
    "a second prefix": (
        "m.pt",
        lambda s, t: pt({"model": {**s, **{f"ema.{name}": tensor for name, tensor in s.items()}}}),
        "unexpected: ema",
    ),
    "another architecture": ("m.pt", lambda s, t: pt({"model": {"network.0.weight": torch.ones(3)}}), "missing"),
    "not a number": (
        "m.pt",
        lambda s, t: pt({"model": changed(s, no_mem_embed=torch.full((1, 1, 128), float("nan")))}),
        "not numbers",
    ),
    "8-bit integers": (
        "m.pt",
        lambda s, t: pt({"model": {name: tensor.to(torch.int8) for name, tensor in s.items()}}),
        "int8 values",
    ),
    "more claimed than held": (
        "m.pt",
        lambda s, t: pt({"model": changed(s, no_mem_embed=torch.ones(1).expand(1, 1, 10**12))}),
        "claims more",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_model_is_a_sentence_and_the_running_one_goes_on(
    kind: str, bring: Any, state: State, desk: Desk, phantom: Phantom, tmp_path: Path
) -> None:
    name, make, words = BROKEN[kind]
    bring(name, make(state, tmp_path / "trace"))
    running = dict(desk._backends)
    end = desk.end_of(a_request(phantom, "broken"))
    assert isinstance(end, Failed)
    assert end.code == "no_such_model"
    assert re.search(words, end.message), end.message
    assert "\n" not in end.message
    assert end.message.endswith((".", "`."))
    assert not (tmp_path / "trace").exists()
    assert desk._backends == running
    assert isinstance(desk.end_of(a_request(phantom, "embedded")), Done)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("container", ["model", "state_dict", "model_state_dict", None])
def test_every_precision_and_container_loads(
    dtype: torch.dtype, container: str | None, bring: Any, state: State, desk: Desk, phantom: Phantom
) -> None:
    content: Any = {name: tensor.to(dtype) for name, tensor in state.items()}
    bring("m.pth", pt({container: content, "optimizer": {"step": 3}, "epoch": 7} if container else content))
    assert isinstance(desk.end_of(a_request(phantom, "broken")), Done)


@pytest.mark.parametrize("prefix", ["module.", "model.", "sam2_model.", "module.model."])
def test_a_prefix_of_the_training_program_is_taken_off(
    prefix: str, bring: Any, state: State, desk: Desk, phantom: Phantom
) -> None:
    bring("m.pt", pt({"model": {f"{prefix}{name}": tensor for name, tensor in state.items()}}))
    assert isinstance(desk.end_of(a_request(phantom, "broken")), Done)


def test_a_pickle_is_converted_once_and_again_when_it_changes(
    bring: Any, state: State, desk: Desk, phantom: Phantom, tmp_path: Path
) -> None:
    path = bring("m.pt", pt({"model": state}))
    conversions = tmp_path / "cache" / "Converted"

    def load() -> set[tuple[str, int]]:
        assert isinstance(desk.end_of(a_request(phantom, "broken")), Done)
        forget(desk)
        return {(kept.name, kept.stat().st_mtime_ns) for kept in conversions.iterdir()}

    first = load()
    assert len(first) == 1
    assert load() == first
    torch.save({"model": state, "epoch": 1}, path)
    assert len(load()) == 2


def test_a_damaged_conversion_is_made_again(
    bring: Any, state: State, desk: Desk, phantom: Phantom, tmp_path: Path
) -> None:
    bring("m.pt", pt({"model": state}))
    desk.end_of(a_request(phantom, "broken"))
    forget(desk)
    kept = next((tmp_path / "cache" / "Converted").iterdir())
    kept.write_bytes(kept.read_bytes()[:-100])
    assert isinstance(desk.end_of(a_request(phantom, "broken")), Done)


def test_a_cache_that_cannot_be_written_is_done_without(
    bring: Any, state: State, desk: Desk, phantom: Phantom, tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be", encoding="utf-8")
    bring("m.pt", pt({"model": state}))
    assert isinstance(desk.end_of(a_request(phantom, "broken")), Done)
