"""Before the first prompt: the engine started, the voxels handed over, the model loaded, the shown slice encoded.

It happens while nothing else goes on: a moment after the module was entered or something else was chosen, and at once
when a tool is armed. Only an engine that is installed is started, and one that died is not started again by itself.
Nothing is said of it: whatever cannot be done is said when a person asks for it. The engine leaves this work for any
other request. Who sets `ON_DEMAND` to true in Slicer's settings gets the engine with the first tool or prompt only.
"""

from __future__ import annotations

from typing import Callable

import qt
import slicer

from medsam2_protocol.messages import Failed, Prefetch
from MedSAM2SlicerLib.EngineProcess import STOPPED
from MedSAM2SlicerLib.Environment import EngineNotInstalled
from MedSAM2SlicerLib.PropagationOptions import shownSlice
from MedSAM2SlicerLib.WindowChoice import chosenWindow
from MedSAM2SlicerLib.ZoomChoice import chosenZoom

ON_DEMAND = "MedSAM2Slicer/EngineOnDemand"
IDLE_MS = 400
AXES = ("K", "J", "I")
OnFailed = Callable[[Failed], None]


class Readiness:
    """`isAllowed` says whether the engine may be started without having been asked to."""

    def __init__(self, engine, engineVolume, choice, runs) -> None:
        self.isAllowed: Callable[[], bool] = lambda: True
        self._engine = engine
        self._engineVolume = engineVolume
        self._choice = choice
        self._runs = runs
        self._isEntered = False
        self._asked: tuple = ()
        self._idle = qt.QTimer()
        self._idle.setSingleShot(True)
        self._idle.setInterval(IDLE_MS)
        self._idle.connect("timeout()", self.onIdle)

    @property
    def isAboutToStart(self) -> bool:
        """Whether an engine that is stopped will be started in a moment."""
        isStopped = self._engine.state == STOPPED
        return isStopped and self._idle.isActive() and not self._runs.isBusy and self._mayStart()

    def begin(self) -> None:
        """The module is entered."""
        self._isEntered = True
        self.later()

    def end(self) -> None:
        """The user is elsewhere, or the scene is gone."""
        self._isEntered = False
        self._idle.stop()

    def later(self) -> None:
        """Something else was chosen."""
        if self._isEntered:
            self._idle.start()

    def now(self, onFailed: OnFailed) -> None:
        """A tool is armed: a prompt will come in seconds. `onFailed` hears why it would be of no use."""
        self._idle.stop()
        if not self._runs.isBusy:
            self._engineVolume.open(self._choice.volumeNode, self._prefetch, onFailed)

    def onIdle(self) -> None:
        """The engine starts while the voxels are written to the file that it will read."""
        if self._runs.isBusy or not self._mayStart():
            return
        self._engine.start()
        if self._choice.volumeNode is not None:
            self._engineVolume.open(self._choice.volumeNode, self._prefetch, _ignore)

    def _mayStart(self) -> bool:
        """Unasked: not after it died, and not while its files are being changed."""
        hasDied = self._engine.state == STOPPED and bool(self._engine.trouble)
        return not hasDied and not isOnDemand() and self._isInstalled() and self.isAllowed()

    def _isInstalled(self) -> bool:
        try:
            self._engine.environment.command()
        except EngineNotInstalled:
            return False
        return True

    def _prefetch(self, volume_id: str) -> None:
        """Not twice the same for one worker: it would find nothing to do."""
        volumeNode, parameters = self._choice.volumeNode, self._choice.parameters
        if volumeNode is None or self._runs.isBusy:
            return
        shown = ((axis, shownSlice(volumeNode, axis)) for axis in AXES)
        axis, index = next((one for one in shown if one[1] is not None), ("", None))
        if index is None:
            return
        how = (parameters.model, parameters.device, chosenWindow(parameters).window, chosenZoom(parameters))
        request = Prefetch("", volume_id, axis, index, *how)
        asked = (self._engine.generation, request)
        if asked != self._asked:
            self._asked = asked
            self._engine.request(request, _ignore, _ignore)


def isOnDemand() -> bool:
    return str(slicer.app.settings().value(ON_DEMAND, "")).lower() == "true"


def _ignore(_message) -> None:
    return None
