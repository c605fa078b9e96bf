"""From the end of a drag to the mask of that slice on the screen, in a volume of 512 x 512 x 120 voxels.

    python Testing/Benchmarks/click_to_preview.py [--runs 5] [--clicks 20] [--json FILE]

The headless Slicer of the tests and the real worker with the embedded model, in a process of its own. Each run is a
new Slicer: `cold` is the first box, `--pause` seconds after the module was entered (a person has to find a lesion and
to draw), `at once` the first box without a pause, `warm` are boxes after it, on other slices. `preview` is when the
mask is in the segment, `seen` when the views have been rendered with it. CPU until `preview`: of the worker, of our
code in Slicer, and of the software renderer meanwhile; on a busy machine it says more than the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "MedSAM2Slicer"), str(Path(__file__).parent)]

from main_thread import Trace, watch_module, watch_renders  # noqa: E402

TIMEOUT_S = 120
SLICES = 120
RADIUS = 18
AIMS_MS = {"at once": None, "cold": 1000, "warm": 150}


def main() -> int:
    options = parser().parse_args()
    if options.one is not None:
        print(json.dumps(one_run(options.one, options.clicks)))
        return 0
    runs: dict[str, list[dict[str, float]]] = {"at once": [], "cold": []}
    for _ in range(options.runs):
        runs["at once"].append(one_process(0.0, 0)[0])
        runs["cold"].append(one_process(options.pause, 0)[0])
    runs["warm"] = one_process(options.pause, options.clicks)[1:]
    print(table(runs))
    if options.json:
        options.json.write_text(json.dumps(runs, indent=1))
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="From a click to its preview.")
    made.add_argument("--runs", type=int, default=5)
    made.add_argument("--clicks", type=int, default=20)
    made.add_argument("--pause", type=float, default=8.0, help="seconds between entering the module and the first box")
    made.add_argument("--json", type=Path)
    made.add_argument("--one", type=float, help=argparse.SUPPRESS)
    return made


def one_process(pause_s: float, clicks: int) -> list[dict[str, float]]:
    """The first box and `clicks` more, in a Slicer of their own."""
    command = [sys.executable, __file__, "--one", str(pause_s), "--clicks", str(clicks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return list(json.loads(done.stdout.splitlines()[-1]))


def one_run(pause_s: float, clicks: int) -> list[dict[str, float]]:
    os.environ.setdefault("MEDSAM2_ENGINE_PYTHON", sys.executable)
    import slicerhost

    trace, app = Trace(), slicerhost.start()
    app.mainWindow().show()
    watch_module(trace)
    watch_renders(trace)
    app.loadScriptedModule(str(ROOT / "MedSAM2Slicer" / "MedSAM2Slicer.py"))
    import slicer

    volume = slicer.util.addVolumeFromArray(lesions(), name="CT")
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    loop(0.5)
    slicer.util.selectModule("MedSAM2Slicer")
    loop(pause_s)
    widget = slicer.modules.MedSAM2SlicerWidget
    times = [click(widget, trace, 60 + (7 * number) % 50) for number in range(clicks + 1)]
    app.shutDown()
    return times


def click(widget: Any, trace: Trace, index: int) -> dict[str, float]:
    """Milliseconds. The views go to the slice before, as a person's do."""
    import slicer

    from medsam2_protocol.prompts import BoxPrompt

    frame = (256.0, 250.0)
    slicer.modules.markups.logic().JumpSlicesToLocation(frame[1], frame[0], float(index), False)
    loop(0.3)
    low, high = (frame[1] - RADIUS - 3, frame[0] - RADIUS - 3), (frame[1] + RADIUS + 3, frame[0] + RADIUS + 3)
    trace.ours.clear()
    trace.renders.clear()
    controller, start, cpu = widget.controller, time.perf_counter(), worker_ms(widget)
    controller.onBoxPlaced(BoxPrompt("K", index, low, high))
    loop(0.0, lambda: not controller.isBusy)
    if not controller.hasPreview:
        raise SystemExit(f"The module says: {controller.message}\n{widget.engine.log()[-5:]}")
    preview = time.perf_counter()
    used = {
        "worker": worker_ms(widget) - cpu,
        "module": 1000 * sum(call.cpu for _, call in trace.ours),
        "renderer": 1000 * sum(call.cpu for _, call in trace.renders),
    }
    loop(0.0, lambda: not any(view._render_timer.isActive() for view in slice_views()))
    seen = time.perf_counter()
    return {"preview": 1000 * (preview - start), "seen": 1000 * (seen - start), **used}


def slice_views() -> list[Any]:
    import slicer

    manager = slicer.app.layoutManager()
    return [manager.sliceWidget(name).sliceView() for name in manager.sliceViewNames()]


def worker_ms(widget: Any) -> float:
    """CPU of the worker so far, if it runs; counted by the system in steps of 10 ms."""
    stat = Path(f"/proc/{widget.engine.pid}/stat")
    if not widget.engine.pid or not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(") ")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def loop(rest_s: float, is_done: Callable[[], bool] = lambda: True) -> None:
    """Qt's own, until it is done and the rest is over."""
    import qt

    events, timer, start = qt.QEventLoop(), qt.QTimer(), time.monotonic()

    def look() -> None:
        waited = time.monotonic() - start
        if (is_done() and waited >= rest_s) or waited > TIMEOUT_S:
            events.quit()

    timer.connect("timeout()", look)
    timer.start(1)
    events.exec_()
    timer.stop()


def lesions() -> Any:
    """A tube of lesion tissue along K in softer tissue, with noise; KJI, HU."""
    import numpy as np

    j, i = np.ogrid[:512, :512]
    inside = (j - 256) ** 2 + (i - 250) ** 2 < RADIUS**2
    noise = np.random.default_rng(1).normal(0, 12, (8, 512, 512)).astype(np.int16)
    return np.where(inside, np.int16(120), np.int16(30)) + np.tile(noise, (SLICES // 8, 1, 1))


def table(runs: dict[str, list[dict[str, float]]]) -> str:
    """Milliseconds."""
    names = list(runs["cold"][0])
    lines = [f"| | runs | {' | '.join(names)} | aim |", "|---" * (len(names) + 3) + "|"]
    for name, times in runs.items():
        cells = [spread([one[key] for one in times]) for key in names]
        lines.append(f"| {name} | {len(times)} | {' | '.join(cells)} | {AIMS_MS[name] or ''} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


if __name__ == "__main__":
    sys.exit(main())
