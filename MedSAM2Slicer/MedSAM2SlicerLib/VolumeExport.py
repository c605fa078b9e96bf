"""A volume's voxels in a raw file that the worker maps.

The file has a name of its own in Slicer's temporary folder and is written a few milliseconds at a time from the event
loop, so that Slicer stays responsive whatever the size. It holds the voxels exactly as they are, in C order, KJI. An
export speaks for the voxels and the matrix it was made from; when either changes, `isOf` says no, and a new one has to
be made.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Callable

import qt
import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.Geometry import ijkToRas, rows

CHUNK_BYTES = 4 * 1024 * 1024


class VolumeExport:
    """One file. `onDone` or `onFailed` (with a sentence) is called once, unless the export is removed before."""

    def __init__(self, volumeNode, folder: str, onDone: Callable[[], None], onFailed: Callable[[str], None]) -> None:
        self._volumeNode = volumeNode
        self._onDone = onDone
        self._onFailed = onFailed
        self._key = _keyOf(volumeNode)
        self._written = 0
        self._voxels = None
        self._file = None
        self._folder = folder
        self.isDone = False
        self.path = ""
        self.dtype = ""
        self.shape_kji: tuple[int, int, int] = (0, 0, 0)
        self.ijk_to_ras = rows(ijkToRas(volumeNode))
        self.modality = modalityOf(volumeNode)
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self.onTimer)

    def start(self) -> None:
        try:
            self._open()
        except (OSError, ValueError) as error:
            self._fail(str(error))
            return
        self._timer.start()

    def isOf(self, volumeNode) -> bool:
        """Whether the file holds what this node holds now."""
        return self._key == _keyOf(volumeNode)

    def remove(self) -> None:
        """Stop writing and delete the file; Windows keeps it while a worker that is being killed still maps it."""
        self._close()
        with contextlib.suppress(OSError):
            os.remove(self.path)

    def onTimer(self) -> None:
        if not self.isOf(self._volumeNode):
            self._fail(_("The voxels of the volume changed while they were handed to the engine. Try again."))
            return
        try:
            self._writeChunk()
        except OSError as error:
            self._fail(_("The voxels could not be written to {folder}: {why}.").format(folder=self._folder, why=error))

    def _open(self) -> None:
        if self._volumeNode.GetImageData().GetNumberOfScalarComponents() != 1:
            raise ValueError(
                _(
                    "{volume} has several values per voxel, as colour and vector volumes have. Make a volume of one of "
                    "them (module Vector to Scalar Volume), and choose that."
                ).format(volume=self._volumeNode.GetName())
            )
        array = slicer.util.arrayFromVolume(self._volumeNode)
        self.dtype = array.dtype.name
        self.shape_kji = tuple(int(size) for size in array.shape)
        self._voxels = memoryview(array.reshape(-1)).cast("B")
        handle, self.path = tempfile.mkstemp(prefix="medsam2-", suffix=".raw", dir=self._folder)
        self._file = os.fdopen(handle, "wb", buffering=0)

    def _writeChunk(self) -> None:
        self._written += self._file.write(self._voxels[self._written : self._written + CHUNK_BYTES])
        if self._written == len(self._voxels):
            self._close()
            self.isDone = True
            self._onDone()

    def _fail(self, sentence: str) -> None:
        self.remove()
        self._onFailed(sentence)

    def _close(self) -> None:
        self._timer.stop()
        # The view of the voxels would keep the volume's memory alive.
        self._voxels = None
        if self._file is not None:
            self._file.close()
            self._file = None


def modalityOf(volumeNode) -> str:
    """What DICOM calls the modality ("CT", "MR", ...), if the volume came from there; otherwise an empty string."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(volumeNode) if hierarchy is not None else 0
    attribute = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    return str(hierarchy.GetItemAttribute(item, attribute)) if item else ""


def _keyOf(volumeNode) -> tuple:
    imageData = volumeNode.GetImageData()
    if imageData is None:
        return (volumeNode.GetID(), None)
    scalars = imageData.GetPointData().GetScalars()
    modified = (imageData.GetMTime(), scalars.GetMTime() if scalars is not None else 0)
    return (volumeNode.GetID(), modified, rows(ijkToRas(volumeNode)))
