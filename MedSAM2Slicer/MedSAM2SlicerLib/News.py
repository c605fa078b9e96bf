"""What the panel has to say now: one sentence, perhaps a remedy for it, and how far the run is."""

from __future__ import annotations

from typing import Callable

from medsam2_protocol.messages import Progress

NO_PROGRESS = Progress("", 0, 0, "")


class News:
    """`onChanged` is called whenever something to show has changed, here or elsewhere."""

    def __init__(self) -> None:
        self.onChanged: Callable[[], None] = lambda: None
        self.message = ""
        self.isError = False
        self.remedy = None
        self.progress = NO_PROGRESS

    def say(self, sentence: str, isError: bool = False, remedy=None) -> None:
        """`remedy` is something with a title and an action, offered as a button beside the sentence."""
        self.message, self.isError, self.remedy = sentence, isError, remedy
        self.changed()

    def show(self, progress: Progress) -> None:
        self.progress = progress
        self.changed()

    def changed(self) -> None:
        self.onChanged()
