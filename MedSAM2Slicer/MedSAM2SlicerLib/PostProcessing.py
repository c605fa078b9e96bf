"""Tidying up the chosen lesion: one function of `PostProcess` on its voxels, as one step that can be taken back.

Slices that are to stay as they are (`keptSlices`, axis and index in the volume) are put back afterwards. What changed
is said in millilitres; a change that would leave nothing is refused.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Callable

import numpy as np
from slicer.i18n import tr as _

from medsam2_protocol.prompts import AXES, BoxPrompt, LassoPrompt, MaskPrompt, PointPrompt, axis_ijk, shows_object
from medsam2_protocol.strokes import lasso_interior
from MedSAM2SlicerLib import CorrectionSentences
from MedSAM2SlicerLib.ApprovedState import isApproved
from MedSAM2SlicerLib.Geometry import NotALattice, ijkToSegmentation
from MedSAM2SlicerLib.LesionTable import volumeText
from MedSAM2SlicerLib.Measures import axialAxis, cropped
from MedSAM2SlicerLib.PackedLabelmap import NOTHING, PackedLabelmap, packSegment, restoreSegment
from MedSAM2SlicerLib.PostProcess import (
    fillHoles,
    keepTouched,
    padded,
    removeIslands,
    smooth,
    smoothingMargin,
    withSlicesOf,
)
from MedSAM2SlicerLib.PromptMarkups import readPrompt

# Smoothing takes some 0.2 s for a million voxels of the box around the lesion, in which Slicer stands still.
MOST_SMOOTHED_VOXELS = 4_000_000
Slices = Iterable[tuple[str, int]]


class CannotPostProcess(ValueError):
    """Nothing was changed; the sentence says why and what to do."""


@dataclass(frozen=True)
class Box:
    """The box around a segment: `mask_kji`, the index of its first voxel, and its lattice in the node's own RAS."""

    mask_kji: np.ndarray
    start_ijk: tuple[int, int, int]
    image_to_ras: np.ndarray

    @property
    def spacing_kji(self) -> tuple[float, float, float]:
        i, j, k = np.linalg.norm(self.image_to_ras[:3, :3], axis=0)
        return float(k), float(j), float(i)

    @property
    def voxel_ml(self) -> float:
        return abs(float(np.linalg.det(self.image_to_ras[:3, :3]))) / 1000.0

    def larger(self, margin_kji: tuple[int, ...]) -> Box:
        start = tuple(first - margin for first, margin in zip(self.start_ijk, reversed(margin_kji)))
        return Box(padded(self.mask_kji, margin_kji), start, self.image_to_ras)


class PostProcessing:
    """Works on what the controller has chosen; every method is one button."""

    def __init__(self, controller) -> None:
        self._controller = controller

    def fillHoles(self, keptSlices: Slices = ()) -> None:
        """In the slices nearest to axial."""
        self._run(_("holes filled"), lambda box: (box, fillHoles(box.mask_kji, _axial(box))), keptSlices)

    def keepPrompted(self, keptSlices: Slices = ()) -> None:
        self._run(_("parts without a prompt removed"), self._onlyPrompted, keptSlices)

    def removeIslands(self, smallest_ml: float, keptSlices: Slices = ()) -> None:
        """Parts smaller than that go."""

        def change(box: Box) -> tuple[Box, np.ndarray]:
            return box, removeIslands(box.mask_kji, smallest_ml / box.voxel_ml - 1e-6)

        self._run(_("islands removed"), change, keptSlices)

    def smooth(self, size_mm: float, keptSlices: Slices = ()) -> None:
        """The volume stays as it is."""

        def change(box: Box) -> tuple[Box, np.ndarray]:
            room = box.larger(smoothingMargin(box.spacing_kji, size_mm))
            if room.mask_kji.size > MOST_SMOOTHED_VOXELS:
                raise CannotPostProcess(
                    _("This lesion is too large to be smoothed here: use the Segment Editor for it.")
                )
            return room, smooth(room.mask_kji, room.spacing_kji, size_mm)

        self._run(_("surface smoothed"), change, keptSlices)

    # ---- private

    def _run(self, title: str, change: Callable[[Box], tuple[Box, np.ndarray]], keptSlices: Slices) -> None:
        news = self._controller.news
        try:
            before_ml, after_ml = self._change(title, change, keptSlices)
        except CannotPostProcess as reason:
            news.say(str(reason), isError=True)
            return
        sentence = _("{change}: {before} → {after}. Ctrl+Z takes it back.")
        what = title[:1].upper() + title[1:]
        news.say(sentence.format(change=what, before=volumeText(before_ml), after=volumeText(after_ml)))

    def _change(self, title: str, change: Callable, keptSlices: Slices) -> tuple[float, float]:
        controller, choice = self._controller, self._controller.choice
        if controller.isPropagating:
            raise CannotPostProcess(_("Wait for the propagation, or cancel it, before you change the lesion."))
        controller.previewing.stop()
        segmentationNode, segmentId = choice.segmentationNode, choice.segmentId
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId) if segmentationNode is not None else None
        if isApproved(segment):
            raise CannotPostProcess(CorrectionSentences.isApproved())
        before = packSegment(segmentationNode, segmentId) if segment is not None else NOTHING
        if not before.bits:
            raise CannotPostProcess(_("This lesion is empty: there is nothing to change."))
        box, changed = change(unpacked(before))
        for axis, index in keptSlices:
            changed = withSlicesOf(box.mask_kji, changed, axis, [index - box.start_ijk[axis_ijk(axis)]])
        if not changed.any():
            raise CannotPostProcess(_("That would leave nothing of this lesion, so nothing was changed."))
        if np.array_equal(changed, box.mask_kji):
            raise CannotPostProcess(_("There is nothing to change: the lesion is like that already."))
        restoreSegment(segmentationNode, segmentId, packed(Box(changed, box.start_ijk, box.image_to_ras)))
        controller.history.segmentChanged(title, before)
        return tuple(np.count_nonzero(mask) * box.voxel_ml for mask in (box.mask_kji, changed))

    def _onlyPrompted(self, box: Box) -> tuple[Box, np.ndarray]:
        choice = self._controller.choice
        prompts = [prompt for prompt in map(readPrompt, choice.promptNodes()) if prompt is not None]
        positions = [positionsOf(prompt) for prompt in prompts if shows_object(prompt)]
        if not positions:
            raise CannotPostProcess(_("This lesion has no prompt in it: draw a box (B) or click into the part (P)."))
        try:
            lattice = ijkToSegmentation(choice.volumeNode, choice.segmentationNode)
        except NotALattice:
            raise CannotPostProcess(_("The lesion and the volume are under different non-linear transforms.")) from None
        to_ras = np.array([[lattice.GetElement(row, column) for column in range(4)] for row in range(4)])
        to_box = np.linalg.inv(box.image_to_ras) @ to_ras
        ijk = np.concatenate(positions) @ to_box[:3, :3].T + to_box[:3, 3] - box.start_ijk
        return box, keepTouched(box.mask_kji, np.floor(ijk[:, ::-1] + 0.5).astype(int))


def unpacked(packedLabelmap: PackedLabelmap) -> Box:
    extent = packedLabelmap.extent
    shape = tuple(extent[low + 1] - extent[low] + 1 for low in (4, 2, 0))
    bits = np.unpackbits(np.frombuffer(zlib.decompress(packedLabelmap.bits), np.uint8), count=math.prod(shape))
    return Box(bits.reshape(shape).astype(bool), extent[::2], np.array(packedLabelmap.image_to_ras))


def packed(box: Box) -> PackedLabelmap:
    """Only the box around what is set, as the segment is packed from the scene."""
    inner, first = cropped(box.mask_kji)
    start = [int(one + other) for one, other in zip(box.start_ijk, first)]
    extent = tuple(value for axis in range(3) for value in (start[axis], start[axis] + inner.shape[2 - axis] - 1))
    rows = tuple(tuple(float(value) for value in row) for row in box.image_to_ras)
    return PackedLabelmap(rows, extent, zlib.compress(np.packbits(inner).tobytes(), 1))


def positionsOf(prompt) -> np.ndarray:
    """Where a prompt says that the object is, IJK (N, 3): the voxels of a box, lasso or mask, the line of a stroke."""
    if isinstance(prompt, PointPrompt):
        return np.array([prompt.ijk], float)
    if isinstance(prompt, MaskPrompt):
        return (np.argwhere(prompt.region.voxels()) + prompt.region.start_kji)[:, ::-1].astype(float)
    if isinstance(prompt, BoxPrompt):
        low, high = np.floor(np.array(prompt.min) + 0.5), np.floor(np.array(prompt.max) + 0.5)
        grid = np.meshgrid(*[np.arange(first, last + 1) for first, last in zip(low, high)], indexing="ij")
        pairs = np.stack(grid, axis=-1).reshape(-1, 2)
    elif isinstance(prompt, LassoPrompt):
        most = np.ceil(np.max(prompt.path, axis=0)).astype(int) + 1
        pairs = np.argwhere(lasso_interior(prompt.path, (int(most[1]), int(most[0]))))[:, ::-1].astype(float)
    else:
        pairs = np.array(prompt.path, float)
    return np.insert(pairs, axis_ijk(prompt.axis), prompt.slice, axis=1)


def _axial(box: Box) -> str:
    return AXES[axialAxis(box.image_to_ras[:3, :3])]
