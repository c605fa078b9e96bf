"""A line markup of the scene as a line on one slice of a volume, or a sentence why it is none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from slicer.i18n import tr as _

from medsam2_protocol.prompts import AXES
from MedSAM2SlicerLib.DiameterLines import DIAMETER_ATTRIBUTE
from MedSAM2SlicerLib.Geometry import VolumeFrame
from MedSAM2SlicerLib.Measures import axialAxis

SHORTEST_VOXELS = 2.0
# Ends that were set in one view differ by rounding only; half a slice apart they are on two slices.
SAME_SLICE = 0.5


class NoRecistLine(ValueError):
    """The line is no prompt for this volume; the sentence says why and what to do."""


@dataclass(frozen=True)
class LineOnSlice:
    """`ends_ijk` (2, 3) are continuous, and whole along `axis`."""

    axis: str
    slice: int
    ends_ijk: np.ndarray


def lineOnSlice(lineNode, volumeNode) -> LineOnSlice:
    """
    Raises:
        NoRecistLine: not drawn to its end, outside the volume, across slices, too short, or one of our own measures.
    """
    if lineNode is None or lineNode.GetNumberOfDefinedControlPoints() < 2:
        raise NoRecistLine(_("Draw the line from one end of the lesion to the other first."))
    if lineNode.GetAttribute(DIAMETER_ATTRIBUTE):
        raise NoRecistLine(
            _("{line} is a measure of a lesion. Draw a line of your own.").format(line=lineNode.GetName())
        )
    frame = VolumeFrame(volumeNode)
    ends_ijk = frame.ijkFromWorld(_endsWorld(lineNode))
    size = np.array(frame.shape_ijk)
    if (ends_ijk < -0.5).any() or (ends_ijk > size - 0.5).any():
        raise NoRecistLine(
            _("{line} lies outside {volume}. Draw it on the image.").format(
                line=lineNode.GetName(), volume=volumeNode.GetName()
            )
        )
    axis = _axisOf(ends_ijk, frame)
    ends_ijk[:, axis] = np.floor(ends_ijk[:, axis].mean() + 0.5)
    if np.linalg.norm(ends_ijk[1] - ends_ijk[0]) < SHORTEST_VOXELS:
        raise NoRecistLine(_("{line} is too short to tell where the lesion is.").format(line=lineNode.GetName()))
    return LineOnSlice(AXES[axis], int(ends_ijk[0, axis]), np.clip(ends_ijk, 0, size - 1))


def _endsWorld(lineNode) -> np.ndarray:
    ends = np.zeros((2, 3))
    for number in range(2):
        lineNode.GetNthControlPointPositionWorld(number, ends[number])
    return ends


def _axisOf(ends_ijk: np.ndarray, frame: VolumeFrame) -> int:
    """The slices that both ends lie on; if the line runs along a row, those of two axes, the one nearer to axial."""
    apart = np.abs(ends_ijk[1] - ends_ijk[0])
    axial = axialAxis(frame.ijk_to_ras[:3, :3])
    fitting = [axis for axis in range(3) if apart[axis] < SAME_SLICE]
    if not fitting:
        raise NoRecistLine(_("The line goes across slices. Draw both ends on one slice of the volume."))
    return axial if axial in fitting else min(fitting, key=lambda axis: apart[axis])
