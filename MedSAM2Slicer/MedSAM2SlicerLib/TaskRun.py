"""One question to the engine, from the volume it needs to its end, and asked again once if the worker was lost.

A run is live until it has ended or was dropped. What arrives afterwards, or speaks of another volume, is not passed on:
whoever started the run never hears of anything it no longer waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from medsam2_protocol.messages import (
    ZOOM_OFF,
    Cancelled,
    End,
    Event,
    Failed,
    MaskChanged,
    Predict,
    Progress,
    Propagate,
    Request,
    Window,
)
from medsam2_protocol.prompts import MaskPrompt, Prompt, SegmentPrompts
from MedSAM2SlicerLib.PropagationOptions import EVERYWHERE, Reach

_WORKER_LOST = ("worker_died", "worker_stuck")


@dataclass(frozen=True)
class Task:
    """What is asked, complete enough to be asked again. `slice` is the one to predict; None means propagate.

    `kept` are slices that stand; `corrected` is the one that a propagation is about, None if it is about all.
    """

    segmentId: str
    prompts: tuple[Prompt, ...]
    axis: str
    slice: Optional[int]
    model: str
    device: str
    window: Optional[Window] = None
    reach: Reach = EVERYWHERE
    kept: tuple[MaskPrompt, ...] = ()
    corrected: Optional[int] = None
    zoom: str = ZOOM_OFF
    progressive: bool = False

    def request(self, volume_id: str) -> Request:
        segment = SegmentPrompts(self.segmentId, self.prompts, self.kept)
        if self.slice is not None:
            how = (self.model, self.device, self.window, self.zoom)
            return Predict("", volume_id, segment, self.axis, self.slice, *how)
        first, last, direction = self.reach.first, self.reach.last, self.reach.direction
        how = (self.model, self.device, self.window, direction, self.corrected)
        return Propagate(
            "", volume_id, (segment,), self.axis, first, last, *how, zoom=self.zoom, progressive=self.progressive
        )


@dataclass(frozen=True)
class TaskListener:
    """Who wants to know. `onRepeated` comes with the reason, before everything starts over; `onEnd` comes once."""

    onMask: Callable[[MaskChanged], None]
    onProgress: Callable[[Progress], None]
    onRepeated: Callable[[str], None]
    onEnd: Callable[[End], None]


class TaskRun:
    """A task on its way."""

    def __init__(self, task: Task, volumeNode, engine, engineVolume, listener: TaskListener) -> None:
        self.task = task
        self.volumeNode = volumeNode
        self.isLive = True
        self.isCancelling = False
        self._engine = engine
        self._engineVolume = engineVolume
        self._listener = listener
        self._attempt = 0
        self._volume_id = ""
        self._request_id = ""

    def start(self) -> None:
        self._attempt += 1
        self._request_id = ""
        attempt = self._attempt
        self._engineVolume.open(
            self.volumeNode,
            lambda volume_id: self._ask(attempt, volume_id),
            lambda failed: self._onEnd(attempt, failed),
        )

    def cancel(self) -> None:
        """Ask for the end; it comes as `Cancelled` unless the task is done before."""
        self.isCancelling = True
        if self._request_id:
            self._engine.cancel(self._request_id)
        else:
            self._finish(Cancelled(""))

    def drop(self) -> None:
        """Nobody wants to know any more."""
        self.isLive = False
        if self._request_id and not self.isCancelling:
            self._engine.cancel(self._request_id)

    def _ask(self, attempt: int, volume_id: str) -> None:
        if not self._isCurrent(attempt):
            return
        self._volume_id = volume_id
        self._request_id = self._engine.request(
            self.task.request(volume_id), self._onEvent, lambda end: self._onEnd(attempt, end)
        )

    def _onEvent(self, event: Event) -> None:
        if not self.isLive:
            return
        if isinstance(event, Progress):
            self._listener.onProgress(event)
        elif isinstance(event, MaskChanged) and self._isMine(event):
            self._listener.onMask(event)

    def _onEnd(self, attempt: int, end: End) -> None:
        if not self._isCurrent(attempt):
            return
        isLost = isinstance(end, Failed) and end.code in _WORKER_LOST
        if isLost and self.isCancelling:
            self._finish(Cancelled(end.id))
        elif isLost and self._attempt == 1:
            self._listener.onRepeated(end.message)
            self.start()
        else:
            self._finish(end)

    def _finish(self, end: End) -> None:
        self.isLive = False
        self._listener.onEnd(end)

    def _isCurrent(self, attempt: int) -> bool:
        return self.isLive and attempt == self._attempt

    def _isMine(self, event: MaskChanged) -> bool:
        return (event.volume_id, event.segment_id) == (self._volume_id, self.task.segmentId)
