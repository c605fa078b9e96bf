"""What can be done about a message, as a button beside it.

A message that has a remedy carries a `Remedy`; the panel gives it to its `RemedyButton`. A remedy is used up by the
click: whatever its action says takes the place of the message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional


@dataclass(frozen=True)
class Remedy:
    """`title` is what the button says, in the imperative; `action` is called once, when it is clicked."""

    title: str
    action: Callable[[], None]
    toolTip: str = ""


class RemedyButton:
    """A QPushButton that is there as long as there is a remedy."""

    def __init__(self, button) -> None:
        self._button = button
        self._remedy: Optional[Remedy] = None
        button.connect("clicked()", self.onClicked)
        self.show(None)

    def show(self, remedy: Optional[Remedy]) -> None:
        """May be called as often as one likes."""
        self._remedy = remedy
        self._button.setVisible(remedy is not None)
        self._button.text = remedy.title if remedy is not None else ""
        self._button.toolTip = remedy.toolTip if remedy is not None else ""

    def onClicked(self) -> None:
        remedy = self._remedy
        self.show(None)
        if remedy is not None:
            remedy.action()
