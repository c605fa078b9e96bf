"""Pictures of every state of the panel, narrow, to be looked at: no engine, installing, ready, preview, propagating,
done, the models, a training on approved lesions, and each error with its remedy.

The states are reached as in the tests of the panel, by mouse and keys: the story and the models with the engine that
ships, the errors with the tests' own engine that fails as told. Run it by `make_screenshots.py --states FOLDER`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "MedSAM2Slicer"
TESTS = ROOT / "Testing" / "Python" / "slicer"
WIDTH = 400
TIMEOUT_S = 300.0
SAYING_TIMEOUT_S = 10.0
WEIGHTS = b"weights!" * 1_500_000


class PanelStates:
    """One method a state; `variant` is the end of every file's name.

    Attributes: isRight, whether every picture so far is narrow enough and shows the message it is named for.
    """

    def __init__(self, app: Any, folder: Path, variant: str, only: list[str] | None) -> None:
        import slicer

        self._app, self._folder, self._variant, self._only = app, folder, variant, only
        self.isRight = True
        self._files = Path(tempfile.mkdtemp(prefix="panel-states-"))
        self._tests = loaded(TESTS / "module" / "conftest.py", "panel_conftest")
        self._errors = loaded(TESTS / "module" / "test_error_sentences.py", "panel_errors")
        app.loadScriptedModule(str(MODULE / "MedSAM2Slicer.py"))
        window = slicer.util.mainWindow()
        window.resize(1100, 900)
        window.show()
        window.centralWidget().setSizes([WIDTH, 700])

    def run(self) -> None:
        for state in (self.story, self.models, self.improving, self.installation, *map(self.error, self._errors.LINES)):
            name = getattr(state, "__name__", "")
            if self._only is None or name in self._only:
                self._begin()
                state()
        self._widget.cleanup()
        self._rest(1.0)

    # ---- the states

    def story(self) -> None:
        self._real()
        volume = self._show(lesion())
        self._keep("01-before")
        self._widget.ui.boxButton.click()
        self._wait(lambda: self._widget.engine.state == "ready")
        self._keep("02-ready")
        self._tests.drag("Red", volume, (18, 24, 36), (70, 76, 36))
        self._wait(lambda: not self._widget.controller.isBusy)
        self._keep("03-preview")
        self._widget.ui.propagateButton.click()
        self._wait(lambda: self._widget.controller.progress.done >= 4 or not self._widget.controller.isBusy)
        self._keep("04-propagating", "Propagating")
        self._wait(lambda: not self._widget.controller.isBusy)
        self._keep("05-done")
        self._open()
        self._keep("06-engine")

    def models(self) -> None:
        self._real()
        panel = self._widget.engineSection.modelPanel
        os.environ["MEDSAM2_MODELS"] = str(self._files / "models")
        with self._server() as server:
            self._open()
            panel.ui.modelsGroup.collapsed = False
            self._wait(lambda: bool(panel._commands.models) and not panel._commands.action)
            self._keep("10-models")
            panel.showModel("medsam2-latest")
            panel.ui.downloadButton.click()
            self._keep("11-models-licence")
            panel.ui.mirrorEdit.text = server.url
            panel.places.onMirrorEdited()
            panel.ui.consentBox.click()
            panel.ui.agreeButton.click()
            self._wait(lambda: panel.ui.progressBar.value > 300)
            self._keep("12-models-downloading")
            server.pause_s = 0.0
            self._wait(lambda: not panel._commands.action)
            self._keep("13-models-installed")
            panel.ui.deleteButton.click()
            self._keep("14-models-delete")
            panel.ui.declineButton.click()
            panel.showModel("sam2.1-tiny")
            panel.ui.downloadButton.click()
            panel.ui.agreeButton.click()
            self._wait(lambda: not panel._commands.action)
            self._keep("15-models-wrong-file")
        panel.ui.addButton.click()
        self._keep("16-models-add")
        panel.ui.addPath.setCurrentPath(str(MODULE / "Resources" / "Models" / "embedded" / "model.safetensors"))
        self._wait(lambda: panel.ui.addNowButton.enabled)
        self._keep("17-models-recognised")
        panel.ui.discardButton.click()
        panel.ui.placesGroup.collapsed = False
        self._keep("18-models-places")
        panel.ui.mirrorEdit.text = ""
        panel.places.onMirrorEdited()

    def improving(self) -> None:
        """With the imitated training of the tests, which does as it is told."""
        from MedSAM2SlicerLib.CaseFolder import chooseFolder

        tests = loaded(TESTS / "module" / "test_improve_panel.py", "panel_improving")
        self._show(ball())
        folder = Path(tempfile.mkdtemp(dir=self._files))
        package = folder / "extension" / "MedSAM2Slicer"
        (package / "medsam2_engine").mkdir(parents=True)
        (package / "medsam2_engine" / "__init__.py").touch()
        script = (TESTS / "module" / "fake_training.py").read_text(encoding="utf-8")
        (package / "medsam2_engine" / "__main__.py").write_text(script, encoding="utf-8")
        desk = tests.Desk(folder, package, self._waiting)
        desk.behave("normal")
        desk.close()
        chooseFolder(str(desk.root))
        self._improve(self._widget.engineSection.improvePanel, desk, package)
        chooseFolder("")

    def _improve(self, panel: Any, desk: Any, package: Path) -> None:
        from MedSAM2SlicerLib.Environment import EngineEnvironment

        os.environ["MEDSAM2_ENGINE_PYTHON"] = sys.executable
        command, ui = panel._command, panel.ui
        command._environment, command._packageFolder = EngineEnvironment(package), package
        self._open()
        ui.improveGroup.collapsed = False
        self._keep("40-improve-empty")
        ui.addButton.click()
        self._keep("41-improve-nothing-approved")
        for number in range(3):
            approved_lesion(number)
        ui.addButton.click()
        self._wait(lambda: panel._export is None)
        self._keep("42-improve-cases")
        ui.improveButton.click()
        self._wait(lambda: panel._asked is not None)
        self._keep("43-improve-question")
        ui.agreeButton.click()
        self._wait(lambda: ui.progressBar.value > 20)
        self._keep("44-improve-running")
        ui.cancelButton.click()
        self._wait(lambda: not command.isRunning)
        self._keep("45-improve-stopped")
        ui.goOnButton.click()
        self._wait(lambda: not command.isRunning)
        self._keep("46-improve-done")
        text = "This training needs about 11.4 GB, but only 3.1 GB are free. Close other programs."
        desk.behave("refuse", code="too_little_memory", text=text)
        ui.improveButton.click()
        self._wait(lambda: panel._asked is not None)
        ui.agreeButton.click()
        self._wait(lambda: not command.isRunning)
        ui.folderGroup.collapsed = False
        self._keep("47-improve-refused")

    def installation(self) -> None:
        """With the imitated uv of the tests, which hangs in the largest download."""
        from MedSAM2SlicerLib.Environment import EngineEnvironment

        install = loaded(TESTS / "install" / "conftest.py", "install_conftest")
        computer = install.Computer(self._files, lambda condition, timeout_s=10.0: self._wait(condition))
        computer.behave(pip="hang")
        section = self._widget.engineSection
        with mock.patch.object(EngineEnvironment, "named", return_value=None):
            section.installer._describe = computer.describe
            self._widget.updatePanels()
            section.enginePanel.update()
            self._open()
            self._keep("20-no-engine")
            section.enginePanel.ui.installButton.click()
            self._keep("21-install-question")
            section.enginePanel.ui.agreeButton.click()
            self._wait(lambda: "torch" in section.enginePanel.ui.statusLabel.text)
            self._keep("22-installing")
            section.enginePanel.ui.cancelButton.click()
            self._keep("23-install-cancelled")
            computer.behave(pip="disk_full")
            section.enginePanel.ui.installButton.click()
            section.enginePanel.ui.agreeButton.click()
            self._wait(lambda: section.installer.state != "working")
            self._keep("24-install-failed")
        section.enginePanel.ui.optionsGroup.collapsed = False
        section.enginePanel.update()
        self._keep("25-options")

    def error(self, line: Any) -> Callable[[], None]:
        happens, words, _remedy = line

        def state() -> None:
            import pytest

            volume = self._show(ball())
            module = SimpleNamespace(
                widget=self._widget, ui=self._widget.ui, controller=self._widget.controller, engine=self._widget.engine
            )
            module.parameters, module.volume = self._widget._parameters, volume
            with pytest.MonkeyPatch.context() as patch:
                folder = Path(tempfile.mkdtemp(dir=self._files))
                mouse = SimpleNamespace(drag=self._tests.drag, key=self._tests.key)
                engine = self._engine_in(folder)
                # The real one may have got ready meanwhile.
                module.engine.kill()
                module.engine.environment = engine()
                happens(self._errors.Desk(module, engine, mouse, self._waiting, patch, folder))
                self._keep(f"30-error-{happens.__name__.replace('_', '-')}", words)

        state.__name__ = happens.__name__
        return state

    # ---- hands and eyes

    @property
    def _widget(self) -> Any:
        import slicer

        return slicer.modules.MedSAM2SlicerWidget

    def _begin(self) -> None:
        import slicer

        from MedSAM2SlicerLib.EngineProcess import EngineLimits

        slicer.mrmlScene.Clear(0)
        slicer.util.selectModule("MedSAM2Slicer")
        slicer.util.reloadScriptedModule("MedSAM2Slicer")
        # Keys go to the active window, which a form of the state before may have been.
        slicer.util.mainWindow().activateWindow()
        self._app.processEvents()
        self._widget.engine.limits = EngineLimits(pong_s=3.0, cancel_s=1.0, ping_every_ms=200)

    def _real(self) -> None:
        from MedSAM2SlicerLib.EngineProcess import EngineLimits

        os.environ["MEDSAM2_ENGINE_PYTHON"] = sys.executable
        self._widget.engine.limits = EngineLimits()

    def _engine_in(self, folder: Path) -> Callable[..., Any]:
        return lambda first="normal", later="normal": self._tests.FakeEnvironment(first, later, folder / "starts")

    def _show(self, voxels: np.ndarray) -> Any:
        import slicer

        volume = slicer.util.addVolumeFromArray(np.ascontiguousarray(voxels), name="CT")
        self._widget.ui.volumeSelector.setCurrentNode(volume)
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        self._app.processEvents()
        return volume

    def _open(self) -> None:
        self._widget.ui.engineButton.collapsed = False

    @contextmanager
    def _server(self) -> Iterator[Any]:
        from file_server import FileServer, serving

        with serving(FileServer(WEIGHTS, pause_s=0.03)) as server:
            yield server

    def _keep(self, name: str, words: str = "") -> None:
        """`words` have to be in the message."""
        self._listen(words)
        for _time in range(3):
            self._app.processEvents()
        panel = self._widget.uiWidget
        panel.adjustSize()
        panel.resize(WIDTH, panel.sizeHint.height())
        self._app.processEvents()
        path = self._folder / f"{name}{self._variant}.png"
        panel.grab().save(str(path))
        message = self._widget.ui.messageLabel.text
        wide = "" if panel.minimumSizeHint.width() <= WIDTH else f" TOO WIDE: {panel.minimumSizeHint.width()}"
        wrong = "" if words in message else f" NOT WHAT IS MEANT: {words}"
        self.isRight = self.isRight and not wide and not wrong
        print(f"{path.name}: {message}{wide}{wrong}", flush=True)

    def _listen(self, words: str) -> None:
        deadline = time.monotonic() + SAYING_TIMEOUT_S
        while words not in self._widget.ui.messageLabel.text and time.monotonic() < deadline:
            self._app.processEvents()
            time.sleep(0.002)

    def _wait(self, is_done: Callable[[], bool]) -> None:
        self._waiting(is_done, TIMEOUT_S)

    def _waiting(self, is_done: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not is_done():
            if time.monotonic() > deadline:
                raise SystemExit(f"It did not happen: {self._widget.engine.log()[-10:]}")
            self._app.processEvents()
            time.sleep(0.002)

    def _rest(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._app.processEvents()
            time.sleep(0.01)


def loaded(path: Path, name: str) -> ModuleType:
    """A file of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def approved_lesion(number: int) -> None:
    """A volume, and a lesion on it that is approved."""
    import slicer

    from MedSAM2SlicerLib.LesionTable import APPROVED, setState

    voxels = ball() + np.int16(number)
    volume = slicer.util.addVolumeFromArray(np.ascontiguousarray(voxels), name=f"CT {number + 1}")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment_id = node.GetSegmentation().AddEmptySegment("", "Liver" if number == 2 else "GTVp")
    slicer.util.updateSegmentBinaryLabelmapFromArray((voxels > 100).astype(np.uint8), node, segment_id, volume)
    setState(node, segment_id, APPROVED)


def lesion() -> np.ndarray:
    """Voxels KJI in HU: a bright ball in softer tissue with noise, of so many slices that a run can be watched."""
    k, j, i = np.mgrid[:72, :96, :96]
    inside = (k - 36) ** 2 + (j - 50) ** 2 + (i - 44) ** 2 < 24**2
    noise = np.random.default_rng(3).normal(0, 12, inside.shape)
    return (np.where(inside, 130, 10) + noise).astype(np.int16)


def ball() -> np.ndarray:
    """The volume of the tests."""
    k, j, i = np.mgrid[:20, :40, :44]
    return (200 * (4 * (k - 10) ** 2 + (j - 20) ** 2 + (i - 22) ** 2 < 100)).astype(np.int16)
