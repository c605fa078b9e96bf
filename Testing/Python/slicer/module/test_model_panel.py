"""Getting, checking and deleting models in the panel, as a person does: with the real commands in a process of their
own and a web server on this machine. Only the list of models is the test's own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

from file_server import FileServer, serving
from weights_on_disk import adapter_in, checkpoint_in

if importlib.util.find_spec("torch") is None:
    pytest.skip("torch is not installed, and the commands are the engine's", allow_module_level=True)

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "MedSAM2Slicer"
CONTENT = b"weights!" * 200_000
BUTTONS = ("download", "use", "verify", "delete", "add", "cancel", "agree", "decline", "addNow", "discard")


@pytest.fixture
def server():
    with serving(FileServer(CONTENT)) as running:
        yield running


@pytest.fixture
def shelf(app, scene, tmp_path, server, monkeypatch, wait_until, no_process_left):
    """The panel over a folder of models of its own; afterwards no setting and no process is left."""
    import slicer

    from MedSAM2SlicerLib.EngineInstaller import EngineInstaller
    from MedSAM2SlicerLib.Environment import MODELS_SETTING, EngineEnvironment, setModelsFolder
    from MedSAM2SlicerLib.ModelCommands import ModelCommands
    from MedSAM2SlicerLib.ModelPanel import ModelPanel

    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name.startswith("MEDSAM2_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MEDSAM2_ENGINE_PYTHON", sys.executable)
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "cache"))
    package = package_with(tmp_path, models_of(server))
    setModelsFolder(str(tmp_path / "models"))
    installer = EngineInstaller(package)
    commands = ModelCommands(EngineEnvironment(package), package, lambda: installer.options().proxy)
    panel = ModelPanel(str(MODULE_FOLDER / "Resources" / "UI" / "ModelPanel.ui"), commands, installer)
    panel.widget.show()
    yield Shelf(panel, commands, server, tmp_path, wait_until)
    panel.widget.hide()
    commands.stop()
    for key in (MODELS_SETTING, "MedSAM2Slicer/ModelMirror", "MedSAM2Slicer/EngineProxy"):
        slicer.app.settings().remove(key)


def package_with(folder, models):
    """The engine as it ships, with another list of models."""
    package = folder / "extension" / "MedSAM2Slicer"
    (package / "medsam2_engine").mkdir(parents=True)
    for path in (MODULE_FOLDER / "medsam2_engine").iterdir():
        if path.name not in ("models.json", "__pycache__"):
            (package / "medsam2_engine" / path.name).symlink_to(path)
    (package / "medsam2_engine" / "models.json").write_text(json.dumps(models))
    for name in ("medsam2_protocol", "Resources"):
        (package / name).symlink_to(MODULE_FOLDER / name)
    return package


def models_of(server):
    listed = json.loads((MODULE_FOLDER / "medsam2_engine" / "models.json").read_text())
    embedded, tiny = (next(one for one in listed if one["id"] == name) for name in ("embedded", "sam2.1-tiny"))
    file = {"name": "model.pt", "size": len(CONTENT), "sha256": server.sha256, "url": f"{server.url}/model.pt"}
    unpublished = {**file, "size": 0, "sha256": ""}
    restricted = {"is_consent_needed": True, "licence": "CC BY-SA 4.0, research only", "licence_note": "Not for work."}
    return [
        embedded,
        {**tiny, "id": "tiny", "title": "Tiny", "files": [file]},
        {**tiny, "id": "restricted", "title": "Restricted", "files": [unpublished], **restricted},
        {**tiny, "id": "huge", "title": "Huge", "files": [{**file, "size": 10**15}]},
        {**tiny, "id": "other", "title": "Other", "files": [{**file, "sha256": "0" * 64}]},
        {**tiny, "id": "pickle", "title": "By hand", "files": [{**unpublished, "url": ""}]},
    ]


class Shelf:
    """What a person does with the panel."""

    def __init__(self, panel, commands, server, folder, wait_until):
        self.panel, self.ui, self.commands, self.server = panel, panel.ui, commands, server
        self.folder = folder
        self._wait_until = wait_until

    @property
    def status(self):
        return self.ui.statusLabel.text

    def open(self):
        self.ui.modelsGroup.collapsed = False
        self.rest()
        return self

    def rest(self):
        """Until nothing is under way any more, the list included."""
        self._wait_until(lambda: not self.commands.action, 60)

    def wait(self, condition):
        self._wait_until(condition, 60)

    def choose(self, title):
        rows = [row for row, text in enumerate(self.rows()) if text.startswith(title)]
        self.ui.modelList.setCurrentRow(rows[0])

    def rows(self):
        return [self.ui.modelList.item(row).text() for row in range(self.ui.modelList.count)]

    def row(self, title):
        return next(text for text in self.rows() if text.startswith(title))

    def shown(self):
        return [name for name in BUTTONS if getattr(self.ui, f"{name}Button").visible]

    def download(self, title):
        self.choose(title)
        self.ui.downloadButton.click()
        if self.ui.consentBox.visible:
            self.ui.consentBox.click()
        self.ui.agreeButton.click()
        self.rest()

    def look_at(self, path):
        self.ui.addButton.click()
        self.ui.addPath.setCurrentPath(str(path))
        self.wait(lambda: self.ui.recognisedLabel.text not in ("", "Looking at the file…"))
        self.rest()

    def place(self, name):
        return self.folder / "models" / name


def test_nothing_is_asked_before_the_section_is_opened(shelf):
    assert shelf.commands.action == ""
    assert shelf.rows() == []


def test_the_list_says_what_is_there_and_how_large_the_rest_is(shelf):
    shelf.open()
    assert shelf.row("Embedded").endswith("· installed")
    assert shelf.row("Tiny") == "Tiny · 1.6 MB"
    assert shelf.ui.folderLabel.text == f"Now in {shelf.folder / 'models'}"
    assert shelf.row("Restricted") == "Restricted · size unknown"
    assert shelf.server.asked == []


def test_what_ships_can_be_checked_and_not_deleted(shelf):
    shelf.open().choose("Embedded")
    assert shelf.shown() == ["use", "verify", "add"]
    assert "Comes with the extension." in shelf.ui.detailLabel.text
    shelf.ui.verifyButton.click()
    shelf.rest()
    assert shelf.status.endswith("is as published.")


def test_a_download_is_confirmed_in_the_panel_and_declined_without_a_trace(shelf):
    shelf.open().choose("Tiny")
    shelf.ui.downloadButton.click()
    assert shelf.shown() == ["agree", "decline"]
    text = shelf.ui.confirmationText.text
    for words in ("Size: 1.6 MB", "From: 127.0.0.1", "Licence: Apache-2.0", "SHA-256", str(shelf.place("tiny"))):
        assert words in text
    shelf.ui.declineButton.click()
    assert shelf.server.asked == []
    assert shelf.shown() == ["download", "add"]


def test_a_downloaded_model_is_installed_and_its_checksum_is_told(shelf):
    heard = []
    shelf.panel.onModels = lambda models: heard.append({one.id: one.isInstalled for one in models})
    shelf.open().download("Tiny")
    assert shelf.status == f"Tiny is installed: 1.6 MB, SHA-256 {shelf.server.sha256[:12]}… as published."
    assert shelf.row("Tiny") == "Tiny · installed"
    assert shelf.shown() == ["use", "verify", "delete", "add"]
    assert heard[-1]["tiny"]
    assert shelf.place("tiny").joinpath("model.pt").read_bytes() == CONTENT


def test_restricted_weights_wait_for_a_tick(shelf):
    shelf.open().choose("Restricted")
    shelf.ui.downloadButton.click()
    assert "Licence: CC BY-SA 4.0, research only. Not for work." in shelf.ui.confirmationText.text
    assert not shelf.ui.agreeButton.enabled
    shelf.ui.consentBox.click()
    assert shelf.ui.agreeButton.enabled
    shelf.ui.agreeButton.click()
    shelf.rest()
    assert "(none is published; this one is kept)" in shelf.status


def test_a_tick_for_one_download_is_none_for_the_next(shelf):
    shelf.open().choose("Restricted")
    shelf.ui.downloadButton.click()
    shelf.ui.consentBox.click()
    shelf.ui.declineButton.click()
    shelf.ui.downloadButton.click()
    assert not shelf.ui.agreeButton.enabled


def test_progress_is_shown_and_a_cancelled_download_goes_on_where_it_stopped(shelf):
    shelf.server.pause_s = 0.02
    shelf.open().choose("Tiny")
    shelf.ui.downloadButton.click()
    shelf.ui.agreeButton.click()
    shelf.wait(lambda: shelf.ui.progressBar.value > 200)
    assert shelf.shown() == ["cancel"]
    assert shelf.status.startswith("Downloading Tiny: ")
    assert shelf.status.endswith(" of 1.6 MB")
    shelf.ui.cancelButton.click()
    assert shelf.status.startswith("Stopped. What has arrived is kept")
    shelf.rest()
    assert shelf.row("Tiny") == "Tiny · incomplete"
    assert shelf.ui.downloadButton.text == "Continue…"
    kept = shelf.place("tiny").joinpath("model.pt.part").stat().st_size
    shelf.download("Tiny")
    assert shelf.server.asked[-1][1] == f"bytes={kept}-"
    assert "is installed" in shelf.status


def test_a_dropped_connection_is_taken_up_again(shelf):
    shelf.server.drops_after = [300_000, 200_000]
    shelf.open().download("Tiny")
    assert "is installed" in shelf.status


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Huge", ("needs 1000000000 MB more", "Make room, or choose a folder for models on another disk.")),
        ("Other", ("is not the published file", "It was deleted.")),
    ],
)
def test_a_download_that_cannot_end_well_is_a_sentence_without_commands(shelf, title, words):
    shelf.open().download(title)
    for part in words:
        assert part in shelf.status
    assert "medsam2" not in shelf.status.replace(str(shelf.folder), "").lower()
    assert "color" in shelf.ui.statusLabel.styleSheet
    assert not shelf.row(title).endswith(("installed", "incomplete"))


def test_nobody_listening_is_said(shelf):
    shelf.open()
    shelf.ui.mirrorEdit.text = "http://127.0.0.1:9/mirror"
    shelf.panel.places.onMirrorEdited()
    shelf.download("Tiny")
    assert "cannot be reached" in shelf.status
    assert "Check the network" in shelf.status


def test_a_web_page_is_not_taken_for_a_model(shelf):
    shelf.server.content_type = "text/html"
    shelf.open().download("Restricted")
    assert "answers with a web page" in shelf.status
    assert shelf.status.endswith("Download the file in a browser and add it from there.")


def test_a_mirror_is_asked_instead_of_the_authors(shelf):
    shelf.open()
    shelf.ui.mirrorEdit.text = f"{shelf.server.url}/hospital"
    shelf.panel.places.onMirrorEdited()
    shelf.download("Tiny")
    assert shelf.server.asked == [("/hospital/model.pt", "")]


def test_the_proxy_is_asked_and_is_that_of_the_installer(shelf):
    shelf.open()
    shelf.ui.mirrorEdit.text = "http://mirror.example/models"
    shelf.panel.places.onMirrorEdited()
    shelf.ui.proxyEdit.text = shelf.server.url
    shelf.panel.places.onProxyEdited()
    shelf.choose("Tiny")
    shelf.ui.downloadButton.click()
    assert f"From: mirror.example, through {shelf.server.url}" in shelf.ui.confirmationText.text
    shelf.ui.agreeButton.click()
    shelf.rest()
    assert shelf.server.asked == [("http://mirror.example/models/model.pt", "")]


def test_deleting_asks_first_and_takes_only_the_files(shelf):
    touched = []
    shelf.panel.onAboutToTouch = lambda: touched.append(shelf.place("tiny").is_dir())
    shelf.open().download("Tiny")
    shelf.ui.deleteButton.click()
    assert str(shelf.place("tiny")) in shelf.ui.confirmationText.text
    shelf.ui.agreeButton.click()
    shelf.rest()
    assert shelf.status == "Tiny was deleted."
    assert touched == [True]
    assert not shelf.place("tiny").exists()
    assert shelf.row("Tiny") == "Tiny · 1.6 MB"


def test_nothing_is_deleted_while_the_engine_computes(shelf):
    shelf.open().download("Tiny")
    shelf.panel.whyNotNow = lambda: "Wait for the propagation."
    shelf.ui.deleteButton.click()
    shelf.ui.agreeButton.click()
    assert shelf.status == "Wait for the propagation."
    assert shelf.place("tiny").is_dir()


def test_a_damaged_model_is_found_by_the_check(shelf):
    shelf.open().download("Tiny")
    shelf.place("tiny").joinpath("model.pt").write_bytes(CONTENT[::-1])
    shelf.ui.verifyButton.click()
    shelf.rest()
    assert "SHA-256 differs" in shelf.status
    assert "color" in shelf.ui.statusLabel.styleSheet


def test_another_folder_has_other_models(shelf):
    shelf.open().download("Tiny")
    elsewhere = shelf.folder / "elsewhere"
    elsewhere.mkdir()
    shelf.ui.modelsFolderPath.setCurrentPath(str(elsewhere))
    shelf.wait(lambda: shelf.row("Tiny") == "Tiny · 1.6 MB")
    shelf.ui.modelsFolderPath.setCurrentPath(str(shelf.folder / "models"))
    shelf.wait(lambda: shelf.row("Tiny") == "Tiny · installed")


def test_use_passes_the_model_on(shelf):
    wanted = []
    shelf.panel.onUse = wanted.append
    shelf.open().choose("Embedded")
    shelf.ui.useButton.click()
    assert wanted == ["embedded"]


# ---- files of one's own


def test_a_listed_model_is_added_from_a_stick_whatever_the_file_is_called(shelf):
    stick = shelf.folder / "renamed.bin"
    stick.write_bytes(CONTENT)
    shelf.open().look_at(stick)
    assert shelf.ui.recognisedLabel.text == "This is Tiny, as its authors published it."
    shelf.ui.addNowButton.click()
    shelf.rest()
    assert shelf.status.startswith("Tiny is installed")
    assert shelf.server.asked == []


def test_a_file_that_is_no_model_is_said_and_cannot_be_added(shelf):
    notes = shelf.folder / "notes.pt"
    notes.write_text("meeting at nine")
    shelf.open().look_at(notes)
    assert "color" in shelf.ui.recognisedLabel.styleSheet
    assert str(notes) in shelf.ui.recognisedLabel.text
    assert not shelf.ui.addNowButton.enabled
    shelf.ui.discardButton.click()
    assert shelf.shown() == ["use", "verify", "add"]


def test_a_copy_of_ones_own_is_recognised_named_and_listed(shelf):
    folder = MODULE_FOLDER / "Resources" / "Models" / "embedded"
    shelf.open().look_at(folder / "model.safetensors")
    assert "as in its config.json, 128 pixels" in shelf.ui.recognisedLabel.text
    assert not shelf.ui.imageSizeSelector.visible
    shelf.ui.nameEdit.text = "Unsere Leber (2026)"
    shelf.ui.addNowButton.click()
    shelf.rest()
    assert shelf.row("Unsere Leber (2026)").endswith("· installed")
    model = next(one for one in shelf.commands.models if one.title == "Unsere Leber (2026)")
    assert (model.id, model.isOwn) == ("unsere-leber-2026", True)
    shelf.choose("Unsere Leber (2026)")
    assert not shelf.ui.downloadButton.visible
    assert shelf.ui.deleteButton.visible


@pytest.mark.slow
def test_a_file_without_a_published_checksum_is_what_the_person_says(shelf):
    """As somebody does who got MedSAM2 on a stick."""
    shelf.open().look_at(checkpoint_in(shelf.folder))
    assert "sam2.1_hiera_tiny at 1024 pixels" in shelf.ui.recognisedLabel.text
    assert "`" not in shelf.ui.recognisedLabel.text
    assert shelf.ui.imageSizeSelector.visible
    shelf.ui.imageSizeSelector.setCurrentIndex(shelf.ui.imageSizeSelector.findData(512))
    shelf.wait(lambda: "512 pixels" in shelf.ui.recognisedLabel.text)
    shelf.ui.addAsSelector.setCurrentIndex(shelf.ui.addAsSelector.findData("restricted"))
    assert not shelf.ui.nameEdit.visible
    shelf.ui.addNowButton.click()
    shelf.rest()
    assert shelf.status.startswith("Restricted is installed")
    assert shelf.row("Restricted") == "Restricted · installed"


def test_two_of_ones_own_may_have_the_same_name(shelf):
    folder = MODULE_FOLDER / "Resources" / "Models" / "embedded"
    shelf.open()
    for _time in range(2):
        shelf.look_at(folder / "config.json")
        shelf.ui.nameEdit.text = "liver"
        shelf.ui.addNowButton.click()
        shelf.rest()
    assert [one.id for one in shelf.commands.models if one.isOwn] == ["liver", "liver-2"]


def test_an_adapter_asks_for_its_base_and_can_be_removed_again(shelf):
    base = MODULE_FOLDER / "Resources" / "Models" / "embedded" / "model.safetensors"
    before = hashlib.sha256(base.read_bytes()).hexdigest()
    shelf.open().look_at(adapter_in(shelf.folder / "lora") / "adapter_model.safetensors")
    assert "LoRA adapter of 1 layers" in shelf.ui.recognisedLabel.text
    assert shelf.ui.baseSelector.currentText.startswith("Embedded")
    shelf.ui.nameEdit.text = "Our adapter"
    shelf.ui.addNowButton.click()
    shelf.rest()
    assert shelf.row("Our adapter").endswith("· installed")
    shelf.choose("Our adapter")
    assert "An adapter for embedded." in shelf.ui.detailLabel.text
    shelf.ui.deleteButton.click()
    shelf.ui.agreeButton.click()
    shelf.rest()
    assert shelf.status == "Our adapter was deleted."
    assert hashlib.sha256(base.read_bytes()).hexdigest() == before


# ---- without an engine


def test_without_an_engine_there_is_a_sentence_and_nothing_else(shelf, monkeypatch):
    monkeypatch.setenv("MEDSAM2_ENGINE_PYTHON", "/nowhere/python")
    shelf.open()
    assert "There is no Python at /nowhere/python" in shelf.status
    assert shelf.shown() == []


def test_a_broken_engine_is_told_with_its_last_words(shelf, monkeypatch, tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'ModuleNotFoundError: No module named numpy' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("MEDSAM2_ENGINE_PYTHON", str(broken))
    shelf.open()
    assert "No module named numpy" in shelf.status
    assert "Press Check in the section Engine." in shelf.status


def test_the_panel_fits_into_a_narrow_one_in_every_state(shelf):
    shelf.open()
    widths = [shelf.panel.widget.minimumSizeHint.width()]
    shelf.choose("Restricted")
    shelf.ui.downloadButton.click()
    widths.append(shelf.panel.widget.minimumSizeHint.width())
    shelf.ui.declineButton.click()
    shelf.ui.addButton.click()
    widths.append(shelf.panel.widget.minimumSizeHint.width())
    assert max(widths) <= 380
