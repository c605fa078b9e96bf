"""What the panel has to say now: one sentence, perhaps a remedy for it, and how far the run is."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Callable, Optional

import qt

from medsam2_protocol.messages import End, Failed, Progress
from MedSAM2SlicerLib import Sentences
from MedSAM2SlicerLib.Remedy import Remedy

NO_PROGRESS = Progress("", 0, 0, "")
AFTER_VIEWS_MS = 50  # a warm engine has answered by then


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
        self._depth = 0
        self._isDue = False
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(AFTER_VIEWS_MS)
        self._rest.connect("timeout()", self.tell)

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

    @property
    def isBehind(self) -> bool:
        """Whether something has changed that is not shown yet."""
        return self._isDue

    def changed(self) -> None:
        self._isDue = True
        if not self._depth:
            self.tell()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What changes inside is shown once, at the end: the panel takes milliseconds to be shown."""
        with self._collected(self.tell):
            yield

    @contextmanager
    def afterViews(self) -> Iterator[None]:
        """What changes inside is shown once, a moment after the end: what is new in the views comes first."""
        with self._collected(self._tellLater):
            yield

    def tell(self) -> None:
        """What waits is shown now."""
        self._rest.stop()
        self._isDue = False
        self.onChanged()

    def stop(self) -> None:
        """Nobody looks any more."""
        self._isDue = False
        self._rest.stop()

    @contextmanager
    def _collected(self, show: Callable[[], None]) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._isDue and not self._depth:
                show()

    def _tellLater(self) -> None:
        if not self._rest.isActive():
            self._rest.start()


def shownTogether(method: Callable) -> Callable:
    """A method of something that has `news`, whose changes are shown at its end."""
    return _showing(method, News.together)


def shownAfterViews(method: Callable) -> Callable:
    """The same, but the views come first."""
    return _showing(method, News.afterViews)


def _showing(method: Callable, collected: Callable) -> Callable:
    @functools.wraps(method)
    def call(self, *arguments, **named):
        with collected(self.news):
            return method(self, *arguments, **named)

    return call
