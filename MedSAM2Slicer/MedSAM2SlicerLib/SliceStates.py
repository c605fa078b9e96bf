"""What is known about every slice of a segment: where its mask came from, and whether it stands.

* propagated: the mask came from a propagation; the next one may change it, or clear it if it comes no further.
* provisional: the mask is of a first look, and the propagation that should have followed the slice was cancelled.
* key: a person put prompts on the slice. Which ones were answered last is kept as a digest, so that a prompt that is
  new, moved or deleted since shows as a correction that waits.
* edited: voxels were changed by hand. locked: a person said that the slice is right. Both are kept: no run writes
  there.

The states belong to one slice axis of one voxel lattice: that of the last propagation. They are a tag of the segment in
JSON, so they are saved with the scene; unknown or broken text counts as no states.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Optional

from medsam2_protocol.masks import MaskRegion
from medsam2_protocol.messages import ZOOM_OFF
from medsam2_protocol.prompts import AXES, Prompt, SegmentPrompts
from medsam2_protocol.tagged import from_jsonable, to_json, to_jsonable

NOTHING, PROPAGATED, PROVISIONAL, KEY = "nothing", "propagated", "provisional", "key"
EDITED, LOCKED = "edited", "locked"
VERSION = 1
Evidence = tuple[float, float, Optional[float]]
Slices = frozenset[int]
Settings = tuple[str, int, int, str, str, str]
NONE: Slices = frozenset()


@dataclass(frozen=True)
class SliceStates:
    """Of one segment.

    Attributes:
        axis: "I", "J" or "K"; "" as long as nothing is known.
        lattice: by which the volume's voxel lattice is recognised.
        settings: what the last propagation was asked with: direction, first and last slice (-1: none), model, window,
            zoom.
        provisional: of the propagated slices those with a mask of a first look.
        evidence: object score, predicted IoU and agreement of the masks that came.
        bases: what prompted slices held before the first prompt was put there; where they held nothing, no entry.
        answered: digest of the prompts of every prompted slice when its mask was computed last.
        pending: kept slices that changed since the last propagation, so that their neighbours do not know them yet.
        marks: by which the content of every slice that is not empty is recognised.
    """

    axis: str = ""
    lattice: int = 0
    settings: Settings = ("both", -1, -1, "", "", ZOOM_OFF)
    propagated: Slices = NONE
    edited: Slices = NONE
    locked: Slices = NONE
    pending: Slices = NONE
    provisional: Slices = NONE
    evidence: Mapping[int, Evidence] = field(default_factory=dict)
    bases: Mapping[int, MaskRegion] = field(default_factory=dict)
    answered: Mapping[int, int] = field(default_factory=dict)
    marks: Mapping[int, int] = field(default_factory=dict)

    @property
    def kept(self) -> Slices:
        """Slices that no run writes to."""
        return self.edited | self.locked

    @property
    def isPropagated(self) -> bool:
        return bool(self.propagated or self.answered)

    def isOn(self, axis: str, lattice: int) -> bool:
        return (self.axis, self.lattice) == (axis, lattice)

    def of(self, index: int, prompted: Iterable[int] = ()) -> str:
        """The state of one slice."""
        if index in self.locked:
            return LOCKED
        if index in self.edited:
            return EDITED
        if index in prompted:
            return KEY
        if index in self.provisional:
            return PROVISIONAL
        return PROPAGATED if index in self.propagated else NOTHING

    def withLocked(self, indices: Iterable[int]) -> SliceStates:
        known = frozenset(indices)
        return replace(self, locked=self.locked | known, provisional=self.provisional - known)

    def withReleased(self, indices: Iterable[int]) -> SliceStates:
        """The next propagation may do with them as it likes."""
        free = frozenset(indices)
        kept = {name: getattr(self, name) - free for name in ("edited", "locked", "pending")}
        return replace(self, propagated=self.propagated | (free & self.kept), **kept)

    def withHandEdits(self, indices: Iterable[int], marks: Mapping[int, int]) -> SliceStates:
        """These slices were changed by hand, and this is what all slices hold now."""
        changed = frozenset(indices)
        return replace(
            self,
            propagated=self.propagated - changed,
            edited=self.edited | changed,
            provisional=self.provisional - changed,
            pending=self.pending | changed,
            evidence=_without(self.evidence, changed),
            marks=dict(marks),
        )

    def changedSince(self, marks: Mapping[int, int]) -> Slices:
        """Slices that do not hold what they held when the states were noted."""
        return frozenset(index for index in {*marks, *self.marks} if marks.get(index) != self.marks.get(index))

    def afterRun(
        self,
        came: Mapping[int, Evidence],
        cleared: Iterable[int],
        answered: Mapping[int, int],
        bases: Mapping[int, MaskRegion],
        provisional: Slices = NONE,
    ) -> SliceStates:
        """Masks came for some slices, others were cleared; `answered` are the prompted slices as they are now.

        Of the masks that came, those of the `provisional` slices are of a first look.
        """
        gone = frozenset(cleared)
        return replace(
            self,
            propagated=(self.propagated - gone) | frozenset(came),
            provisional=(self.provisional - gone - frozenset(came)) | provisional,
            evidence={**_without(self.evidence, gone), **came},
            bases={index: region for index, region in bases.items() if index in answered},
            answered=dict(answered),
        )

    def toText(self) -> str:
        """ "" for states that say nothing."""
        if self == SliceStates():
            return ""
        fields = {
            "version": VERSION,
            "axis": self.axis,
            "lattice": self.lattice,
            "settings": list(self.settings),
            "propagated": _ranges(self.propagated),
            "edited": _ranges(self.edited),
            "locked": _ranges(self.locked),
            "pending": _ranges(self.pending),
            "provisional": _ranges(self.provisional),
            "evidence": {str(index): _rounded(one) for index, one in sorted(self.evidence.items())},
            "bases": {str(index): to_jsonable(one) for index, one in sorted(self.bases.items())},
            "answered": {str(index): one for index, one in sorted(self.answered.items())},
            "marks": {str(index): one for index, one in sorted(self.marks.items())},
        }
        return json.dumps(fields, separators=(",", ":"))


@lru_cache(maxsize=16)
def fromText(text: str) -> SliceStates:
    """What `toText` wrote. Do not change what is inside: it is remembered."""
    try:
        return _read(json.loads(text)) if text else SliceStates()
    except (ValueError, TypeError, KeyError, AttributeError):
        return SliceStates()


def digestOf(prompts: Iterable[Prompt]) -> int:
    """A number by which the prompts of a slice are recognised; their order counts."""
    return _digest(tuple(prompts))


@lru_cache(maxsize=512)
def _digest(prompts: tuple[Prompt, ...]) -> int:
    return zlib.crc32(to_json(SegmentPrompts("", prompts)).encode("utf-8"))


def _read(data: dict) -> SliceStates:
    if data["version"] != VERSION or data["axis"] not in AXES:
        return SliceStates()
    direction, first, last, model, window, *later = data["settings"]
    zoom = str(later[0]) if later else ZOOM_OFF  # versions before there was a choice wrote none
    return SliceStates(
        axis=data["axis"],
        lattice=int(data["lattice"]),
        settings=(str(direction), int(first), int(last), str(model), str(window), zoom),
        propagated=_indices(data["propagated"]),
        edited=_indices(data["edited"]),
        locked=_indices(data["locked"]),
        pending=_indices(data["pending"]),
        provisional=_indices(data.get("provisional", [])),
        evidence={int(index): _evidence(*one) for index, one in data["evidence"].items()},
        bases={int(index): from_jsonable(one, MaskRegion) for index, one in data["bases"].items()},
        answered={int(index): int(one) for index, one in data["answered"].items()},
        marks={int(index): int(one) for index, one in data["marks"].items()},
    )


def _evidence(score, iou, agreement) -> Evidence:
    return float(score), float(iou), None if agreement is None else float(agreement)


def _rounded(one: Evidence) -> list:
    return [None if value is None else round(value, 3) for value in one]


def _ranges(indices: Slices) -> list[list[int]]:
    """First and last of every run of indices."""
    found: list[list[int]] = []
    for index in sorted(indices):
        if found and found[-1][1] == index - 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return found


def _indices(ranges: list) -> Slices:
    return frozenset(index for first, last in ranges for index in range(int(first), int(last) + 1))


def _without(values: Mapping, indices: Slices) -> dict:
    return {index: value for index, value in values.items() if index not in indices}
