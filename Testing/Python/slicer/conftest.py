"""Tests of Slicer's side run in ``slicerhost``: real scene, real Qt, no Slicer.

One application lives as long as the session, since Qt allows one per process. ``scene`` gives every test an empty
scene, and fails a test during which a slot or an observer raised: in Slicer that is only printed.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
for folder in ("Testing", "MedSAM2Slicer"):
    if str(REPOSITORY / folder) not in sys.path:
        sys.path.insert(0, str(REPOSITORY / folder))

import slicerhost  # noqa: E402


@pytest.fixture(scope="session")
def app() -> Iterator[Any]:
    """``slicer.app`` with its main window shown. The module starts its engine when it is asked to, not before."""
    application = slicerhost.start()
    application.settings().setValue("MedSAM2Slicer/EngineOnDemand", "true")
    application.mainWindow().show()
    application.processEvents()
    yield application
    application.shutDown()


@pytest.fixture
def scene(app: Any) -> Iterator[Any]:
    """``slicer.mrmlScene``, empty before and after."""
    app.mainWindow().activateWindow()  # another window may have closed, and offscreen no window manager does this
    app.mrmlScene().Clear(0)
    app.processEvents()
    slicerhost.slot_errors.clear()
    yield app.mrmlScene()
    app.mrmlScene().Clear(0)
    app.processEvents()
    raised = list(slicerhost.slot_errors)
    slicerhost.slot_errors.clear()
    assert not raised, f"raised in slots or observers: {raised}"


@pytest.fixture
def wait_until(app: Any) -> Callable[..., None]:
    """``wait_until(condition, timeout_s=10)``: run Qt's loop until the condition holds."""

    def wait(condition: Callable[[], Any], timeout_s: float = 10.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s} s"
            app.processEvents()
            time.sleep(0.002)

    return wait
