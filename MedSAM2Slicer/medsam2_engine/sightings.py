"""Through which frames a segment was last seen on each slice, so that a correction looks through the same ones.

A cache: what is lost here is chosen anew, which costs encodings and may give slightly another mask. A session of a
restarted worker knows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from medsam2_engine.frames import FrameStack
from medsam2_engine.slice_prompts import Box
from medsam2_protocol.messages import Window


@dataclass(frozen=True)
class Sighting:
    """One slice of a segment: the frames, and the box around the mask that was found there (None: it was empty)."""

    frames: FrameStack
    box: Box | None


class Sightings:
    """The sightings of all segments of a session. `window` and `zoom` are the request's: others are another look."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, Window | None, str], dict[int, Sighting]] = {}

    def of(self, segment_id: str, axis: str, window: Window | None, zoom: str) -> dict[int, Sighting]:
        """By slice; what is put in stays."""
        return self._found.setdefault((segment_id, axis, window, zoom), {})
