"""What the panel has to say now: one sentence, perhaps a remedy for it, and how far the run is."""

from __future__ import annotations

from typing import Callable, Optional

from medsam2_protocol.messages import End, Failed, Progress
from MedSAM2SlicerLib import Sentences
from MedSAM2SlicerLib.Remedy import Remedy

NO_PROGRESS = Progress("", 0, 0, "")


class News:
    """`onChanged` is called whenever something to show has changed, here or elsewhere.

    `remedyFor(failed, again)` knows what can be done about a run that failed; `again` asks the same once more.
    """

    def __init__(self) -> None:
        self.onChanged: Callable[[], None] = lambda: None
        self.remedyFor: Callable[[Failed, Callable], Optional[Remedy]] = lambda failed, again: None
        self.message = ""
        self.isError = False
        self.remedy = None
        self.progress = NO_PROGRESS

    def say(self, sentence: str, isError: bool = False, remedy=None) -> None:
        """`remedy` is something with a title and an action, offered as a button beside the sentence."""
        self.message, self.isError, self.remedy = sentence, isError, remedy
        self.changed()

    def sayEnd(self, end: End, again: Callable[[], None]) -> None:
        """How a run ended."""
        isFailure = isinstance(end, Failed)
        self.say(Sentences.ofEnd(end), isFailure, self.remedyFor(end, again) if isFailure else None)

    def show(self, progress: Progress) -> None:
        self.progress = progress
        self.changed()

    def changed(self) -> None:
        self.onChanged()
