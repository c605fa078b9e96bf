"""A picture of a result: each segment on the prompted slice and half-way to both of its ends, with its prompts.

For the reader of a report: true proportions, radiological orientation (`slice_view`), and the intensities that a person
would look at. matplotlib is an extra of the package and imported only when a picture is drawn.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medsam2_engine.atomic_file import check_writable, replacing
from medsam2_engine.errors import UnwritableResult
from medsam2_engine.intensity import apply_window, default_window
from medsam2_engine.slice_view import SliceView, plane_axes, view_of_slices
from medsam2_engine.volume import Volume
from medsam2_protocol.messages import Window
from medsam2_protocol.prompts import (
    BoxPrompt,
    LassoPrompt,
    MaskPrompt,
    PointPrompt,
    Prompt,
    ScribblePrompt,
    axis_kji,
    slice_of_prompt,
)

ENDINGS = (".png", ".pdf", ".svg")
PANEL, HEADER, GAP = 3.2, 0.36, 0.05  # inches
DPI = 150
MARGIN, SMALLEST_MM = 0.5, 25.0
POSITIVE, NEGATIVE = "#5fd35f", "#ff5a4f"


@dataclass(frozen=True)
class PicturedSegment:
    """A segment to draw; `mask_kji` is bool and has the volume's shape, `color` is red, green, blue from 0 to 1."""

    name: str
    color: tuple[float, float, float]
    axis: str
    prompts: tuple[Prompt, ...]
    mask_kji: npt.NDArray[np.bool_]


def check_picture_path(path: Path) -> None:
    """Find out before a long computation whether the picture can be drawn and written.

    Raises:
        UnwritableResult: matplotlib is not installed, not an ending that can be drawn, or see `check_writable`.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UnwritableResult('Pictures need matplotlib. Install it: pip install "medsam2slicer-engine[pictures]"')
    if path.suffix.lower() not in ENDINGS:
        raise UnwritableResult(f"{path.name} is no kind of picture that can be drawn. Use {', '.join(ENDINGS)}.")
    check_writable(path)


def write_picture(
    path: Path, volume: Volume, segments: Sequence[PicturedSegment], model_name: str, window: Window | None = None
) -> None:
    """Draw one row of up to three slices for each segment; one without voxels shows its prompts alone.

    Raises:
        UnwritableResult: see `check_picture_path`.
    """
    check_picture_path(path)
    from matplotlib.figure import Figure

    columns = max(len(slices_to_show(segment)) for segment in segments)
    width, row = columns * (PANEL + GAP) - GAP, HEADER + PANEL + GAP
    figure = Figure(figsize=(width, len(segments) * row - GAP), dpi=DPI, facecolor="white")
    for number, segment in enumerate(segments):
        top = figure.get_figheight() - number * row
        _draw_segment(_Canvas(figure), top, volume, segment, model_name, window or default_window(volume))
    with replacing(path) as temporary:
        figure.savefig(temporary)


def slices_to_show(segment: PicturedSegment) -> list[int]:
    """The prompted slice (of several the one with most voxels), between one half-way to each end of the segment."""
    areas = np.moveaxis(segment.mask_kji, axis_kji(segment.axis), 0).sum(axis=(1, 2))
    prompted = max(_prompted_slices(segment), key=lambda index: int(areas[index]))
    occupied = np.flatnonzero(areas)
    halfway = {(prompted + int(end)) // 2 for end in occupied[[0, -1]]} if occupied.size else set()
    return sorted(halfway | {prompted})


@dataclass(frozen=True)
class _Canvas:
    """A figure whose parts are placed in inches from its lower left corner."""

    figure: Any

    def panel(self, left: float, bottom: float) -> Any:
        width, height = self.figure.get_size_inches()
        panel = self.figure.add_axes((left / width, bottom / height, PANEL / width, PANEL / height))
        panel.set(xticks=[], yticks=[], facecolor="black")
        panel.spines[:].set_visible(False)
        return panel

    def text(self, left: float, bottom: float, text: str, **style: Any) -> None:
        width, height = self.figure.get_size_inches()
        self.figure.text(left / width, bottom / height, text, va="center", **style)


def _draw_segment(
    canvas: _Canvas, top: float, volume: Volume, segment: PicturedSegment, model_name: str, window: Window
) -> None:
    shown = slices_to_show(segment)
    view = _view(volume, segment, shown)
    for number, index in enumerate(shown):
        panel = canvas.panel(number * (PANEL + GAP), top - HEADER - PANEL)
        _draw_slice(panel, volume, segment, view, index, window)
    ml = int(segment.mask_kji.sum()) * volume.voxel_ml
    width = canvas.figure.get_figwidth()
    canvas.text(0.06, top - HEADER / 2, _shortened(segment.name, int(9 * width - 20)), fontsize=11, weight="bold")
    canvas.text(
        width - 0.06, top - HEADER / 2, f"{three_digits(ml)} ml · {model_name}", fontsize=9, ha="right", color="#444444"
    )


def _view(volume: Volume, segment: PicturedSegment, shown: Sequence[int]) -> SliceView:
    """Around all that is drawn on the shown slices."""
    along = axis_kji(segment.axis)
    outline = np.take(segment.mask_kji, shown, along).any(axis=along)
    corners = [np.argwhere(outline)[:, ::-1].astype(np.float64)] if outline.any() else []
    corners += [
        _plane_corners(prompt, segment.axis)
        for prompt in segment.prompts
        if slice_of_prompt(prompt, segment.axis) in shown
    ]
    all_corners = np.concatenate(corners)
    return view_of_slices(volume, segment.axis, all_corners.min(0), all_corners.max(0), MARGIN, SMALLEST_MM)


def _draw_slice(
    panel: Any, volume: Volume, segment: PicturedSegment, view: SliceView, index: int, window: Window
) -> None:
    pixels = apply_window(view.image(volume.voxels_kji, index).astype(np.float32), window)
    is_pet = volume.modality.upper() in ("PT", "PET")
    extent = view.edges_mm(volume.voxels_kji)
    panel.imshow(
        pixels,
        cmap="gray_r" if is_pet else "gray",
        vmin=0,
        vmax=1,
        extent=extent,
        origin="lower",
        interpolation="bilinear",
    )
    _draw_contour(panel, view, np.take(segment.mask_kji, index, axis_kji(segment.axis)), segment.color, "solid")
    prompts = [prompt for prompt in segment.prompts if slice_of_prompt(prompt, segment.axis) == index]
    for prompt in prompts:
        _draw_prompt(panel, view, prompt)
    panel.set(xlim=view.x_limits, ylim=view.y_limits)
    _label(
        panel, 0.03, 0.97, f"{segment.axis} {index}" + (" · prompt" if prompts else ""), ha="left", va="top", fontsize=9
    )
    if min(volume.shape_kji) > 1:
        _draw_frame_of_reference(panel, view)


def _draw_contour(
    panel: Any, view: SliceView, mask: npt.NDArray[np.bool_], color: Any, style: str, width: float = 1.8
) -> None:
    """Around a mask (rows along the later in-plane axis), over a dark line that keeps it visible on bright tissue."""
    if not mask.any():
        return
    padded = np.pad(mask, 1).astype(np.float32)
    later, earlier = np.meshgrid(*(np.arange(size) - 1.0 for size in padded.shape), indexing="ij")
    screen = view.on_screen(np.stack([earlier, later], axis=-1))
    for line_color, line_width in (("black", width + 1.4), (color, width)):
        panel.contour(
            screen[..., 0], screen[..., 1], padded, [0.5], colors=[line_color], linewidths=line_width, linestyles=style
        )


def _draw_prompt(panel: Any, view: SliceView, prompt: Prompt) -> None:
    corners = view.on_screen(_plane_corners(prompt, view.axis))
    if isinstance(prompt, PointPrompt):
        color, sign = (POSITIVE, "+") if prompt.positive else (NEGATIVE, "x")
        panel.plot(*corners[0], sign, color="black", markersize=11, markeredgewidth=4)
        panel.plot(*corners[0], sign, color=color, markersize=10, markeredgewidth=2)
    elif isinstance(prompt, BoxPrompt):
        (left, bottom), (right, top) = corners
        xs, ys = [left, right, right, left, left], [bottom, bottom, top, top, bottom]
        panel.plot(xs, ys, color="black", linewidth=2.2, alpha=0.6)
        panel.plot(xs, ys, color="white", linewidth=1.2, dashes=(5, 3))
    elif isinstance(prompt, (ScribblePrompt, LassoPrompt)):
        is_negative = isinstance(prompt, ScribblePrompt) and not prompt.positive
        path = np.vstack([corners, corners[:1]]) if isinstance(prompt, LassoPrompt) else corners
        panel.plot(*path.T, color="black", linewidth=3.0, alpha=0.6)
        panel.plot(*path.T, color=NEGATIVE if is_negative else POSITIVE, linewidth=1.6)
    else:
        _draw_contour(panel, view, _plane_mask(prompt), "white", "dashed", 1.0)


def _draw_frame_of_reference(panel: Any, view: SliceView) -> None:
    """Anatomical directions, and a bar of a round number of millimetres."""
    left, right, _, top = view.letters
    _label(panel, 0.02, 0.5, left, ha="left", va="center")
    _label(panel, 0.98, 0.5, right, ha="right", va="center")
    _label(panel, 0.5, 0.98, top, ha="center", va="top")
    side = abs(view.x_limits[1] - view.x_limits[0])
    length = max((mm for mm in (1, 2, 5, 10, 20, 50, 100) if mm <= side / 3), default=1)
    for color, width in (("black", 4.0), ("white", 2.2)):
        panel.plot([0.97 - length / side, 0.97], [0.03, 0.03], color=color, linewidth=width, transform=panel.transAxes)
    _label(panel, 0.97 - length / side / 2, 0.04, f"{length} mm", ha="center", va="bottom")


def _label(panel: Any, x: float, y: float, text: str, fontsize: float = 8, **style: Any) -> None:
    from matplotlib.patheffects import withStroke

    outline = [withStroke(linewidth=2, foreground="black")]
    panel.text(x, y, text, transform=panel.transAxes, color="white", fontsize=fontsize, path_effects=outline, **style)


def _plane_corners(prompt: Prompt, axis: str) -> npt.NDArray[np.float64]:
    """Corners (n, 2) of a prompt in the plane; a box reaches to the outer edges of its voxels, a stroke is its path."""
    if isinstance(prompt, PointPrompt):
        return np.array([[prompt.ijk[n] for n in plane_axes(axis)]])
    if isinstance(prompt, BoxPrompt):
        return np.array([np.subtract(prompt.min, 0.5), np.add(prompt.max, 0.5)])
    if isinstance(prompt, (ScribblePrompt, LassoPrompt)):
        return np.array(prompt.path, np.float64)
    start, stop = prompt.region.start_kji[::-1], prompt.region.stop_kji[::-1]
    return np.array([[corner[n] for n in plane_axes(axis)] for corner in (start, np.subtract(stop, 1))], np.float64)


def _plane_mask(prompt: MaskPrompt) -> npt.NDArray[np.bool_]:
    """The mask on its slice, from the plane's first voxel to the mask's last."""
    whole = np.zeros(prompt.region.stop_kji, dtype=bool)
    prompt.region.paste_into(whole)
    return np.asarray(np.take(whole, prompt.slice, axis_kji(prompt.axis)))


def _prompted_slices(segment: PicturedSegment) -> list[int]:
    return sorted({slice_of_prompt(prompt, segment.axis) for prompt in segment.prompts})


def three_digits(value: float) -> str:
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{decimals}f}"


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
