"""The window in which the engine sees a volume: what a person can choose, and what it comes to for one volume.

A choice is a short text: "auto", "displayed", the name of a preset, "percentiles", "suv", the last two also
with numbers ("suv:0:15"). `windowOf` turns it into a `SeenWindow`, which is stored with the prompt as text, so that the
same prompt means the same window tomorrow. "auto" leaves it to the engine, which looks at what the prompt lies in:
every way into the engine then sees the same. Volume and display node are only read; no voxel is ever changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
import slicer
from slicer.i18n import tr as _

from medsam2_protocol.messages import Window
from MedSAM2SlicerLib.VolumeExport import modalityOf as dicomModalityOf
from MedSAM2SlicerLib.WindowPresets import (
    LEVEL_WIDTH,
    PERCENTILES,
    SUV_RANGE,
    parsedRange,
    percentileWindow,
    preset,
    sampled,
    widened,
)

AUTOMATIC, DISPLAYED, PERCENTILE, SUV = "auto", "displayed", "percentiles", "suv"
CT, MR, PET, UNKNOWN = "CT", "MR", "PT", ""
AIR_HU = -500.0
LARGEST_SUV = 200.0
UNIT_HU, UNIT_SUV = "[hnsf'U]", "g/ml"
UNCALIBRATED_PET_UNITS = ("Bq/ml", "bq/ml", "1/s", "{counts}", "{propcounts}", "{propcounts}/s")


class NoWindow(ValueError):
    """This choice makes no sense for this volume; the sentence says why and what to choose instead."""


@dataclass(frozen=True)
class SeenWindow:
    """What one prompt was, or will be, computed with; no `window` leaves it to the engine."""

    choice: str
    window: Optional[Window]

    def toText(self) -> str:
        """Short and exact: "abdomen|-160.0|240.0", "auto"."""
        return self.choice if self.window is None else f"{self.choice}|{self.window.lower!r}|{self.window.upper!r}"

    @staticmethod
    def fromText(text: str) -> Optional[SeenWindow]:
        """The reverse; None for a text that nobody here has written."""
        choice, *ends = text.split("|")
        if not isChoice(choice) or len(ends) not in (0, 2):
            return None
        if not ends:
            return SeenWindow(choice, None) if choice == AUTOMATIC else None
        found = parsedRange(":".join(ends))
        return SeenWindow(choice, Window(*found)) if found is not None else None


def choices(volumeNode) -> list[tuple[str, str]]:
    """Id and title of everything that fits a volume; for an unknown modality everything."""
    titles = _titles()
    fitting = {
        CT: [DISPLAYED, *LEVEL_WIDTH],
        MR: [PERCENTILE, DISPLAYED],
        PET: [SUV, PERCENTILE, DISPLAYED],
    }.get(modalityOf(volumeNode), [PERCENTILE, DISPLAYED, *LEVEL_WIDTH, SUV])
    return [(name, titles[name]) for name in (AUTOMATIC, *fitting)]


def defaultChoice(volumeNode) -> str:
    """Automatic for everything: measured, see docs/windows.md."""
    return AUTOMATIC


def isChoice(choice: str) -> bool:
    name, _colon, numbers = choice.partition(":")
    if name in (PERCENTILE, SUV):
        return not numbers or parsedRange(numbers) is not None
    return choice in (AUTOMATIC, DISPLAYED) or choice in LEVEL_WIDTH


def windowOf(volumeNode, choice: str) -> SeenWindow:
    """What a choice comes to for a volume.

    Raises:
        NoWindow: the choice is not one, or not one for this volume; the sentence is for the panel.
    """
    name, _colon, numbers = choice.partition(":")
    if not isChoice(choice):
        raise NoWindow(_("“{choice}” is no window. Choose another one.").format(choice=choice))
    voxels = _voxels(volumeNode)
    if name == AUTOMATIC:
        return SeenWindow(choice, None)
    if name == DISPLAYED:
        return SeenWindow(choice, _displayed(volumeNode, voxels))
    if name == PERCENTILE:
        percentiles = parsedRange(numbers) or PERCENTILES
        return SeenWindow(choice, percentileWindow(sampled(voxels), _limited(percentiles)))
    if name == SUV:
        return SeenWindow(choice, _suv(volumeNode, parsedRange(numbers) or SUV_RANGE))
    return SeenWindow(choice, preset(name))


def sentence(seen: SeenWindow, volumeNode) -> str:
    """One line for the panel: the name of the choice and the numbers it came to."""
    title = _titles()[seen.choice.partition(":")[0]]
    if seen.window is None:
        return _("{title}: chosen for what each prompt lies in").format(title=title)
    unit = _unitTitle(volumeNode)
    text = _("{title}: {lower} to {upper} {unit}")
    lower, upper = _number(seen.window.lower), _number(seen.window.upper)
    return text.format(title=title, lower=lower, upper=upper, unit=unit).rstrip()


def modalityOf(volumeNode) -> str:
    """CT, MR, PT, or "" if neither DICOM, units nor voxels tell. A wrong guess is worse than none."""
    if volumeNode is None or not _hasVoxels(volumeNode):
        return UNKNOWN
    said = dicomModalityOf(volumeNode).upper()
    if said:
        return PET if said in ("PT", "PET") else said
    unit = _unit(volumeNode)
    if unit:
        return {UNIT_HU: CT, "HU": CT}.get(unit, PET if _isSuv(unit) or unit in UNCALIBRATED_PET_UNITS else UNKNOWN)
    return CT if _reachesAir(volumeNode) else UNKNOWN


# ---- windows


def _displayed(volumeNode, voxels: np.ndarray) -> Window:
    display = volumeNode.GetScalarVolumeDisplayNode() if hasattr(volumeNode, "GetScalarVolumeDisplayNode") else None
    if display is None:
        return percentileWindow(sampled(voxels))
    width, level = float(display.GetWindow()), float(display.GetLevel())
    if not np.isfinite([width, level]).all():
        return percentileWindow(sampled(voxels))
    return widened(level - abs(width) / 2, level + abs(width) / 2)


def _suv(volumeNode, suvRange: tuple[float, float]) -> Window:
    if _unit(volumeNode) in UNCALIBRATED_PET_UNITS or _largest(volumeNode) > LARGEST_SUV:
        raise NoWindow(
            _("The voxels of {volume} are no SUV. Convert the volume first, or choose percentiles.").format(
                volume=volumeNode.GetName()
            )
        )
    return Window(*suvRange)


def _limited(percentiles: tuple[float, float]) -> tuple[float, float]:
    low, high = (min(max(value, 0.0), 100.0) for value in percentiles)
    return (low, high) if low < high else PERCENTILES


# ---- what the volume says of itself


def _voxels(volumeNode) -> np.ndarray:
    """The voxels as they lie in memory.

    Raises:
        NoWindow: there are none.
    """
    if not _hasVoxels(volumeNode):
        raise NoWindow(_("{volume} has no voxels.").format(volume=volumeNode.GetName()))
    return slicer.util.arrayFromVolume(volumeNode)


def _hasVoxels(volumeNode) -> bool:
    image = volumeNode.GetImageData()
    return image is not None and image.GetPointData().GetScalars() is not None and image.GetNumberOfPoints() > 0


def _largest(volumeNode) -> float:
    values = sampled(_voxels(volumeNode))
    return float(values.max()) if values.size else 0.0


def _reachesAir(volumeNode) -> bool:
    """Only HU are below -500, and above it as well. A volume of one value tells nothing.

    It is asked for with every prompt, so the last answer is kept as long as the voxels are the same.
    """
    image = volumeNode.GetImageData()
    stamp = (image.GetMTime(), image.GetPointData().GetScalars().GetMTime())
    if stamp not in _reaching:
        values = sampled(_voxels(volumeNode))
        isNumber = _voxels(volumeNode).dtype.kind in "if"
        _reaching.clear()
        _reaching[stamp] = bool(isNumber and values.size > 0 and values.min() < AIR_HU < values.max())
    return _reaching[stamp]


# Stamps are never given twice in one run of Slicer.
_reaching: dict[tuple[int, int], bool] = {}


def _unit(volumeNode) -> str:
    units = volumeNode.GetVoxelValueUnits() if hasattr(volumeNode, "GetVoxelValueUnits") else None
    return (units.GetCodeValue() or "") if units is not None else ""


def _isSuv(unit: str) -> bool:
    return unit == UNIT_SUV or "SUV" in unit.upper()


def _unitTitle(volumeNode) -> str:
    if modalityOf(volumeNode) == CT:
        return _("HU")
    return _("SUV") if _isSuv(_unit(volumeNode)) else ""


# ---- words


def _titles() -> dict[str, str]:
    return {
        AUTOMATIC: _("Automatic"),
        DISPLAYED: _("As displayed"),
        PERCENTILE: _("Percentiles"),
        SUV: _("SUV range"),
        "abdomen": _("Abdomen"),
        "mediastinum": _("Mediastinum"),
        "lung": _("Lung"),
        "brain": _("Brain"),
        "bone": _("Bone"),
        "liver": _("Liver"),
    }


def _number(value: float) -> str:
    text = f"{value:.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}")
