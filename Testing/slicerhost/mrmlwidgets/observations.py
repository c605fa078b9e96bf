"""VTK observations of a widget, dropped together."""

from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6 import QtCore


class Observations:
    """What one widget observes. As in C++ nothing is called any more once the widget is gone."""

    def __init__(self, owner: QtCore.QObject) -> None:
        self._owner = owner
        self._tags: list[tuple[Any, int]] = []

    def add(self, subject: Any, events: Any, callback: Callable[[], None]) -> None:
        """Call ``callback`` without arguments on each of ``events`` (one event or several)."""

        def notify(_caller: Any, _event: str) -> None:
            if shiboken6.isValid(self._owner):
                callback()

        for event in events if isinstance(events, (list, tuple)) else [events]:
            self._tags.append((subject, subject.AddObserver(event, notify)))

    def clear(self) -> None:
        for subject, tag in self._tags:
            subject.RemoveObserver(tag)
        self._tags.clear()
