"""Questions to the engine about the chosen segment, of which at most one is under way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Optional

from slicer.i18n import tr as _

from medsam2_protocol.messages import End, MaskChanged
from medsam2_protocol.prompts import MaskPrompt
from MedSAM2SlicerLib.News import NO_PROGRESS, News
from MedSAM2SlicerLib.PromptKinds import PlacedPrompt
from MedSAM2SlicerLib.PropagationOptions import EVERYWHERE, Reach
from MedSAM2SlicerLib.SegmentChoice import SegmentChoice
from MedSAM2SlicerLib.TaskRun import Task, TaskListener, TaskRun
from MedSAM2SlicerLib.ZoomChoice import chosenZoom

OnMask = Callable[[MaskChanged], None]
OnEnd = Callable[[End], None]


@dataclass(frozen=True)
class Question:
    """A propagation of the chosen segment. `kept` are slices that stand; `corrected` None: it is about all others."""

    prompts: tuple[PlacedPrompt, ...]
    axis: str
    reach: Reach
    kept: tuple[MaskPrompt, ...] = ()
    corrected: Optional[int] = None


class EngineRuns:
    """Masks go to `onMask` until `onEnd`. `onRepeated` is called when the worker was lost and everything starts over.

    `windowFor(prompts, slice)` gives the window of a question (slice None: a propagation); None leaves it to the model.
    """

    def __init__(self, engine, engineVolume, choice: SegmentChoice, news: News) -> None:
        self.windowFor: Callable = lambda prompts, index: None
        self.started = 0
        self._engine = engine
        self._engineVolume = engineVolume
        self._choice = choice
        self._news = news
        self._run: Optional[TaskRun] = None

    @property
    def isBusy(self) -> bool:
        return self._run is not None

    @property
    def isPropagating(self) -> bool:
        return self._run is not None and self._run.task.slice is None

    def predict(
        self, prompts: tuple[PlacedPrompt, ...], axis: str, index: int, onMask: OnMask, onRepeated, onEnd: OnEnd
    ) -> None:
        """One slice, from the prompts on it."""
        self._start(self._task(prompts, axis, index, EVERYWHERE), onMask, onRepeated, onEnd)

    def propagate(self, question: Question, onMask: OnMask, onRepeated, onEnd: OnEnd) -> None:
        """All slices along the axis as far as the reach lets it go, or what one corrected slice changes."""
        task = self._task(question.prompts, question.axis, None, question.reach)
        progressive = self._choice.parameters.progressive and question.corrected is None
        task = replace(task, kept=question.kept, corrected=question.corrected, progressive=progressive)
        self._start(task, onMask, onRepeated, onEnd)

    def cancel(self) -> None:
        """Ask for the end of what is under way; `onEnd` is called."""
        if self._run is not None:
            self._run.cancel()

    def drop(self) -> None:
        """Nobody wants to know any more; `onEnd` is not called."""
        run, self._run = self._run, None
        if run is not None:
            run.drop()

    def isOn(self, volumeNode) -> bool:
        return self._run is not None and self._run.volumeNode is volumeNode

    def forgetVolume(self) -> None:
        self._engineVolume.forget()

    def _task(self, prompts: tuple[PlacedPrompt, ...], axis: str, index: Optional[int], reach: Reach) -> Task:
        window = self.windowFor(prompts, index)
        parameters = self._choice.parameters
        how = (parameters.model, parameters.device, window, reach)
        return Task(parameters.segmentId, prompts, axis, index, *how, zoom=chosenZoom(parameters))

    def _start(self, task: Task, onMask: OnMask, onRepeated: Callable[[], None], onEnd: OnEnd) -> None:
        def repeated(reason: str) -> None:
            onRepeated()
            self._news.progress = NO_PROGRESS
            sentence = _("{reason} It is started again and the request is repeated.")
            self._news.say(sentence.format(reason=reason), isError=True)

        def ended(end: End) -> None:
            self._run = None
            onEnd(end)

        listener = TaskListener(onMask, self._news.show, repeated, ended)
        self.started += 1
        self._run = TaskRun(task, self._choice.volumeNode, self._engine, self._engineVolume, listener)
        self._run.start()
        self._news.changed()
