"""How much memory the cases of a folder will take, known from their headers before any of them is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import nrrd
import SimpleITK as sitk

from medsam2_engine.errors import TooLittleMemory
from medsam2_engine.free_memory import free_memory
from medsam2_engine.segmentation_file import SLICER_ENDING

BYTES_OF_A_LABEL = 4  # per voxel, of a label map; a segment of a .seg.nrrd has one

Files = tuple["Path | None", Path]  # the image, if there is one, and its segmentation


def require_room_for(cases: Iterable[Files]) -> None:
    """All cases are kept in memory while something learns from them.

    Raises:
        TooLittleMemory: less is free than they will take; nothing has been read yet.
    """
    sizes = [bytes_of_case(*files) for files in cases]
    free = free_memory()
    need = sum(sizes)
    if free is not None and need > free:
        raise TooLittleMemory(
            f"These {len(sizes)} cases need {need / 1e9:.1f} GB of memory, but only {free / 1e9:.1f} GB are free. "
            "Use fewer of them, cut the volumes down to the region that matters, or close other programs."
        )


def bytes_of_case(image: Path | None, segmentation: Path) -> int:
    """Bytes of its voxels and labels, as the headers say; 0 for what cannot be read, which is said when it is."""
    source = segmentation if image is None else image
    try:
        voxels, size = _voxels_of(source)
    except (RuntimeError, OSError):
        return 0
    of_labels = _segments_in(segmentation) or BYTES_OF_A_LABEL
    return voxels * (of_labels if image is None else size + of_labels)


def _voxels_of(path: Path) -> tuple[int, int]:
    """How many there are, and the bytes of one. A folder is a DICOM series: every file has the size of the first."""
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(files[0]) if files else str(path))
    reader.ReadImageInformation()
    count = len(files)
    for n in reader.GetSize():
        count *= n
    return count, sitk.Image([1, 1], reader.GetPixelID()).GetSizeOfPixelComponent()


def _segments_in(segmentation: Path) -> int:
    if not segmentation.name.lower().endswith(SLICER_ENDING):
        return 0
    try:
        return sum(key.endswith("_LabelValue") for key in nrrd.read_header(str(segmentation)))
    except (OSError, ValueError, nrrd.NRRDError):
        return 0
