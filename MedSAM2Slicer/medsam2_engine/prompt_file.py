"""The prompt file: segments, their prompts and ranges as JSON, version 1 (docs/prompts.md).

A file that was once valid stays valid: a change that would read it differently gets another version. Reading is strict,
because a misspelt key that is ignored is a prompt that is missing. Everything is checked against the volume here, so
that what comes out can be computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam2_engine.errors import BadRequest, UnreadableVolume
from medsam2_engine.json_fields import choice_of, fields_of, index_of, list_of, numbers_of, parse_json, text_of
from medsam2_engine.prompt_entry import COORDINATES, PromptSpace, check_slice, read_prompt
from medsam2_engine.volume import Volume
from medsam2_protocol.prompts import AXES, PointPrompt, Prompt, SegmentPrompts, shows_object, slice_of_prompt

VERSION = 1
Color = tuple[float, float, float]
# Told apart by colour-blind readers too (Okabe and Ito), and bright on grey images.
COLORS: tuple[Color, ...] = (
    (0.90, 0.62, 0.00),
    (0.34, 0.71, 0.91),
    (0.00, 0.62, 0.45),
    (0.94, 0.89, 0.26),
    (0.84, 0.37, 0.00),
    (0.80, 0.47, 0.65),
    (0.00, 0.45, 0.70),
)


@dataclass(frozen=True)
class SegmentJob:
    """One segment to compute: along `axis`, within `slice_range` (first, last) or, without one, until it ends.

    `color` is red, green, blue from 0 to 1.
    """

    name: str
    prompts: SegmentPrompts
    axis: str
    slice_range: tuple[int, int] | None
    color: Color


def read_prompt_file(path: Path, volume: Volume) -> tuple[SegmentJob, ...]:
    """The segments of a prompt file for that volume. Paths of masks are relative to the file.

    Raises:
        UnreadableVolume: the file, or a mask it names, cannot be read.
        BadRequest: it is no prompt file of a version we know, or does not fit the volume.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UnreadableVolume(f"The prompt file {path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path} is no prompt file: it is not UTF-8 text.") from error
    return parse_prompts(parse_json(text, str(path)), volume, path.parent)


def parse_prompts(data: object, volume: Volume, folder: Path) -> tuple[SegmentJob, ...]:
    """The segments of a prompt file that is already parsed as JSON; `folder` is where its masks lie.

    Raises:
        BadRequest, UnreadableVolume: see `read_prompt_file`.
    """
    document = fields_of(data, "the prompt file", ("segments",), ("version", "coordinates"))
    version = document.get("version", VERSION)
    if index_of(version, "version") != VERSION:
        raise BadRequest(
            f"This is a prompt file of version {version}; this program reads version {VERSION}. Update it."
        )
    coordinates = choice_of(document.get("coordinates", "IJK"), COORDINATES, "coordinates")
    space = PromptSpace(volume, coordinates, folder)
    entries = list_of(document["segments"], "segments")
    jobs = tuple(_segment(entry, number, space) for number, entry in enumerate(entries))
    _check_unique([job.name for job in jobs])
    return jobs


def _segment(data: object, number: int, space: PromptSpace) -> SegmentJob:
    place = f"segment {number + 1}"
    entry = fields_of(data, place, ("name", "prompts"), ("axis", "color", "range"))
    name = text_of(entry["name"], f"{place}, name")
    where = f'segment "{name}"'
    prompts = tuple(
        read_prompt(prompt, f"{where}, prompt {index + 1}", space)
        for index, prompt in enumerate(list_of(entry["prompts"], f"{where}, prompts"))
    )
    axis = _axis(entry, prompts, where)
    _check_shows_object(prompts, where)
    slice_range = _range(entry.get("range"), axis, prompts, space.volume, where)
    segment = SegmentPrompts(f"segment_{number + 1}", prompts)
    return SegmentJob(name, segment, axis, slice_range, _color(entry, number, where))


def _axis(entry: dict[str, Any], prompts: Sequence[Prompt], where: str) -> str:
    """The axis that the segment's boxes, strokes and masks agree on; points fit every axis."""
    named = {prompt.axis for prompt in prompts if not isinstance(prompt, PointPrompt)}
    if entry.get("axis") is not None:
        named.add(choice_of(entry["axis"], AXES, f"{where}, axis"))
    if len(named) > 1:
        raise BadRequest(
            f"{where} has the slice axes {' and '.join(sorted(named))}. A segment is propagated along one axis: "
            "give all of its boxes, strokes and masks the same one."
        )
    return named.pop() if named else "K"


def _check_shows_object(prompts: Sequence[Prompt], where: str) -> None:
    if not any(shows_object(prompt) for prompt in prompts):
        raise BadRequest(f"{where} has negative points only. Add a box, a mask or a positive point.")


def _range(value: object, axis: str, prompts: Sequence[Prompt], volume: Volume, where: str) -> tuple[int, int] | None:
    if value is None:
        return None
    entries = list_of(value, f"{where}, range")
    if len(entries) != 2:
        raise BadRequest(f"{where}, range: two slices [first, last] were expected, not {len(entries)} values.")
    first, last = (index_of(entry, f"{where}, range") for entry in entries)
    check_slice(axis, first, volume, f"{where}, range")
    check_slice(axis, last, volume, f"{where}, range")
    if first > last:
        raise BadRequest(f"{where}, range: the first slice {first} comes after the last slice {last}.")
    for number, prompt in enumerate(prompts):
        if not first <= slice_of_prompt(prompt, axis) <= last:
            raise BadRequest(
                f"{where}, prompt {number + 1} is on slice {slice_of_prompt(prompt, axis)} of axis {axis}, outside the "
                f"segment's range {first} to {last}. Widen the range or move the prompt."
            )
    return first, last


def _color(entry: dict[str, Any], number: int, where: str) -> Color:
    if entry.get("color") is None:
        return COLORS[number % len(COLORS)]
    red, green, blue = numbers_of(entry["color"], 3, f"{where}, color")
    if min(red, green, blue) < 0 or max(red, green, blue) > 1:
        raise BadRequest(f"{where}, color: red, green and blue go from 0 to 1.")
    return red, green, blue


def _check_unique(names: Sequence[str]) -> None:
    repeated = [name for number, name in enumerate(names) if name in names[:number]]
    if repeated:
        raise BadRequest(f'Two segments are named "{repeated[0]}". Give every segment a name of its own.')
