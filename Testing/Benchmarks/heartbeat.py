"""How long the module holds Slicer's main thread, in a volume of 512 x 512 x 120 voxels, with the embedded model.

    python Testing/Benchmarks/heartbeat.py [--slices 120] [--json FILE]

The headless Slicer of the tests, with three slice views and a 3D view on a software renderer, and the real worker in a
process of its own. A timer of 5 ms says how long the thread was not free; every call into our code is timed by the
clock and by the CPU seconds of the thread. Rendering is Slicer's and is listed beside it. The aim is 50 ms at most.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "MedSAM2Slicer"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
from main_thread import Heartbeat, Trace, watch_class, watch_module, watch_renders  # noqa: E402

TIMEOUT_S = 900
AIM_MS = 50
RADII_KJI = (44, 100, 110)


def main() -> int:
    options = parser().parse_args()
    os.environ.setdefault("MEDSAM2_ENGINE_PYTHON", sys.executable)
    import slicerhost

    trace, app = Trace(), slicerhost.start()
    app.mainWindow().show()
    watch_module(trace)
    watch_renders(trace)
    app.loadScriptedModule(str(ROOT / "MedSAM2Slicer" / "MedSAM2Slicer.py"))
    watch_class(trace, sys.modules["MedSAM2Slicer"].MedSAM2SlicerWidget)
    person = Person(app, trace, options.slices)
    person.work()
    rows = [row for stage in person.stages if (row := summary(stage, trace, person.heart)) is not None]
    print(table(rows))
    print(culprits(trace, options.calls))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    app.shutDown()
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="How long the module holds Slicer's main thread.")
    made.add_argument("--slices", type=int, default=120)
    made.add_argument("--calls", type=int, default=12, help="how many of the longest calls are printed")
    made.add_argument("--json", type=Path)
    return made


class Person:
    """What is done, step by step. Each step is a stage of the report."""

    def __init__(self, app: Any, trace: Trace, slices: int) -> None:
        import slicer

        self.app, self.trace, self.stages = app, trace, []
        self.volume = slicer.util.addVolumeFromArray(lesion(slices), name="CT")
        self.centre = slices // 2
        slicer.util.setSliceViewerLayers(background=self.volume, fit=True)
        slicer.util.selectModule("MedSAM2Slicer")
        self.widget = slicer.modules.MedSAM2SlicerWidget
        self.controller = self.widget.controller
        self.heart = Heartbeat(trace)

    def work(self) -> None:
        from medsam2_protocol.prompts import BoxPrompt, PointPrompt
        from MedSAM2SlicerLib.PromptMarkups import BOX

        controller, k = self.controller, self.centre
        j, i = 256, 250
        _, rj, ri = RADII_KJI
        box = BoxPrompt("K", k, (i - ri - 2.0, j - rj - 2.0), (i + ri + 2.0, j + rj + 2.0))
        self.step("choose the volume", lambda: self.widget.ui.volumeSelector.setCurrentNode(self.volume))
        self.step("arm the tool: worker, export", lambda: controller.setToolArmed(BOX, True), lambda: self.is_open)
        controller.cancel()
        self.step("box, preview", lambda: controller.onBoxPlaced(box))
        self.step("propagate", controller.propagate)
        self.check("Done")
        self.step("undo the propagation", controller.undo)
        self.step("redo it", controller.redo)
        point = PointPrompt((i + ri - 10.0, float(j), k + 10.0), True)
        self.step("click, preview", lambda: controller.onPromptPlaced(point, "K"))
        self.step("propagate again", controller.propagate)
        self.check("Recomputed")
        self.step("show 3D", lambda: self.widget.lesionPanel.ui.show3dButton.click())
        self.step("undo with 3D", controller.undo)
        self.step("propagate with 3D", controller.propagate)
        self.check("Recomputed")
        self.step("hide 3D", lambda: self.widget.lesionPanel.ui.show3dButton.click())
        self.step("propagate, cancelled", controller.propagate, lambda: controller.progress.done >= 20)
        self.step("cancel", controller.cancel)
        if controller.canKeep:
            self.step("keep what came", controller.keepWhatCame)
        self.step("another lesion", controller.addSegment)

    @property
    def is_open(self) -> bool:
        return self.widget.engineVolume._opened is not None

    def step(self, stage: str, act: Callable[[], Any], is_done: Callable[[], bool] | None = None) -> None:
        """In an event loop, as in Slicer; then half a second of rest in which views and panel settle."""
        self.stages.append(stage)
        with self.trace.at(stage):
            self.loop(0.05, lambda: True)
            act()
            self.loop(0.5, is_done or (lambda: not self.controller.isBusy))

    def loop(self, rest_s: float, is_done: Callable[[], bool]) -> None:
        import qt

        loop, timer = qt.QEventLoop(), qt.QTimer()
        end_s = time.monotonic() + TIMEOUT_S
        done_at: list[float] = []

        def look() -> None:
            if is_done() and not done_at:
                done_at.append(time.monotonic())
            if (done_at and time.monotonic() - done_at[0] >= rest_s) or time.monotonic() > end_s:
                loop.quit()

        timer.connect("timeout()", look)
        timer.start(10)
        loop.exec_()
        timer.stop()
        if not done_at:
            raise SystemExit(f"The module did not finish: {self.controller.message}")

    def check(self, word: str) -> None:
        if word not in self.controller.message:
            raise SystemExit(f"The module says: {self.controller.message}\n{self.widget.engine.log()[-5:]}")


def lesion(slices: int) -> np.ndarray:
    """A large lesion in softer tissue, with noise; KJI, HU."""
    k, j, i = np.ogrid[:slices, :512, :512]
    rk, rj, ri = RADII_KJI
    rk = min(rk, slices // 2 - 2)
    inside = ((k - slices // 2) / rk) ** 2 + ((j - 256) / rj) ** 2 + ((i - 250) / ri) ** 2 < 1
    noise = np.random.default_rng(1).normal(0, 12, (16, 512, 512)).astype(np.int16)
    return np.where(inside, np.int16(120), np.int16(30)) + np.tile(noise, (-(-slices // 16), 1, 1))[:slices]


def summary(stage: str, trace: Trace, heart: Heartbeat) -> dict[str, Any] | None:
    """Milliseconds."""
    gaps = sorted(1000 * seconds for at, _end, seconds in heart.gaps if at == stage)
    if not gaps:
        return None
    drawn = [(call.start, call.start + call.wall) for at, call in trace.renders if at == stage]
    undrawn = [seconds - overlap(drawn, end - seconds, end) for at, end, seconds in heart.gaps if at == stage]
    ours = [call for at, call in trace.ours if at == stage]
    renders = [1000 * call.wall for at, call in trace.renders if at == stage]
    return {
        "stage": stage,
        "beats": len(gaps),
        "gap p50": median(gaps),
        "gap p95": gaps[int(0.95 * (len(gaps) - 1))],
        "gap max": gaps[-1],
        "gap max, renders not counted": 1000 * max(undrawn),
        "ours max wall": max((1000 * (call.wall - call.rendering) for call in ours), default=0.0),
        "ours max cpu": max((1000 * call.cpu for call in ours), default=0.0),
        "render max": max(renders, default=0.0),
        "renders": len(renders),
    }


def overlap(parts: list[tuple[float, float]], start: float, end: float) -> float:
    """How much of start to end lies in the parts."""
    return sum(max(0.0, min(end, last) - max(start, first)) for first, last in parts)


def table(rows: list[dict[str, Any]]) -> str:
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    for row in rows:
        cells = [f"{value:.0f}" if isinstance(value, float) else str(value) for value in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def culprits(trace: Trace, count: int) -> str:
    calls = sorted(trace.ours, key=lambda one: one[1].cpu, reverse=True)[:count]
    lines = [f"\nThe longest calls into our code, CPU ms with what they call; the aim is {AIM_MS} ms:"]
    for stage, call in calls:
        lines.append(f"\n{stage}: {1000 * call.cpu:.0f} ms CPU, {1000 * (call.wall - call.rendering):.0f} ms wall")
        lines += ["  " + line for line in call.tree()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
