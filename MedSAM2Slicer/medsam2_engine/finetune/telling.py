"""What a training tells while it goes: a bar and sentences for people, one JSON object a line for programs.

Lines for programs, in their order: `phase` with `done` and `total`, `cases` and `memory` (bytes), `step` with `steps`,
`loss` and `seconds_left`; at last one with `end`: "done", "interrupted", or the code of an error with its `text`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from medsam2_engine.errors import EngineError
from medsam2_engine.progress_bar import ProgressBar

Item = TypeVar("Item")
LABELLING, BEFORE, AFTER = "labelling", "before", "after"


class Telling:
    """Of one command; `is_json` for programs. `is_silent`: one of several processes, of which the first tells."""

    def __init__(self, is_json: bool) -> None:
        self._is_json = is_json
        self.is_silent = False
        self._bar: ProgressBar | None = None
        self._first, self._started = 0, 0.0

    def say(self, text: str, **facts: Any) -> None:
        """A sentence; programs get the facts as well."""
        if self._is_json:
            self._write(text=text, **facts)
        elif not self.is_silent:
            print(text, flush=True)

    def phase(self, name: str, items: Sequence[Item]) -> Iterator[Item]:
        """The items, each told before it is worked on."""
        with ProgressBar(sys.stderr, len(items), not (self._is_json or self.is_silent)) as bar:
            for number, item in enumerate(items):
                if self._is_json:
                    self._write(phase=name, done=number, total=len(items))
                yield item
                bar.advance(name)

    def begin_steps(self, done: int, steps: int) -> ProgressBar:
        """The bar of the steps that are left, to be closed by whoever asks for it."""
        self._first, self._started = done, time.monotonic()
        self._bar = ProgressBar(sys.stderr, steps - done, not (self._is_json or self.is_silent))
        return self._bar

    def step(self, number: int, steps: int, loss: float, limit_s: float | None = None) -> None:
        """One more step is done; `limit_s` is how long the training may go on at most."""
        if self._bar is not None:
            self._bar.advance(f"step {number}, loss {loss:.3f}")
        if self._is_json:
            each = (time.monotonic() - self._started) / max(1, number - self._first)
            left = each * (steps - number)
            left = left if limit_s is None else max(0.0, min(left, limit_s))
            self._write(step=number, steps=steps, loss=round(loss, 4), seconds_left=round(left))

    def end(self, how: str, text: str, **facts: Any) -> None:
        self.say(text, end=how, **facts)

    def failed(self, error: EngineError) -> None:
        """The sentence itself goes to stderr, as that of every command."""
        if self._is_json:
            self._write(end=error.code, text=str(error))

    def _write(self, **facts: Any) -> None:
        if not self.is_silent:
            # In plain ASCII: Windows gives a pipe an encoding of its own, in which many a name cannot be written.
            print(json.dumps(facts), flush=True)
