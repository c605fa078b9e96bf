"""`medsam2 segment`: a volume and prompts in, a segmentation out.

Everything that can be refused is refused before the model is loaded: arguments, places to write, volume, prompts.
torch is imported only after that.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from medsam2_engine.atomic_file import check_writable, replacing
from medsam2_engine.exit_codes import ExitCode, run_guarded
from medsam2_engine.interruption import interruptible
from medsam2_engine.models import find_checkpoint, find_model
from medsam2_engine.picture import PicturedSegment, check_picture_path, write_picture
from medsam2_engine.progress_bar import ProgressBar
from medsam2_engine.prompt_file import SegmentJob, parse_prompts, read_prompt_file
from medsam2_engine.segment_arguments import MODALITIES, parse_arguments
from medsam2_engine.segmentation_file import Segment, check_result_path, write_segmentation
from medsam2_engine.volume import Volume, read_volume
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import SegmentPrompts, axis_kji

if TYPE_CHECKING:
    from medsam2_engine.propagation import SliceMask

REPORT_VERSION = 1


class Propagating(Protocol):
    """The part of a session that this command needs."""

    @property
    def encoded(self) -> int: ...

    def propagate(
        self,
        segments: Sequence[SegmentPrompts],
        axis: str,
        slice_range: tuple[int, int] | None = None,
        window: Window | None = None,
        is_cancelled: Callable[[], bool] = ...,
        *,
        zoom: str = ...,
        progressive: bool = ...,
    ) -> Iterator[SliceMask]: ...


@dataclass(frozen=True)
class OpenedModel:
    """A model that has seen the volume; `device` is what it computes on, in words."""

    session: Propagating
    device: str


OpenModel = Callable[[Volume, str, str], OpenedModel]


@dataclass(frozen=True)
class Result:
    """What a run has computed: one mask (KJI, bool) for every job, and what it cost.

    first_look_seconds: until all provisional masks were there; None without any.
    """

    masks_kji: tuple[npt.NDArray[np.bool_], ...]
    slices: int
    seconds: float
    encoded: int
    device: str
    first_look_seconds: float | None


def open_model(volume: Volume, model_id: str, device: str) -> OpenedModel:
    """Load a model of the list; the only place of the command that needs torch."""
    from medsam2_engine.backends.load import load_backend
    from medsam2_engine.session import Session

    backend = load_backend(model_id, device)
    return OpenedModel(Session(volume, backend), backend.device_name)


def open_like_medsam2(volume: Volume, model_id: str, device: str) -> OpenedModel:
    """Load a model to be driven as MedSAM2's own script does."""
    from medsam2_engine.backends.load import load_backend
    from medsam2_engine.like_medsam2 import MedSam2Driver

    backend = load_backend(model_id, device)
    return OpenedModel(MedSam2Driver(volume, backend), backend.device_name)


def main(argv: Sequence[str], open_model: OpenModel = open_model) -> int:
    arguments = parse_arguments(argv)
    opener = open_like_medsam2 if arguments.like else open_model
    return run_guarded(lambda: _run(arguments, opener), arguments.debug)


def _run(arguments: argparse.Namespace, open_model: OpenModel) -> ExitCode:
    _check_places(arguments)
    find_checkpoint(find_model(arguments.model))
    volume = read_volume(arguments.volume, MODALITIES.get(arguments.modality, ""))
    jobs = _jobs(arguments, volume)
    with interruptible() as is_cancelled:
        opened = open_model(volume, arguments.model, arguments.device)
        result = _segment(opened, volume, jobs, arguments, is_cancelled)
        if is_cancelled():
            raise KeyboardInterrupt
    if not arguments.quiet:
        print(_summary(result, jobs, volume, arguments.model))
    if arguments.report:
        _write_report(arguments, result, jobs, volume)
    return _write_results(arguments, result, jobs, volume)


def _check_places(arguments: argparse.Namespace) -> None:
    check_result_path(arguments.output)
    if arguments.picture:
        check_picture_path(arguments.picture)
    if arguments.report:
        check_writable(arguments.report)


def _jobs(arguments: argparse.Namespace, volume: Volume) -> tuple[SegmentJob, ...]:
    if arguments.prompts:
        return read_prompt_file(arguments.prompts, volume)
    return parse_prompts(arguments.by_hand, volume, Path())


def _segment(
    opened: OpenedModel,
    volume: Volume,
    jobs: Sequence[SegmentJob],
    arguments: argparse.Namespace,
    is_cancelled: Callable[[], bool],
) -> Result:
    start = time.perf_counter()
    masks = {job.prompts.segment_id: np.zeros(volume.shape_kji, bool) for job in jobs}
    names = {job.prompts.segment_id: job.name for job in jobs}
    seen = set()
    first_look_seconds = None
    how = (arguments.window, is_cancelled)
    more = {"zoom": arguments.zoom, "progressive": arguments.progressive}
    with ProgressBar(sys.stderr, _known_total(jobs), not arguments.quiet) as progress:
        for axis, slice_range, segments in _passes(jobs):
            for found in opened.session.propagate(segments, axis, slice_range, *how, **more):
                np.moveaxis(masks[found.segment_id], axis_kji(axis), 0)[found.slice] = found.mask
                if found.is_provisional:
                    first_look_seconds = time.perf_counter() - start
                    continue
                if (found.segment_id, found.slice) not in seen:  # between two prompts a slice is found twice
                    progress.advance(f"{names[found.segment_id]}, slice {axis} {found.slice}")
                seen.add((found.segment_id, found.slice))
    seconds = time.perf_counter() - start
    cost = (len(seen), seconds, opened.session.encoded, opened.device, first_look_seconds)
    return Result(tuple(masks.values()), *cost)


def _passes(
    jobs: Sequence[SegmentJob],
) -> Iterator[tuple[str, tuple[int, int] | None, tuple[SegmentPrompts, ...]]]:
    """Segments with the same axis and range go together, so that they can share what is computed of a slice."""
    for axis, slice_range in dict.fromkeys((job.axis, job.slice_range) for job in jobs):
        together = tuple(job.prompts for job in jobs if (job.axis, job.slice_range) == (axis, slice_range))
        yield axis, slice_range, together


def _known_total(jobs: Sequence[SegmentJob]) -> int | None:
    """Slices to compute, if every segment says where it ends."""
    ranges = [job.slice_range for job in jobs]
    return None if None in ranges else sum(last - first + 1 for first, last in filter(None, ranges))


def _write_results(
    arguments: argparse.Namespace, result: Result, jobs: Sequence[SegmentJob], volume: Volume
) -> ExitCode:
    """Nothing is written if nothing was found: an empty file would look like a result."""
    pairs = list(zip(jobs, result.masks_kji, strict=True))
    for job, mask in pairs:
        if not mask.any():
            print(f"medsam2: no object was found for {job.name}. Check its prompts, or add a point.", file=sys.stderr)
    if not any(mask.any() for mask in result.masks_kji):
        print("medsam2: nothing was written.", file=sys.stderr)
        return ExitCode.NOTHING_FOUND
    segments = [Segment(job.name, job.color, mask) for job, mask in pairs]
    write_segmentation(arguments.output, segments, volume.ijk_to_ras)
    if arguments.picture:
        pictured = [PicturedSegment(job.name, job.color, job.axis, job.prompts.prompts, mask) for job, mask in pairs]
        write_picture(arguments.picture, volume, pictured, arguments.model, arguments.window)
    return ExitCode.OK


def _summary(result: Result, jobs: Sequence[SegmentJob], volume: Volume, model_id: str) -> str:
    width = max(len(job.name) for job in jobs)
    lines = []
    for job, mask in zip(jobs, result.masks_kji, strict=True):
        extent = _first_and_last(mask, job.axis)
        place = f"slices {job.axis} {extent[0]} to {extent[1]}" if extent else "no object found"
        lines.append(f"{job.name:<{width}}  {_millilitres(mask, volume):8.2f} ml  {place}")
    lines.append(
        f"{result.slices} slices in {result.seconds:.2f} s, {_seconds_per_slice(result):.3f} s per slice, "
        f"model {model_id} on {result.device}"
    )
    return "\n".join(lines)


def _write_report(arguments: argparse.Namespace, result: Result, jobs: Sequence[SegmentJob], volume: Volume) -> None:
    window = arguments.window
    report: dict[str, Any] = {
        "version": REPORT_VERSION,
        "volume": str(arguments.volume),
        "model": arguments.model,
        "device": result.device,
        "zoom": arguments.zoom,
        "window": [window.lower, window.upper] if window else None,
        "seconds": round(result.seconds, 3),
        "seconds_per_slice": round(_seconds_per_slice(result), 4),
        "first_look_seconds": None if result.first_look_seconds is None else round(result.first_look_seconds, 3),
        "slices": result.slices,
        "encoded": result.encoded,
        "segments": [
            {
                "name": job.name,
                "axis": job.axis,
                "range": job.slice_range,
                "slices": _first_and_last(mask, job.axis),
                "voxels": int(mask.sum()),
                "millilitres": round(_millilitres(mask, volume), 4),
            }
            for job, mask in zip(jobs, result.masks_kji, strict=True)
        ],
    }
    with replacing(arguments.report) as temporary:
        temporary.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _first_and_last(mask_kji: npt.NDArray[np.bool_], axis: str) -> tuple[int, int] | None:
    occupied = np.flatnonzero(np.moveaxis(mask_kji, axis_kji(axis), 0).any(axis=(1, 2)))
    return (int(occupied[0]), int(occupied[-1])) if occupied.size else None


def _millilitres(mask_kji: npt.NDArray[np.bool_], volume: Volume) -> float:
    return int(mask_kji.sum()) * volume.voxel_ml


def _seconds_per_slice(result: Result) -> float:
    return result.seconds / max(result.slices, 1)
