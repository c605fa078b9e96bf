"""Makes the pictures of docs/tutorial.md by doing what it says: the real module, mouse and keys, the embedded model.

    QT_QPA_PLATFORM=offscreen .venv/bin/python Testing/Screenshots/make_screenshots.py VOLUME
        [-o Resources/Screenshots] [--width 1280] [--panel 420] [--scale 1.5] [--dark]
        [--only NAME ...]
    ... make_screenshots.py --states FOLDER [--only NAME ...]

VOLUME is the file of the sample case "MedSAM2 Sarcoma CT" as Slicer downloads it; its digest is checked, so that the
pictures always show the same patient. Run it again after every change of the panel, and look at every picture. Colours
and fonts are those of the headless host, not of Slicer's own style.

With --states it makes pictures of every state of the panel instead (`panel_states`), 400 pixels wide, at 100 % and
150 % and dark, for people to look at.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "MedSAM2Slicer"
sys.path[:0] = [str(ROOT / "Testing"), str(MODULE)]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from MedSAM2SlicerLib.SampleCases import TUTORIAL_CASE  # noqa: E402

ENGINE_TIMEOUT_S = 180.0
HEIGHT = 800
# How large everything is, and whether it is light on dark.
VARIANTS = {"100": (1.0, False), "150": (1.5, False), "dark": (1.0, True)}
COLOR = (0.25, 0.85, 0.45)  # of the segment, RGB
# Corners of the box of the tutorial, IJK.
FROM_IJK, TO_IJK = (50, 49, 23), (111, 92, 23)


def main() -> int:
    options = parser().parse_args()
    if options.states is not None:
        return make_states(options)
    if options.volume is None:
        parser().error("give the file of the sample case, or --states FOLDER")
    digest = hashlib.sha256(options.volume.read_bytes()).hexdigest()
    if digest != TUTORIAL_CASE.sha256:
        print(f"{options.volume} is not the sample case: its SHA-256 is {digest}.", file=sys.stderr)
        return 1
    os.environ["QT_SCALE_FACTOR"] = str(options.scale)
    options.output.mkdir(parents=True, exist_ok=True)
    Tutorial(options).run()
    return 0


def parser() -> argparse.ArgumentParser:
    text = argparse.ArgumentParser(prog="make_screenshots.py", description="Make the pictures of the tutorial.")
    text.add_argument("volume", type=Path, nargs="?", help=f"the file of the sample case, {TUTORIAL_CASE.file}")
    text.add_argument("-o", "--output", type=Path, default=ROOT / "Resources/Screenshots")
    text.add_argument("--width", type=int, default=1280, help="of the main window, in pixels")
    text.add_argument("--panel", type=int, default=420, help="width of the module panel, in pixels")
    text.add_argument("--scale", type=float, default=1.0, help="1.5 for a screen at 150 %%")
    text.add_argument("--dark", action="store_true", help="light text on dark, as in a reading room")
    text.add_argument("--states", type=Path, metavar="FOLDER", help="every state of the panel, in each variant")
    text.add_argument("--variant", choices=VARIANTS, help="with --states: this one only")
    text.add_argument("--only", nargs="+", metavar="NAME", help="keep these pictures only")
    return text


def make_states(options: argparse.Namespace) -> int:
    """The scale of the screen belongs to a process, so every variant has its own."""
    options.states.mkdir(parents=True, exist_ok=True)
    if options.variant is None:
        arguments = ["--states", str(options.states), *(["--only", *options.only] if options.only else [])]
        runs = [[sys.executable, __file__, *arguments, "--variant", variant] for variant in VARIANTS]
        return max(subprocess.run(run, check=False).returncode for run in runs)
    scale, is_dark = VARIANTS[options.variant]
    os.environ["QT_SCALE_FACTOR"] = str(scale)
    os.environ.pop("MEDSAM2_ENGINE_PYTHON", None)
    from panel_states import PanelStates

    import slicerhost

    app = slicerhost.start()
    if is_dark:
        make_dark(app)
    states = PanelStates(app, options.states, f"-{options.variant}", options.only)
    states.run()
    app.shutDown()
    return 0 if states.isRight else 1


class Tutorial:
    """The steps of the tutorial, one method each, in order; all but the first leave a picture."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        os.environ["MEDSAM2_ENGINE_PYTHON"] = sys.executable
        import slicerhost

        self._app = slicerhost.start()
        self._widget: Any = None
        self._volume: Any = None

    def run(self) -> None:
        try:
            self._open()
            self._load()
            self._draw()
            self._preview()
            self._propagate()
            self._strip()
            self._review()
        finally:
            self._close()

    def _open(self) -> None:
        import slicer

        if self._options.dark:
            make_dark(self._app)
        self._app.loadScriptedModule(str(MODULE / "MedSAM2Slicer.py"))
        window = slicer.util.mainWindow()
        window.resize(self._options.width, HEIGHT)
        window.show()
        window.activateWindow()
        window.centralWidget().setSizes([self._options.panel, self._options.width - self._options.panel])
        slicer.util.selectModule("MedSAM2Slicer")
        self._widget = slicer.modules.MedSAM2SlicerWidget

    def _load(self) -> None:
        import slicer

        self._volume = slicer.util.loadVolume(str(self._options.volume), {"name": TUTORIAL_CASE.node})
        display = self._volume.GetScalarVolumeDisplayNode()
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(400, 40)
        self._widget.ui.volumeSelector.setCurrentNode(self._volume)
        slicer.util.setSliceViewerLayers(background=self._volume, fit=True)
        centre = [(low + high) / 2 for low, high in zip(FROM_IJK, TO_IJK, strict=True)]
        slicer.modules.markups.logic().JumpSlicesToLocation(*self._world(centre), False)
        self._keep("tutorial-1-volume")

    def _draw(self) -> None:
        self._key("B")
        self._mouse("mousePress", FROM_IJK)
        self._move([(low + high) / 2 for low, high in zip(FROM_IJK, TO_IJK, strict=True)])
        self._move(TO_IJK)
        self._keep("tutorial-2-box")

    def _preview(self) -> None:
        self._mouse("mouseRelease", TO_IJK)
        self._wait(lambda: not self._widget.controller.isBusy)
        self._color()
        self._keep("tutorial-3-preview")

    def _propagate(self) -> None:
        self._key("Space")
        self._wait(lambda: self._widget.controller.progress.done >= 3 or not self._widget.controller.isBusy)
        self._keep("tutorial-4-propagating", "Propagating")
        self._wait(lambda: not self._widget.controller.isBusy and not self._widget.controller.news.isBehind)
        self._keep("tutorial-5-done")

    def _strip(self) -> None:
        """A locked slice, and the next doubtful one."""
        self._key("K")
        self._key("N")
        self._keep("tutorial-7-strip")

    def _review(self) -> None:
        from MedSAM2SlicerLib.SurfaceView import SurfaceView

        parameters = self._widget.logic.getParameterNode()
        SurfaceView().setShown(parameters.segmentation, True)
        self._app.processEvents()
        bounds = [0.0] * 6
        parameters.segmentation.GetRASBounds(bounds)
        view = self._app.layoutManager().threeDWidget(0).threeDView()
        view.renderWindow().GetRenderers().GetFirstRenderer().ResetCamera(bounds)
        self._keep("tutorial-6-surface")

    def _close(self) -> None:
        """A killed engine needs a moment to be gone."""
        if self._widget is not None:
            self._widget.cleanup()
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            self._app.processEvents()
            time.sleep(0.01)
        self._app.shutDown()

    # ---- hands and eyes

    def _color(self) -> None:
        """The headless host has no tables of colours, and takes any."""
        parameters = self._widget.logic.getParameterNode()
        segment = parameters.segmentation.GetSegmentation().GetSegment(parameters.segmentId)
        segment.SetColor(*COLOR)

    def _keep(self, name: str, words: str = "") -> None:
        """`words` have to be in the message."""
        import slicer

        for _time in range(3):
            self._app.processEvents()
        if words not in self._widget.ui.messageLabel.text:
            raise SystemExit(f"{name} would show another message: {self._widget.ui.messageLabel.text}")
        if self._options.only is None or name in self._options.only:
            path = self._options.output / f"{name}.png"
            slicer.util.mainWindow().grab().save(str(path))
            make_small(path)
            print(f"{path}: {self._widget.ui.messageLabel.text}", flush=True)

    def _key(self, text: str) -> None:
        import slicer
        from PySide6 import QtCore, QtGui
        from PySide6.QtTest import QTest

        QTest.keyClick(slicer.util.mainWindow(), QtCore.Qt.Key(QtGui.QKeySequence(text)[0].key()))
        self._app.processEvents()

    def _mouse(self, action: str, ijk: Any) -> None:
        from PySide6 import QtCore
        from PySide6.QtTest import QTest

        buttons, keys = QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier
        getattr(QTest, action)(self._view(), buttons, keys, self._pixel(ijk))
        self._app.processEvents()

    def _move(self, ijk: Any) -> None:
        from PySide6.QtTest import QTest

        QTest.mouseMove(self._view(), self._pixel(ijk))
        self._app.processEvents()

    def _view(self) -> Any:
        return self._app.layoutManager().sliceWidget("Red").sliceView()

    def _pixel(self, ijk: Any) -> Any:
        from PySide6.QtCore import QPoint

        x, y, _z = self._view().convertRASToXYZ(self._world(ijk))
        return QPoint(round(x), round(self._view().height - 1 - y))

    def _world(self, ijk: Any) -> list[float]:
        import numpy as np

        from MedSAM2SlicerLib.Geometry import VolumeFrame

        found = VolumeFrame(self._volume).worldFromIjk(np.atleast_2d(np.asarray(ijk, float)))[0]
        return [float(value) for value in found]

    def _wait(self, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + ENGINE_TIMEOUT_S
        while not is_done():
            if time.monotonic() > deadline:
                raise SystemExit(f"The engine did not answer: {self._widget.engine.log()[-10:]}")
            self._app.processEvents()
            time.sleep(0.002)


def make_small(path: Path) -> None:
    """Every channel in steps of three: two thirds of the bytes, nobody sees it, and it is the same in every picture.

    Black and white stay what they are, as 255 is a multiple of three.
    """
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB").point([round(value / 3) * 3 for value in range(256)] * 3)
    small.save(path, optimize=True)


def make_dark(app: Any) -> None:
    """Qt's own dark palette, in place of Slicer's dark style."""
    from PySide6.QtGui import QColor, QPalette

    palette, roles = QPalette(), QPalette.ColorRole
    for role, color in (
        (roles.Window, "#2b2b2b"),
        (roles.WindowText, "#e6e6e6"),
        (roles.Base, "#1e1e1e"),
        (roles.AlternateBase, "#262626"),
        (roles.Text, "#e6e6e6"),
        (roles.Button, "#3a3a3a"),
        (roles.ButtonText, "#e6e6e6"),
        (roles.ToolTipBase, "#3a3a3a"),
        (roles.ToolTipText, "#e6e6e6"),
        (roles.PlaceholderText, "#9a9a9a"),
        (roles.Highlight, "#2f6fb3"),
        (roles.HighlightedText, "#ffffff"),
        (roles.Light, "#4a4a4a"),
        (roles.Midlight, "#404040"),
        (roles.Mid, "#333333"),
        (roles.Dark, "#1a1a1a"),
    ):
        palette.setColor(role, QColor(color))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor("#808080"))
    app.setPalette(palette)


if __name__ == "__main__":
    sys.exit(main())
