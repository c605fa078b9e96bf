"""The volume that the worker has open. The scene's volume is the truth; this sees to it that the worker has the same.

A volume is opened under a new id each time, so a mask of voxels that have changed since, or of another volume, can be
told from one that is still wanted. The file of an earlier export is deleted only after its worker let go of it.
"""

from __future__ import annotations

import itertools
from typing import Callable, Optional

from slicer.i18n import tr as _

from medsam2_protocol.messages import CloseVolume, Done, Failed, OpenVolume
from MedSAM2SlicerLib.VolumeExport import VolumeExport

OnOpened = Callable[[str], None]
OnFailed = Callable[[Failed], None]


class EngineVolume:
    """At most one volume at a time. Asking for another one, or again, drops the callbacks of the earlier question."""

    def __init__(self, engine, folder: str) -> None:
        self._engine = engine
        self._folder = folder
        self._export: Optional[VolumeExport] = None
        self._leaving: list[VolumeExport] = []  # files that wait for the worker to let go of them
        self._numbers = itertools.count(1)
        self._opened: Optional[tuple[int, VolumeExport, str]] = None  # worker's generation, file, volume id
        self._opening: Optional[tuple[int, VolumeExport, str]] = None
        self._onOpened: OnOpened = _ignore
        self._onFailed: OnFailed = _ignore

    def open(self, volumeNode, onOpened: OnOpened, onFailed: OnFailed) -> None:
        """Call `onOpened` with the id under which the worker has these voxels, at once if it has them already."""
        self._onOpened, self._onFailed = onOpened, onFailed
        if volumeNode.GetImageData() is None or volumeNode.GetImageData().GetNumberOfPoints() == 0:
            sentence = _("{volume} has no voxels. Choose another volume.")
            self._fail("bad_request", sentence.format(volume=volumeNode.GetName()))
        elif self._export is None or not self._export.isOf(volumeNode):
            self._replaceExport(volumeNode)
        elif self._export.isDone:
            self._openExported()

    def forget(self) -> None:
        """Nobody waits any more; files and the worker's memory of the volume go."""
        self._onOpened = self._onFailed = _ignore
        export, self._export = self._export, None
        opened, self._opened, self._opening = self._opened or self._opening, None, None
        if export is None:
            return
        if opened is not None and opened[0] == self._engine.generation:
            self._close(opened[2], export)
        else:
            export.remove()

    def removeFiles(self) -> None:
        """At the module's end: the worker is gone or about to be."""
        self._onOpened = self._onFailed = _ignore
        for export in [self._export, *self._leaving]:
            if export is not None:
                export.remove()
        self._export = self._opened = self._opening = None
        self._leaving = []

    def _replaceExport(self, volumeNode) -> None:
        onOpened, onFailed = self._onOpened, self._onFailed
        self.forget()
        self._onOpened, self._onFailed = onOpened, onFailed
        self._export = VolumeExport(volumeNode, self._folder, self._openExported, self._onExportFailed)
        self._export.start()

    def _openExported(self) -> None:
        export, generation = self._export, self._engine.generation
        if self._opened is not None and self._opened[0] == generation:
            self._onOpened(self._opened[2])
            return
        if self._opening is not None and self._opening[0] == generation:
            return
        volume_id = f"v{next(self._numbers)}"
        message = OpenVolume(
            "", volume_id, export.path, export.dtype, export.shape_kji, export.ijk_to_ras, export.modality
        )
        self._opened = None
        self._opening = (generation, export, volume_id)
        self._engine.request(message, _ignore, lambda end: self._onOpenEnded(volume_id, end))

    def _onOpenEnded(self, volume_id: str, end) -> None:
        if self._opening is None or self._opening[2] != volume_id:
            return
        opening, self._opening = self._opening, None
        if isinstance(end, Done):
            self._opened = opening
            self._onOpened(volume_id)
        else:
            self._onFailed(end if isinstance(end, Failed) else Failed("", "internal", _("The volume was not opened.")))

    def _onExportFailed(self, sentence: str) -> None:
        self._export = None
        self._fail("unreadable", sentence)

    def _fail(self, code: str, sentence: str) -> None:
        self._onFailed(Failed("", code, sentence))

    def _close(self, volume_id: str, export: VolumeExport) -> None:
        def onClosed(_end) -> None:
            export.remove()
            if export in self._leaving:
                self._leaving.remove(export)

        self._leaving.append(export)
        self._engine.request(CloseVolume("", volume_id), _ignore, onClosed)


def _ignore(_message) -> None:
    return None
