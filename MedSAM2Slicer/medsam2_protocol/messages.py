"""Every message between the host (Slicer, the command line) and the worker. One JSON object a line, UTF-8.

The rules:
* The worker speaks first, with `Hello`. A host that knows another `PROTOCOL` says so and sends nothing.
* A request has an id of the host's choosing. It is answered by any number of events and exactly one end: `Done`,
  `Failed` or `Cancelled`, all carrying that id. `Cancel` and `Ping` are no requests: they have no end of their own.
* A volume is opened under an id that every later message repeats, so that a late event can never reach another volume.
* Requests are worked on one after the other, in the order of their arrival. `Cancel` and `Ping` are heard at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from medsam2_protocol.masks import MaskRegion
from medsam2_protocol.prompts import SegmentPrompts, _check_slice
from medsam2_protocol.tagged import tagged

PROTOCOL = 1
BOTH, UP, DOWN = DIRECTIONS = ("both", "up", "down")
SAM2, PRUNED, GATED = POLICIES = ("sam2", "pruned", "gated")
ZOOM_OFF, ZOOM_AUTO, ZOOM_ON = ZOOMS = ("off", "auto", "on")

Row = tuple[float, float, float, float]
Matrix = tuple[Row, Row, Row, Row]


@dataclass(frozen=True)
class ModelInfo:
    """One line of the model list: what a person needs to choose.

    `weights_bytes` are those of all that is loaded, 0 where nobody knows.
    """

    id: str
    title: str
    purpose: str
    licence: str
    installed: bool
    weights_bytes: int = 0


@dataclass(frozen=True)
class DeviceInfo:
    """A device the worker can compute on; `note` says in words why another one is not offered."""

    id: str
    title: str
    note: str


@dataclass(frozen=True)
class Window:
    """Intensities that become black and white, in the volume's own units (HU, SUV, ...)."""

    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise ValueError(f"a window needs lower < upper, not {self.lower} and {self.upper}")


# Field types are evaluated to read a message, on Python 3.9 too, where `int | None` is an error.
MaybeIndex = Optional[int]
MaybeNumber = Optional[float]
MaybeWindow = Optional[Window]


class Message:
    """Anything that may stand on a line."""


class Request(Message):
    """From the host; ends exactly once."""

    id: str


class Event(Message):
    """From the worker, about a request, before its end."""

    id: str


class End(Message):
    """From the worker: the last word on a request."""

    id: str


# ---- host to worker


@tagged("open_volume")
@dataclass(frozen=True)
class OpenVolume(Request):
    """Map a raw file of voxels (C order, KJI). It must stay where it is until `CloseVolume` has ended."""

    id: str
    volume_id: str
    path: str
    dtype: str
    shape_kji: tuple[int, int, int]
    ijk_to_ras: Matrix
    modality: str = ""


@tagged("close_volume")
@dataclass(frozen=True)
class CloseVolume(Request):
    """Forget a volume and everything computed from it."""

    id: str
    volume_id: str


@tagged("predict")
@dataclass(frozen=True)
class Predict(Request):
    """The mask of one slice from the prompts that lie on it: one `MaskChanged`.

    `zoom` is one of `ZOOMS`: whether a model of whole slices is shown a region around the object instead: always, or
    where the object is small.
    """

    id: str
    volume_id: str
    segment: SegmentPrompts
    axis: str
    slice: int
    model: str = "embedded"
    device: str = "auto"
    window: MaybeWindow = None
    zoom: str = ZOOM_OFF

    def __post_init__(self) -> None:
        _check_slice(self.axis, self.slice)
        _check_zoom(self.zoom)


@tagged("propagate")
@dataclass(frozen=True)
class Propagate(Request):
    """Masks of many slices: from every prompted slice outwards.

    `first` and `last` (both or none) are a range known to hold the object; without it, the propagation stops where the
    object ends. `direction` is "both", "up" (nothing below a segment's lowest prompted slice) or "down" (nothing above
    its highest); up is towards higher indices.

    `corrected` is a prompted or kept slice: only that slice, and what lies from there to the next prompted or kept one
    on each side (or to where the object, or the range, ends), is computed and sent. A slice beyond the end of the
    object is not sent, so what it holds of an earlier propagation is the host's to clear.

    `policy` is one of `POLICIES`: by which rule followed slices are remembered (docs/corrections.md). `zoom` is that of
    `Predict`.

    `progressive` asks for a first look before the masks: every fourth slice, and outlines between them, as provisional
    masks. The masks that follow are the same with it and without. A correction has no first look.
    """

    id: str
    volume_id: str
    segments: tuple[SegmentPrompts, ...]
    axis: str
    first: MaybeIndex = None
    last: MaybeIndex = None
    model: str = "embedded"
    device: str = "auto"
    window: MaybeWindow = None
    direction: str = BOTH
    corrected: MaybeIndex = None
    policy: str = SAM2
    zoom: str = ZOOM_OFF
    progressive: bool = False

    def __post_init__(self) -> None:
        _check_slice(self.axis, self.corrected or 0)
        _check_zoom(self.zoom)
        if self.direction not in DIRECTIONS:
            raise ValueError(f"the direction is one of {', '.join(DIRECTIONS)}, not {self.direction!r}")
        if (self.first is None) != (self.last is None):
            raise ValueError("a range needs a first and a last slice")
        if self.first is not None and self.last is not None and not 0 <= self.first <= self.last:
            raise ValueError(f"a range needs 0 <= first <= last, not {self.first} and {self.last}")


@tagged("prefetch")
@dataclass(frozen=True)
class Prefetch(Request):
    """Get ready for prompts on a slice and on its neighbours: load the model, encode what needs no prompt.

    It ends (`Done`, with the number of slices `encoded`) when there is nothing left to do, or as soon as any other
    request waits: send it when nothing else is going on, and again when something was.
    """

    id: str
    volume_id: str
    axis: str
    slice: int
    model: str = "embedded"
    device: str = "auto"
    window: MaybeWindow = None
    zoom: str = ZOOM_OFF

    def __post_init__(self) -> None:
        _check_slice(self.axis, self.slice)
        _check_zoom(self.zoom)


@tagged("cancel")
@dataclass(frozen=True)
class Cancel(Message):
    """Stop a request before its next slice, or before it starts. Without effect on one that has ended."""

    request_id: str


@tagged("ping")
@dataclass(frozen=True)
class Ping(Message):
    """Are you there? Answered at once, even while a request is being worked on."""

    number: int


# ---- worker to host


@tagged("hello")
@dataclass(frozen=True)
class Hello(Message):
    """The worker's first line."""

    protocol: int
    version: str
    models: tuple[ModelInfo, ...]
    prompt_types: tuple[str, ...]
    devices: tuple[DeviceInfo, ...]
    pid: int


@tagged("pong")
@dataclass(frozen=True)
class Pong(Message):
    """The answer to the `Ping` of the same number."""

    number: int


@tagged("progress")
@dataclass(frozen=True)
class Progress(Event):
    """`done` of `total` slices; `total` shrinks when the object ends early. `text` says what is going on."""

    id: str
    done: int
    total: int
    text: str


@tagged("mask_changed")
@dataclass(frozen=True)
class MaskChanged(Event):
    """The new content of one slice of one segment: exactly `region`, nothing else (an empty region: nothing at all).

    Between two prompted or kept slices it may be sent twice: as first seen from one of them, then as both directions
    together see it. The last word counts. `agreement` comes with that: the Dice of the two directions' masks, 0 to 1.

    A `provisional` mask belongs to the first look of a progressive propagation. Before `Done` another one comes for its
    slice, also where the object turns out to be absent; after `Cancelled` or `Failed` some may have had no other.
    """

    id: str
    volume_id: str
    segment_id: str
    axis: str
    slice: int
    region: MaskRegion
    object_score: float
    predicted_iou: float
    agreement: MaybeNumber = None
    provisional: bool = False


@tagged("done")
@dataclass(frozen=True)
class Done(End):
    """The request succeeded. `slices` masks were sent, provisional ones not counted; `encoded` images were encoded."""

    id: str
    seconds: float
    slices: int = 0
    encoded: int = 0
    device: str = ""


@tagged("failed")
@dataclass(frozen=True)
class Failed(End):
    """The request did not succeed; nothing that was sent before is taken back.

    `code` is for programs: bad_request, no_such_volume, no_such_model, no_such_device, unreadable, out_of_memory,
    internal, and from the client itself worker_died, worker_stuck, protocol_mismatch, not_started. `message` says what
    happened and what to do next.
    """

    id: str
    code: str
    message: str


@tagged("cancelled")
@dataclass(frozen=True)
class Cancelled(End):
    """The request was cancelled; masks sent before stay valid."""

    id: str


def _check_zoom(zoom: str) -> None:
    if zoom not in ZOOMS:
        raise ValueError(f"the zoom is one of {', '.join(ZOOMS)}, not {zoom!r}")
