"""The engine's part of the panel, used as a person does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "MedSAM2Slicer"
BUTTONS = ("install", "check", "repair", "remove", "cancel", "agree", "decline")


@pytest.fixture
def panel(computer):
    from MedSAM2SlicerLib.EnginePanel import EnginePanel

    panel = EnginePanel(str(MODULE_FOLDER / "Resources" / "UI" / "EnginePanel.ui"), computer.installer)
    panel.widget.show()
    yield panel
    panel.widget.hide()


def shown(panel):
    """The buttons that can be seen, in their order on the panel."""
    return [name for name in BUTTONS if getattr(panel.ui, f"{name}Button").visible]


def install(panel, computer):
    panel.ui.installButton.click()
    panel.ui.agreeButton.click()
    return computer.finish()


def test_opening_the_panel_starts_nothing(panel, computer):
    assert panel.ui.statusLabel.text == "The engine is not installed."
    assert shown(panel) == ["install"]
    assert computer.calls() == computer.calls("PythonSlicer") == []


def test_install_asks_once_in_the_panel_and_starts_nothing_yet(panel, computer):
    panel.ui.installButton.click()
    assert shown(panel) == ["agree", "decline"]
    assert "Licences:" in panel.ui.confirmationText.text
    assert computer.calls("PythonSlicer") == []


def test_declining_starts_nothing(panel, computer):
    panel.ui.installButton.click()
    panel.ui.declineButton.click()
    assert shown(panel) == ["install"]
    assert computer.calls("PythonSlicer") == []


def test_one_agreement_is_all_it_takes(panel, computer):
    assert install(panel, computer).kind == "installed"
    assert panel.ui.statusLabel.text == "Ready: CPU, 1 thread (PyTorch 2.13.0+cpu)."
    assert shown(panel) == ["check", "repair", "remove"]


def test_progress_is_shown_and_can_be_cancelled(panel, computer, wait_until):
    computer.behave(pip="hang")
    panel.ui.installButton.click()
    panel.ui.agreeButton.click()
    wait_until(lambda: "torch" in panel.ui.statusLabel.text, 20)
    assert shown(panel) == ["cancel"]
    assert panel.ui.progressBar.visible
    panel.ui.cancelButton.click()
    assert shown(panel) == ["install", "remove"]
    assert panel.ui.installButton.text == "Continue installation…"
    assert panel.ui.statusLabel.text.startswith("Cancelled.")


def test_a_failure_is_a_sentence_in_the_panel(panel, computer):
    computer.behave(pip="disk_full")
    install(panel, computer)
    assert panel.ui.statusLabel.text.startswith("The disk is full.")
    assert "color" in panel.ui.statusLabel.styleSheet


def test_copy_log_copies_all_of_it(panel, computer, app):
    install(panel, computer)
    panel.ui.copyLogButton.click()
    assert app.clipboard().text() == computer.installer.logText()
    assert "Downloading torch" in app.clipboard().text()


def test_removing_asks_first(panel, computer):
    install(panel, computer)
    panel.ui.removeButton.click()
    assert str(computer.installer.folder().root) in panel.ui.confirmationText.text
    assert computer.installer.state == "ready"
    panel.ui.agreeButton.click()
    computer.finish()
    assert panel.ui.statusLabel.text == "The engine was removed."
    assert shown(panel) == ["install"]


def test_options_are_kept_and_shown_again(panel, computer):
    from MedSAM2SlicerLib.EnginePanel import EnginePanel

    panel.ui.backendSelector.setCurrentIndex(panel.ui.backendSelector.findData("cpu"))
    panel.ui.wheelFolderPath.setCurrentPath(str(computer.folder))
    panel.ui.proxyEdit.text = "proxy:1"
    panel.onProxyEdited()
    again = EnginePanel(str(MODULE_FOLDER / "Resources" / "UI" / "EnginePanel.ui"), computer.installer).ui
    assert (again.backendSelector.currentText, again.wheelFolderPath.currentPath, again.proxyEdit.text) == (
        "CPU only",
        str(computer.folder),
        "proxy:1",
    )


def test_a_cleared_wheel_folder_is_forgotten(panel, computer):
    panel.ui.wheelFolderPath.setCurrentPath(str(computer.folder))
    panel.ui.wheelFolderPath.setCurrentPath("")
    assert computer.installer.options().wheelFolder == ""


def test_an_existing_python_is_checked_once_it_is_typed(panel, computer, wait_until):
    python = computer.folder / "existing-python"
    python.write_text((computer.folder / "PythonSlicer").read_text().replace("PythonSlicer", "python"))
    python.chmod(0o755)
    for length in range(len(str(python)) - 3, len(str(python)) + 1):
        panel.ui.existingPythonPath.setCurrentPath(str(python)[:length])
    wait_until(lambda: computer.installer.lastOutcome is not None, 10)
    assert computer.installer.lastOutcome.kind == "checked"
    assert shown(panel) == ["check", "repair"]
    assert panel.ui.repairButton.text == "Install a separate one…"


def test_clearing_the_existing_python_returns_to_the_installed_one(panel, computer, wait_until):
    from MedSAM2SlicerLib.Environment import enginePython, setEnginePython

    install(panel, computer)
    setEnginePython(sys.executable)
    panel.ui.existingPythonPath.setCurrentPath(sys.executable)
    panel.ui.existingPythonPath.setCurrentPath("")
    wait_until(lambda: enginePython() == str(computer.installer.folder().python), 5)


def test_a_python_that_a_variable_names_is_what_the_panel_shows(panel, computer, monkeypatch):
    monkeypatch.setenv("MEDSAM2_ENGINE_PYTHON", sys.executable)
    panel.update()
    assert panel.ui.statusLabel.text == f"The engine uses the Python that MEDSAM2_ENGINE_PYTHON names: {sys.executable}"
    assert shown(panel) == ["check", "repair"]
    assert panel.ui.repairButton.text == "Install a separate one…"


def test_a_python_beside_the_source_is_what_the_panel_shows(panel, computer):
    beside = computer.package.parent / ".venv" / "bin" / "python"
    beside.parent.mkdir(parents=True)
    beside.symlink_to(sys.executable)
    panel.update()
    assert panel.ui.statusLabel.text == f"The engine uses the Python beside the extension's source: {beside}"


@pytest.mark.parametrize("source", ["setting", "variable"])
def test_a_python_that_is_named_and_not_there_is_said(panel, computer, monkeypatch, source):
    from MedSAM2SlicerLib.Environment import setEnginePython

    if source == "setting":
        setEnginePython("/nowhere/python")
    else:
        monkeypatch.setenv("MEDSAM2_ENGINE_PYTHON", "/nowhere/python")
    panel.update()
    assert panel.ui.statusLabel.text.startswith("There is no Python at /nowhere/python")
    assert "color" in panel.ui.statusLabel.styleSheet
    assert shown(panel) == ["install"]


def test_check_computes_with_the_python_that_is_used(panel, computer, monkeypatch):
    python = computer.folder / "named-python"
    python.write_text((computer.folder / "PythonSlicer").read_text().replace("PythonSlicer", "python"))
    python.chmod(0o755)
    monkeypatch.setenv("MEDSAM2_ENGINE_PYTHON", str(python))
    panel.update()
    panel.ui.checkButton.click()
    assert computer.finish().kind == "checked"


def test_an_outcome_is_passed_on(panel, computer):
    from MedSAM2SlicerLib.EnginePanel import isSuccess

    heard = []
    panel.onFinished = heard.append
    install(panel, computer)
    assert [isSuccess(outcome) for outcome in heard] == [True]


def test_the_panel_fits_into_a_narrow_one(panel, computer):
    install(panel, computer)
    assert panel.widget.minimumSizeHint.width() <= 380
