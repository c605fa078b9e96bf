"""The model list, the checkpoints on disk, and `medsam2 models`."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medsam2_engine import models, models_command
from medsam2_engine.__main__ import main
from medsam2_engine.errors import NoSuchModel
from medsam2_engine.models import CheckpointFile, InputPolicy, ModelEntry, find_checkpoint, find_model, is_installed
from medsam2_protocol.tagged import MalformedMessage


@pytest.fixture
def an_entry() -> ModelEntry:
    content = b"weights"
    file = CheckpointFile("model.bin", len(content), hashlib.sha256(content).hexdigest())
    return dataclasses.replace(find_model("embedded"), id="tiny", files=(file,))


@pytest.fixture
def an_installed_folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "model.bin").write_bytes(b"weights")
    return tmp_path


def test_the_embedded_checkpoint_is_shipped_and_as_published() -> None:
    folder = find_checkpoint(find_model("embedded"))
    assert (folder / "model.safetensors").is_file()


def test_the_embedded_model_sees_a_crop_around_the_object() -> None:
    assert find_model("embedded").input_policy == InputPolicy("object_crop", 128, 2.5)


def test_a_model_that_sees_whole_slices_can_be_described() -> None:
    assert InputPolicy("whole_slice", 512).crop_over_box == 0


@pytest.mark.parametrize(
    "arguments",
    [("guess", 128), ("object_crop", 128), ("whole_slice", 512, 2.5), ("object_crop", 128, 2.5, "unit", "neighbours")],
)
def test_an_input_policy_that_makes_no_sense_is_refused(arguments: tuple[str, int]) -> None:
    with pytest.raises(ValueError, match=r"input policy|crop_over_box|channels"):
        InputPolicy(*arguments)


def test_every_entry_says_licence_training_data_and_citation() -> None:
    for entry in models.all_models():
        assert entry.licence
        assert entry.licence_note
        assert entry.purpose
        assert entry.training_data
        assert entry.citation
        assert entry.files


def test_model_ids_are_unique() -> None:
    ids = [entry.id for entry in models.all_models()]
    assert len(ids) == len(set(ids))


def test_an_entry_with_a_misspelt_field_is_refused(tmp_path: Path) -> None:
    data = json.loads(models.MODEL_LIST.read_text(encoding="utf-8"))
    data[0]["license"] = data[0].pop("licence")
    (tmp_path / "models.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(MalformedMessage, match="license"):
        models.read_models(tmp_path / "models.json")


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NoSuchModel, match=r"no model 'sam9'.*embedded"):
        find_model("sam9")


def test_a_sound_checkpoint_is_found_in_the_second_folder(an_entry: ModelEntry, an_installed_folder: Path) -> None:
    folders = (an_installed_folder / "elsewhere", an_installed_folder)
    assert find_checkpoint(an_entry, folders) == an_installed_folder / "tiny"
    assert is_installed(an_entry, folders)


def test_a_missing_checkpoint_says_what_to_do(an_entry: ModelEntry, tmp_path: Path) -> None:
    with pytest.raises(NoSuchModel, match=r"not installed\. Reinstall"):
        find_checkpoint(an_entry, (tmp_path,))


def test_every_published_architecture_of_sam_2_is_known_here() -> None:
    from medsam2_engine.model.architectures import PUBLISHED

    named = {entry.architecture for entry in models.all_models() if entry.backend == "sam2"} - {""}
    assert named == set(PUBLISHED)


def test_medsam2_sees_whole_slices_of_512_pixels_and_asks_for_consent() -> None:
    found = [entry for entry in models.all_models() if entry.id.startswith("medsam2-")]
    assert len(found) == 5
    assert {entry.input_policy for entry in found} == {InputPolicy("whole_slice", 512)}
    assert all(entry.is_consent_needed for entry in found)


def test_addresses_are_encrypted_and_checksums_are_checksums() -> None:
    for entry in models.all_models():
        for file in entry.files:
            assert file.url.startswith("https://") or entry.id in ("embedded", "sam3-tracker", "sam-med2d")
            assert file.sha256 == "" or len(bytes.fromhex(file.sha256)) == 32


def test_a_model_that_can_be_downloaded_says_how(tmp_path: Path) -> None:
    with pytest.raises(NoSuchModel, match=r"not installed\. Download it \(`medsam2 models download sam2\.1-tiny`\)"):
        find_checkpoint(find_model("sam2.1-tiny"), (tmp_path,))


def test_a_model_that_its_authors_give_to_some_says_whom_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path))
    assert models_command.main(["download", "sam3-tracker", "--accept-licence"]) == 5
    assert "Get it from its authors (`medsam2 models info sam3-tracker` says where)" in capsys.readouterr().err


def test_a_file_whose_checksum_nobody_published_is_held_to_what_was_received(
    an_entry: ModelEntry, an_installed_folder: Path
) -> None:
    folder = an_installed_folder / "tiny"
    unpublished = dataclasses.replace(an_entry, files=(CheckpointFile("model.bin", 0, ""),))
    models.write_received(folder, an_entry.files)
    assert find_checkpoint(unpublished, (an_installed_folder,)) == folder
    (folder / "model.bin").write_bytes(b"wXights")
    with pytest.raises(NoSuchModel, match="SHA-256 differs"):
        find_checkpoint(unpublished, (an_installed_folder,))


def test_the_size_of_the_weights_is_that_of_all_that_is_loaded(
    an_entry: ModelEntry, an_installed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "checkpoint_folders", lambda: (an_installed_folder,))
    unpublished = dataclasses.replace(an_entry, files=(CheckpointFile("model.bin", 0, ""),))
    assert models.weights_bytes(an_entry) == len(b"weights")
    assert models.weights_bytes(unpublished) == 0
    models.write_received(an_installed_folder / "tiny", an_entry.files)
    assert models.weights_bytes(unpublished) == len(b"weights")
    adapter = dataclasses.replace(an_entry, base="embedded")
    assert models.weights_bytes(adapter) == len(b"weights") + find_model("embedded").size


def test_a_broken_entry_of_the_user_does_not_hide_the_other_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDSAM2_MODELS", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "entry.json").write_text("{", encoding="utf-8")
    assert find_model("embedded").id == "embedded"


def test_a_missing_file_is_named(an_entry: ModelEntry, an_installed_folder: Path) -> None:
    (an_installed_folder / "tiny" / "model.bin").unlink()
    with pytest.raises(NoSuchModel, match=r"model\.bin is missing"):
        find_checkpoint(an_entry, (an_installed_folder,))
    assert not is_installed(an_entry, (an_installed_folder,))


def test_a_file_cut_short_is_told_from_a_whole_one(an_entry: ModelEntry, an_installed_folder: Path) -> None:
    (an_installed_folder / "tiny" / "model.bin").write_bytes(b"wei")
    with pytest.raises(NoSuchModel, match="3 bytes instead of 7"):
        find_checkpoint(an_entry, (an_installed_folder,))


def test_a_changed_byte_is_found(an_entry: ModelEntry, an_installed_folder: Path) -> None:
    (an_installed_folder / "tiny" / "model.bin").write_bytes(b"wXights")
    with pytest.raises(NoSuchModel, match="SHA-256 differs"):
        find_checkpoint(an_entry, (an_installed_folder,))


def test_a_file_changed_after_it_was_verified_is_verified_again(
    an_entry: ModelEntry, an_installed_folder: Path
) -> None:
    find_checkpoint(an_entry, (an_installed_folder,))
    path = an_installed_folder / "tiny" / "model.bin"
    path.write_bytes(b"wXights")
    os.utime(path, ns=(1, 1))
    with pytest.raises(NoSuchModel, match="SHA-256 differs"):
        find_checkpoint(an_entry, (an_installed_folder,))


def test_models_list_has_a_line_per_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(models.all_models())


def test_models_list_can_be_read_by_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == 0
    listed = {item["id"]: item for item in json.loads(capsys.readouterr().out)}
    assert listed["embedded"]["installed"] is True
    assert listed["embedded"]["weights_bytes"] == find_model("embedded").size
    assert listed["medsam2-latest"]["is_consent_needed"] is True


def test_models_info_names_licence_and_training_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", "embedded"]) == 0
    text = capsys.readouterr().out
    assert "Apache-2.0" in text
    assert "CC BY-SA 4.0" in text


def test_models_verify_prints_the_checksums(capsys: pytest.CaptureFixture[str]) -> None:
    assert models_command.main(["verify", "embedded"]) == 0
    assert find_model("embedded").files[0].sha256 in capsys.readouterr().out


def test_an_unknown_model_ends_the_command_with_code_5(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", "sam9"]) == 5
    assert capsys.readouterr().err.startswith("medsam2: There is no model")


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segmnet"]) == 2
    assert "no command 'segmnet'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["models", "list"], ["segment", "--help"]])
def test_help_and_lists_do_not_import_torch(arguments: list[str]) -> None:
    code = (
        "import sys; from medsam2_engine.__main__ import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    )
    source = str(Path(models.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": source}, check=False)
    assert done.returncode == 0
