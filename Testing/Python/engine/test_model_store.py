"""`medsam2 models download|add|verify|remove`, in a folder of the test's own and against a server on this machine."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from file_server import FileServer, serving
from medsam2_engine import model_store, models, models_command
from medsam2_engine.models import ModelEntry, find_model, is_installed
from medsam2_engine.user_folders import cache_folder, models_folder

CONTENT = b"weights" * 1000


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of this machine's user is read or written."""
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "cache"))
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name == model_store.MIRROR_VARIABLE:
            monkeypatch.delenv(name)
    return tmp_path / "models"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving(FileServer(CONTENT)) as running:
        yield running


@pytest.fixture
def listed(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """A list of the embedded model and one that the server has, free for all."""
    entry = dataclasses.replace(find_model("sam2.1-tiny"), id="tiny", files=(server.file(),))
    monkeypatch.setattr(models, "_listed_models", lambda: (find_model_of_the_list("embedded"), entry))
    return entry


@pytest.fixture
def restricted(listed: ModelEntry, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """The same for research only, without a published checksum."""
    file = server.file(size=0, sha256="")
    entry = dataclasses.replace(listed, files=(file,), is_consent_needed=True, licence="research only")
    monkeypatch.setattr(models, "_listed_models", lambda: (entry,))
    return entry


def find_model_of_the_list(model_id: str) -> ModelEntry:
    return next(entry for entry in models.read_models(models.MODEL_LIST) if entry.id == model_id)


def run(*arguments: Any) -> int:
    return models_command.main([str(argument) for argument in arguments])


def test_a_downloaded_model_is_installed(listed: ModelEntry, own_folders: Path, capsys: Any) -> None:
    assert not is_installed(listed)
    assert run("download", "tiny") == 0
    assert is_installed(listed)
    assert (own_folders / "tiny" / "model.pt").read_bytes() == CONTENT
    assert str(own_folders / "tiny") in capsys.readouterr().out


def test_a_model_that_is_there_is_not_downloaded_again(listed: ModelEntry, server: FileServer) -> None:
    run("download", "tiny")
    run("download", "tiny")
    assert len(server.asked) == 1


def test_listing_downloads_nothing(listed: ModelEntry, server: FileServer) -> None:
    for arguments in (["list"], ["list", "--json"], ["info", "tiny"], ["verify", "tiny"]):
        run(*arguments)
    assert server.asked == []


def test_restricted_weights_wait_for_consent(restricted: ModelEntry, server: FileServer, capsys: Any) -> None:
    assert run("download", "tiny") == 5
    assert "research only" in capsys.readouterr().err
    assert server.asked == []
    assert run("download", "tiny", "--accept-licence") == 0


def test_an_unpublished_checksum_is_that_of_the_first_file(
    restricted: ModelEntry, own_folders: Path, server: FileServer, capsys: Any
) -> None:
    run("download", "tiny", "--accept-licence")
    assert run("verify", "tiny") == 0
    said = capsys.readouterr().out
    assert server.sha256 in said
    assert "no checksum is published" in said
    (own_folders / "tiny" / "model.pt").write_bytes(CONTENT[::-1])
    assert run("verify", "tiny") == 5


def test_progress_for_a_program_is_one_object_a_line(listed: ModelEntry, capsys: Any) -> None:
    run("download", "tiny", "--json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-2] == {"done": len(CONTENT), "total": len(CONTENT)}
    assert (lines[-1]["end"], lines[-1]["id"], lines[-1]["published"]) == ("installed", "tiny", True)


def test_every_end_for_a_program_is_one_object(listed: ModelEntry, server: FileServer, capsys: Any) -> None:
    ends = []
    for arguments in (["download"], ["download"], ["verify"], ["remove"]):
        run(*arguments, "tiny", "--json")
        ends.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert [end["end"] for end in ends] == ["installed", "verified", "verified", "removed"]
    assert ends[0]["files"] == [{"name": "model.pt", "size": len(CONTENT), "sha256": server.sha256}]


def test_the_list_for_a_program_says_what_can_be_done_with_each(
    listed: ModelEntry, own_folders: Path, capsys: Any
) -> None:
    run("download", "tiny", "--json")
    capsys.readouterr()
    run("list", "--json")
    embedded, tiny = json.loads(capsys.readouterr().out)
    assert (embedded["installed"], embedded["removable"], embedded["own"]) == (True, False, False)
    assert (tiny["installed"], tiny["removable"], tiny["place"]) == (True, True, str(own_folders / "tiny"))


def test_a_listed_model_is_recognised_by_its_content(listed: ModelEntry, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "renamed.bin").write_bytes(CONTENT)
    assert run("recognise", tmp_path / "renamed.bin", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["id"]) == ("listed", "tiny")
    assert not is_installed(listed)


def test_a_mirror_is_asked_instead_of_the_authors(listed: ModelEntry, server: FileServer) -> None:
    run("download", "tiny", "--mirror", f"{server.url}/hospital")
    assert server.asked == [("/hospital/model.pt", "")]


def test_a_stopped_download_says_that_it_can_go_on(
    listed: ModelEntry, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def stop(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(models_command, "download_model", stop)
    assert run("download", "tiny") == 130
    assert "goes on from there" in capsys.readouterr().err


def test_a_listed_model_is_added_from_a_stick(listed: ModelEntry, tmp_path: Path, server: FileServer) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "model.pt").write_bytes(CONTENT)
    assert run("add", stick, "--id", "tiny") == 0
    assert is_installed(listed)
    assert server.asked == []


def test_a_listed_model_is_known_by_its_content_whatever_the_file_is_called(listed: ModelEntry, tmp_path: Path) -> None:
    (tmp_path / "renamed.bin").write_bytes(CONTENT)
    assert run("add", tmp_path / "renamed.bin") == 0
    assert is_installed(listed)


def test_a_changed_copy_of_a_listed_model_is_not_added(listed: ModelEntry, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "model.pt").write_bytes(CONTENT[::-1])
    assert run("add", tmp_path / "model.pt", "--id", "tiny") == 5
    assert "SHA-256 differs" in capsys.readouterr().err
    assert not is_installed(listed)


def test_a_removed_model_is_gone_and_stays_in_the_list(listed: ModelEntry, own_folders: Path) -> None:
    run("download", "tiny")
    assert run("remove", "tiny") == 0
    assert not (own_folders / "tiny").exists()
    assert find_model("tiny") == listed


def test_what_ships_is_not_removed(capsys: Any) -> None:
    assert run("remove", "embedded") == 5
    assert "nothing to remove" in capsys.readouterr().err
    assert is_installed(find_model("embedded"))


def test_a_file_that_is_no_model_is_not_added(tmp_path: Path, own_folders: Path, capsys: Any) -> None:
    (tmp_path / "notes.pt").write_text("meeting at nine", encoding="utf-8")
    assert run("add", tmp_path / "notes.pt", "--id", "mine") == 5
    assert "Traceback" not in capsys.readouterr().err
    assert not own_folders.exists()


def test_a_model_of_ones_own_needs_a_name(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "mine.pt").write_bytes(b"?")
    assert run("add", tmp_path / "mine.pt") == 5
    assert "--id" in capsys.readouterr().err


@pytest.mark.parametrize("model_id", ["../outside", "With Space", "", "a/b"])
def test_an_id_is_a_plain_name(tmp_path: Path, model_id: str) -> None:
    (tmp_path / "mine.pt").write_bytes(b"?")
    entry = model_store.own_entry(model_id, "", "sam2", "sam2.1_hiera_tiny", 512)
    with pytest.raises(models.NoSuchModel, match="no usable id"):
        model_store.add_own(tmp_path / "mine.pt", entry)


def test_a_disk_that_is_full_while_copying_leaves_nothing_behind(
    listed: ModelEntry, tmp_path: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "model.pt").write_bytes(CONTENT)
    monkeypatch.setattr(model_store.shutil, "copyfile", full)
    assert run("add", tmp_path / "model.pt", "--id", "tiny") == 8
    assert "No space left" in capsys.readouterr().err
    assert not (own_folders / "tiny").exists()


def test_the_folders_can_be_chosen(tmp_path: Path) -> None:
    assert models_folder() == tmp_path / "models"
    assert cache_folder() == tmp_path / "cache"


@pytest.mark.parametrize(("system", "part"), [("linux", ".local/share"), ("darwin", "Application Support")])
def test_without_a_choice_they_are_where_each_system_wants_them(
    monkeypatch: pytest.MonkeyPatch, system: str, part: str
) -> None:
    for name in ("MEDSAM2_MODELS", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", system)
    assert part in models_folder().as_posix()
