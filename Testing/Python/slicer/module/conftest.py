"""The module as a person meets it: loaded, entered, with a volume, views, a mouse, and an engine that does as told.

The engine is a real process that speaks the real protocol; only the model in it is missing (`fake_engine`). After every
test no process may be left.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "MedSAM2Slicer"
FAKE_ENGINE = Path(__file__).with_name("fake_engine.py")


@pytest.fixture
def wait_until(wait_until: Callable[..., None]) -> Callable[..., None]:
    """Until the condition holds. Then the panel shows what there is to say, as it does by itself a moment later."""

    def wait(condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
        wait_until(condition, timeout_s)
        show_news()

    return wait


def show_news() -> None:
    import slicer

    controller = getattr(getattr(slicer.modules, "MedSAM2SlicerWidget", None), "controller", None)
    if controller is not None and controller.news.isBehind:
        controller.news.tell()


@pytest.fixture
def add_volume(scene: Any) -> Callable[..., Any]:
    """``add_volume(voxels_kji, ijk_to_ras=None, name="CT")``: a scalar volume in the scene, shown in no view."""
    import slicer
    import vtk

    def add(voxels_kji: np.ndarray, ijk_to_ras: np.ndarray | None = None, name: str = "CT") -> Any:
        node = slicer.util.addVolumeFromArray(np.ascontiguousarray(voxels_kji), name=name)
        if ijk_to_ras is not None:
            matrix = vtk.vtkMatrix4x4()
            matrix.DeepCopy(np.asarray(ijk_to_ras, float).ravel())
            node.SetIJKToRASMatrix(matrix)
        return node

    return add


@pytest.fixture
def ball() -> np.ndarray:
    """Voxels KJI: a bright ellipsoid with its centre at k=10, j=20, i=22 on black."""
    k, j, i = np.mgrid[:20, :40, :44]
    inside = 4 * (k - 10) ** 2 + (j - 20) ** 2 + (i - 22) ** 2 < 100
    return (200 * inside).astype(np.int16)


@pytest.fixture
def fake_engine(tmp_path: Path, app: Any) -> Callable[..., Any]:
    """``fake_engine(first="normal", later="normal")``: an engine environment; modes are listed in fake_engine.py."""

    def environment(first: str = "normal", later: str = "normal") -> FakeEnvironment:
        return FakeEnvironment(first, later, tmp_path / "starts")

    return environment


class FakeEnvironment:
    """Stands for `EngineEnvironment`; `starts` has one line, the pid, for every worker started."""

    def __init__(self, first: str, later: str, starts: Path) -> None:
        self.starts = starts
        self._modes = {"FAKE_ENGINE_MODE": first, "FAKE_ENGINE_LATER": later, "FAKE_ENGINE_STARTS": str(starts)}

    def command(self) -> Any:
        from MedSAM2SlicerLib.Environment import EngineCommand, cleanEnvironment

        environment = {**cleanEnvironment(MODULE_FOLDER), **self._modes}
        return EngineCommand(sys.executable, (str(FAKE_ENGINE), "--parent-pid", str(os.getpid())), environment)

    def pids(self) -> list[int]:
        return [int(line) for line in self.starts.read_text().split()] if self.starts.exists() else []


@pytest.fixture
def no_process_left(app: Any, wait_until: Callable[..., None]) -> Iterator[None]:
    yield
    wait_until(lambda: children() == [], 10)


def children() -> list[str]:
    """Child processes of this one, zombies among them, as "pid (name) state"."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        name, _, rest = text.rpartition(") ")
        state, parent = rest.split()[:2]
        if int(parent) == os.getpid():
            found.append(f"{name}) {state}")
    return found


@pytest.fixture
def module(
    app: Any, scene: Any, no_process_left: None, fake_engine: Callable[..., Any], wait_until: Callable[..., None]
) -> Iterator[SimpleNamespace]:
    """The module entered, with a fresh widget and a fake engine.

    Attributes: widget, ui, controller, engine, parameters (those of the scene now), and ``show(volume)``.
    """
    import slicer

    from MedSAM2SlicerLib.EngineProcess import EngineLimits

    if not hasattr(slicer.modules, "medsam2slicer"):
        app.loadScriptedModule(str(MODULE_FOLDER / "MedSAM2Slicer.py"))
    slicer.util.selectModule("MedSAM2Slicer")
    slicer.util.reloadScriptedModule("MedSAM2Slicer")
    widget = slicer.modules.MedSAM2SlicerWidget
    widget.engine.environment = fake_engine()
    widget.engine.limits = EngineLimits(start_s=20, pong_s=6.0, cancel_s=0.7, stop_s=0.5, ping_every_ms=100)
    yield Entered(widget)
    slicer.modules.MedSAM2SlicerWidget.cleanup()
    leftovers = list(Path(slicer.app.temporaryPath).glob("medsam2-*"))
    assert leftovers == []


class Entered(SimpleNamespace):
    """The parts of the module, and what a person does first."""

    def __init__(self, widget: Any) -> None:
        super().__init__(widget=widget, ui=widget.ui, controller=widget.controller, engine=widget.engine)

    @property
    def parameters(self) -> Any:
        return self.widget._parameters

    def show(self, volume: Any) -> None:
        """Choose the volume, and see it in all slice views."""
        import slicer

        self.ui.volumeSelector.setCurrentNode(volume)
        slicer.util.setSliceViewerLayers(background=volume, fit=True)
        slicer.app.processEvents()

    def listen(self) -> None:
        """Keep every request to the engine in `asked`, but for those that are made while nobody waits."""
        self.asked: list[Any] = []
        request = self.engine.request

        def heard(message: Any, *rest: Any) -> Any:
            if type(message).__name__ != "Prefetch":
                self.asked.append(message)
            return request(message, *rest)

        self.engine.request = heard

    def leave(self) -> None:
        """Go to another module; ``enter`` comes back."""
        import slicer

        slicer.util.mainWindow().moduleSelector().selectModule("")

    def enter(self) -> None:
        import slicer

        slicer.util.selectModule("MedSAM2Slicer")

    def mask(self, volume: Any) -> np.ndarray:
        """The current segment on the volume's voxels, KJI."""
        import slicer

        parameters = self.parameters
        return slicer.util.arrayFromSegmentBinaryLabelmap(parameters.segmentation, parameters.segmentId, volume)


@pytest.fixture
def mouse(app: Any) -> SimpleNamespace:
    """``mouse.drag(view, volume, from_ijk, to_ijk)`` and its parts, on a slice view by name ("Red")."""
    return SimpleNamespace(
        drag=drag,
        draw=draw,
        press=press,
        press_again=press_again,
        move=move,
        release=release,
        click=click,
        right_click=right_click,
        key=key,
    )


def view_of(name: str) -> Any:
    import slicer

    return slicer.app.layoutManager().sliceWidget(name).sliceView()


def point_in(view: Any, volume: Any, ijk: Any) -> Any:
    """The pixel of a view over a position of a volume."""
    from PySide6.QtCore import QPoint

    from MedSAM2SlicerLib.Geometry import VolumeFrame

    world = VolumeFrame(volume).worldFromIjk(np.atleast_2d(np.asarray(ijk, float)))[0]
    x, y, _ = view.convertRASToXYZ([float(value) for value in world])
    return QPoint(round(x), round(view.height - 1 - y))


def press(name: str, volume: Any, ijk: Any) -> None:
    _button("mousePress", name, volume, ijk)


def press_again(name: str, volume: Any, ijk: Any) -> None:
    """The second press of a double click, which Qt tells in another way."""
    import slicer
    from PySide6 import QtCore, QtGui, QtWidgets

    place, button = QtCore.QPointF(point_in(view_of(name), volume, ijk)), QtCore.Qt.MouseButton.LeftButton
    none, kind = QtCore.Qt.KeyboardModifier.NoModifier, QtCore.QEvent.Type.MouseButtonDblClick
    event = QtGui.QMouseEvent(kind, place, view_of(name).mapToGlobal(place), button, button, none)
    QtWidgets.QApplication.sendEvent(view_of(name), event)
    slicer.app.processEvents()


def move(name: str, volume: Any, ijk: Any) -> None:
    import slicer
    from PySide6.QtTest import QTest

    QTest.mouseMove(view_of(name), point_in(view_of(name), volume, ijk))
    slicer.app.processEvents()


def release(name: str, volume: Any, ijk: Any) -> None:
    _button("mouseRelease", name, volume, ijk)


def draw(name: str, volume: Any, path: Any, modifier: str = "NoModifier") -> None:
    """A freehand line through positions of a volume, with the left button held down."""
    _button("mousePress", name, volume, path[0], modifier)
    for ijk in path[1:]:
        move(name, volume, ijk)
    _button("mouseRelease", name, volume, path[-1], modifier)


def _button(action: str, name: str, volume: Any, ijk: Any, modifier: str = "NoModifier") -> None:
    import qt
    import slicer
    from PySide6.QtTest import QTest

    view = view_of(name)
    getattr(QTest, action)(view, qt.Qt.LeftButton, getattr(qt.Qt, modifier), point_in(view, volume, ijk))
    slicer.app.processEvents()


def drag(name: str, volume: Any, from_ijk: Any, to_ijk: Any) -> None:
    press(name, volume, from_ijk)
    move(name, volume, (np.asarray(from_ijk) + np.asarray(to_ijk)) / 2)
    move(name, volume, to_ijk)
    release(name, volume, to_ijk)


def click(name: str, volume: Any, ijk: Any, modifier: str = "NoModifier") -> None:
    """A click of the left button, with "ShiftModifier" or "AltModifier" held down."""
    import qt
    import slicer
    from PySide6.QtTest import QTest

    view = view_of(name)
    QTest.mouseClick(view, qt.Qt.LeftButton, getattr(qt.Qt, modifier), point_in(view, volume, ijk))
    slicer.app.processEvents()


def right_click(name: str) -> None:
    import qt
    import slicer
    from PySide6.QtTest import QTest

    QTest.mouseClick(view_of(name), qt.Qt.RightButton)
    slicer.app.processEvents()


def key(text: str) -> None:
    """A key pressed in the main window, "Space" or "Ctrl+Z"."""
    import slicer
    from PySide6 import QtCore, QtGui
    from PySide6.QtTest import QTest

    combination = QtGui.QKeySequence(text)[0]
    slicer.util.mainWindow().activateWindow()
    QTest.keyClick(slicer.util.mainWindow(), QtCore.Qt.Key(combination.key()), combination.keyboardModifiers())
    slicer.app.processEvents()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """A folder to look at afterwards: SCREENSHOTS, or one that is made up."""
    folder = Path(os.environ.get("SCREENSHOTS") or tempfile.mkdtemp(prefix="screenshots-"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def shown(module: SimpleNamespace, add_volume: Callable[..., Any], ball: Any) -> SimpleNamespace:
    """The module with a ball as its volume, in all views."""
    module.volume = add_volume(ball)
    module.show(module.volume)
    return module


@pytest.fixture
def mrb(tmp_path):
    """Where a scene can be saved."""
    return str(tmp_path / "scene.mrb")
