"""The Slicer module as a way into the engine: a box in the scene, Propagate, the segment's voxels.

Needs the headless Slicer of the tests, in a process without torch:

    python through_module.py IMAGE AXIS SLICE MIN0,MIN1,MAX0,MAX1 MASK.npy
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "MedSAM2Slicer")]
TIMEOUT_S = 600


def main(arguments: list[str]) -> int:
    image, axis, index, box, output = arguments
    os.environ.setdefault("MEDSAM2_ENGINE_PYTHON", sys.executable)
    import slicerhost

    app = slicerhost.start()
    app.loadScriptedModule(str(ROOT / "MedSAM2Slicer" / "MedSAM2Slicer.py"))
    mask = segment(app, image, axis, int(index), [float(value) for value in box.split(",")])
    import numpy as np

    np.save(output, mask)
    app.shutDown()
    return 0


def segment(app: Any, image: str, axis: str, index: int, box: list[float]) -> Any:
    """The voxels (KJI) of the segment that the module makes of one box."""
    import slicer

    from medsam2_protocol.prompts import BoxPrompt

    volume = slicer.util.loadVolume(image)
    slicer.util.selectModule("MedSAM2Slicer")
    widget = slicer.modules.MedSAM2SlicerWidget
    widget.ui.volumeSelector.setCurrentNode(volume)
    controller = widget.controller
    controller.onBoxPlaced(BoxPrompt(axis, index, (box[0], box[1]), (box[2], box[3])))
    _wait(app, lambda: not controller.isBusy, controller)
    controller.propagate()
    _wait(app, lambda: not controller.isBusy, controller)
    parameters = widget._parameters
    return slicer.util.arrayFromSegmentBinaryLabelmap(parameters.segmentation, parameters.segmentId, volume)


def _wait(app: Any, condition: Callable[[], bool], controller: Any) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        app.processEvents()
        time.sleep(0.005)
        if time.monotonic() > end:
            raise SystemExit(f"The module did not finish: {controller.message}")
    if controller.isError:
        raise SystemExit(f"The module says: {controller.message}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
