"""The scene's approved lesions as training cases: one for every volume that has some, written without a pause.

A case holds the volume's own voxels and the approved lesions on them, called by what they are ("GTVp", not "GTVp2").
"""

from __future__ import annotations

import hashlib
import re
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

import numpy as np
import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.ApprovedState import approvedIds, isApproved
from MedSAM2SlicerLib.CaseFiles import Drawn, lesionPieces, volumePieces
from MedSAM2SlicerLib.CaseFolder import IMAGE, LABEL, CaseFolder
from MedSAM2SlicerLib.Geometry import NotALattice, ijkToRas, ijkToSegmentation
from MedSAM2SlicerLib.InstallPlan import freeBytes
from MedSAM2SlicerLib.SegmentSlices import latticeOf, readBox
from MedSAM2SlicerLib.SlowFile import SlowFile
from MedSAM2SlicerLib.StructureNames import TARGET
from MedSAM2SlicerLib.VolumeExport import modalityOf

FEWEST_SLICES = 3  # of a lesion, along the axis where it has most; the training asks for them
OWN_DATA = "own data"
_SAMPLED = 61  # every so many voxels tell one volume from another


class NothingToExport(RuntimeError):
    """The sentence says why, and what to do."""


class NothingApproved(NothingToExport):
    """There is nothing to add in this scene; `leftOut` says what was approved and cannot be added, if there is that."""

    def __init__(self, sentence: str, leftOut: str = "") -> None:
        super().__init__(sentence)
        self.leftOut = leftOut


class _VoxelsChanged(OSError):
    """The sentence says whose, and what to do."""


@dataclass(frozen=True)
class ExportEnd:
    """How many lesions of how many volumes were written. `sentence` says what else there is to say."""

    lesions: int
    volumes: int
    sentence: str = ""
    isError: bool = False


class CaseExport:
    """Started once; `onEnded` is called once, unless it is stopped before."""

    def __init__(self, folder: CaseFolder, chosen, onEnded: Callable[[ExportEnd], None]) -> None:
        """`chosen` knows the volume and the segmentation that are worked on (`SegmentChoice`)."""
        self._folder = folder
        self._chosen = chosen
        self._onEnded = onEnded
        self._jobs: list[tuple[object, list[tuple[object, str]]]] = []
        self._file: Optional[SlowFile] = None
        self._written = ExportEnd(0, 0)
        self._leftOut: list[str] = []

    def start(self) -> None:
        """
        Raises:
            NothingToExport: no lesion of the scene is approved, or there is too little room.
        """
        self._jobs = approvedByVolume(self._chosen)
        self._leftOut = _withoutVolume(self._chosen)
        if not self._jobs:
            leftOut = " ".join(self._leftOut)
            nothing = _(
                "No lesion of this scene is approved yet. Approve those that are right (section Lesions), then add."
            )
            raise NothingApproved(leftOut or nothing, leftOut)
        self._requireRoom()
        self._next()

    def stop(self) -> None:
        self._jobs = []
        if self._file is not None:
            self._file.drop()

    def _requireRoom(self) -> None:
        root = self._folder.root
        needed = sum(slicer.util.arrayFromVolume(volume).nbytes for volume, _lesions in self._jobs)
        try:
            free = freeBytes(root)
        except OSError as error:
            text = _("{folder} cannot be reached ({why}). Connect its disk, or choose another folder.")
            raise NothingToExport(text.format(folder=root, why=error.strerror or error)) from error
        if needed > free:
            text = _("The cases need {needed:.1f} GB, and {free:.1f} GB are free in {folder}. Choose another folder.")
            raise NothingToExport(text.format(needed=needed / 1e9, free=free / 1e9, folder=root))

    # ---- one volume after another

    def _next(self) -> None:
        while self._jobs:
            volume, lesions = self._jobs.pop(0)
            # The scene may have been closed since.
            if not slicer.mrmlScene.IsNodePresent(volume):
                continue
            drawn = self._drawn(volume, lesions)
            for twin in self._twinsOf(volume):
                self._jobs.remove(twin)
                drawn += self._drawn(*twin)
            if drawn:
                self._write(volume, drawn)
                return
        self._end()

    def _twinsOf(self, volume) -> list:
        """Jobs on the very same voxels, such as on a clone: they belong to the same case."""
        place = latticeOf(volume)
        near = [job for job in self._jobs if slicer.mrmlScene.IsNodePresent(job[0]) and latticeOf(job[0]) == place]
        own = _idOfVolume(volume) if near else ""
        return [job for job in near if _idOfVolume(job[0]) == own]

    def _write(self, volume, drawn: Sequence[Drawn]) -> None:
        voxels, matrix = slicer.util.arrayFromVolume(volume), ijkToRas(volume)
        caseId = idOf(voxels, matrix)
        meta = {"id": caseId, "subject": subjectOf(volume) or caseId, **metaOf(volume, drawn)}
        try:
            folder = self._folder.newCase(caseId)
        except OSError as error:
            self._fail(error)
            return

        def writeLesions() -> None:
            self._start(folder / LABEL, lesionPieces(drawn, voxels.shape, matrix), finish)

        def finish() -> None:
            self._finish(caseId, meta, len(drawn))

        self._start(folder / IMAGE, _whileUnchanged(volume, volumePieces(voxels, matrix)), writeLesions)

    def _start(self, path, pieces, onDone: Callable[[], None]) -> None:
        self._file = SlowFile(path, pieces, onDone, self._fail)
        self._file.start()

    def _finish(self, caseId: str, meta: dict, lesions: int) -> None:
        try:
            self._folder.finish(caseId, meta)
        except OSError as error:
            self._fail(error)
            return
        self._written = ExportEnd(self._written.lesions + lesions, self._written.volumes + 1)
        self._next()

    def _end(self) -> None:
        sentence = " ".join(self._leftOut)
        self._onEnded(ExportEnd(self._written.lesions, self._written.volumes, sentence, not self._written.lesions))

    def _fail(self, error: OSError) -> None:
        self._jobs = []
        text = _("The case could not be written into {folder} ({why}). Free some space, or choose another folder.")
        sentence = text.format(folder=self._folder.root, why=error.strerror or error)
        sentence = str(error) if isinstance(error, _VoxelsChanged) else sentence
        self._onEnded(ExportEnd(self._written.lesions, self._written.volumes, sentence, True))

    def _drawn(self, volume, lesions: Sequence[tuple[object, str]]) -> list[Drawn]:
        found = []
        for segmentation, segmentId in lesions:
            segment = segmentation.GetSegmentation().GetSegment(segmentId)
            # Since then it may have been deleted, or its approval withdrawn.
            if not (slicer.mrmlScene.IsNodePresent(segmentation) and isApproved(segment)):
                continue
            why = _whyNot(volume, segmentation)
            start, voxels = ((0, 0, 0), np.zeros((0, 0, 0), bool)) if why else readBox(volume, segmentation, segmentId)
            if not why and _slices(voxels) < FEWEST_SLICES:
                why = _("it has fewer than {count} slices").format(count=FEWEST_SLICES)
            if why:
                self._leftOut.append(_("{lesion} was left out: {why}.").format(lesion=segment.GetName(), why=why))
            else:
                found.append(Drawn(structureOf(segment.GetName()), segment.GetColor(), start, voxels))
        return found


def approvedByVolume(chosen) -> list[tuple[object, list[tuple[object, str]]]]:
    """Volumes with the approved lesions on them, each as (segmentation, segment id)."""
    found: dict[str, tuple[object, list[tuple[object, str]]]] = {}
    for segmentation in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        volume = _volumeOf(segmentation, chosen)
        ids = approvedIds(segmentation) if volume is not None else []
        if ids:
            found.setdefault(volume.GetID(), (volume, []))[1].extend((segmentation, one) for one in ids)
    return list(found.values())


def structureOf(name: str) -> str:
    """What several lesions of a kind have in common: "GTVp" of "GTVp2_L", "Lesion" of "Lesion 3"."""
    target = TARGET.fullmatch(name)
    if target is not None:
        return target["type"] + target["classifier"]
    return re.sub(r"[\s_#-]*\d+$", "", name.partition("^")[0]).strip() or name


def idOf(voxels_kji: np.ndarray, ijk_to_ras: np.ndarray) -> str:
    """The same for the same voxels in the same place, whatever scene they are in."""
    place = f"{voxels_kji.shape}{voxels_kji.dtype}{(np.round(ijk_to_ras, 3) + 0.0).tolist()}"
    sample = np.ascontiguousarray(voxels_kji.reshape(-1)[::_SAMPLED])
    return f"case-{zlib.crc32(sample.tobytes(), zlib.crc32(place.encode('utf-8'))):08x}"


def metaOf(volume, drawn: Sequence[Drawn]) -> dict:
    names = sorted({one.name for one in drawn})
    return {
        "modality": modalityOf(volume),
        "licence": OWN_DATA,
        "structures": {name: {"label": number} for number, name in enumerate(names, 1)},
        "volume": volume.GetName(),
        "written": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }


def subjectOf(volume) -> str:
    """A digest by which volumes of one patient are recognised, where DICOM says whose they are; otherwise nothing."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    item = hierarchy.GetItemByDataNode(volume) if hierarchy is not None else 0
    patient = hierarchy.GetItemAncestorAtLevel(item, constants.GetDICOMLevelPatient()) if item else 0
    if not patient:
        return ""
    name = str(hierarchy.GetItemAttribute(patient, constants.GetDICOMPatientIDAttributeName()) or "")
    name = name or str(hierarchy.GetItemUID(patient, constants.GetDICOMUIDName()) or "")
    return f"patient-{hashlib.sha256(name.encode('utf-8')).hexdigest()[:12]}" if name else ""


def _whileUnchanged(volume, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of a volume's file.

    Raises:
        _VoxelsChanged: somebody writes into the very voxels that are being read.
    """
    scalars = volume.GetImageData().GetPointData().GetScalars()
    stamp = scalars.GetMTime()
    while scalars.GetMTime() == stamp:
        piece = next(pieces, None)
        if piece is None:
            return
        yield piece
    text = _("The voxels of {volume} changed while they were copied. Add the cases again.")
    raise _VoxelsChanged(text.format(volume=volume.GetName()))


def _withoutVolume(chosen) -> list[str]:
    """A sentence for every segmentation with approved lesions that belongs to no volume."""
    text = _(
        "{segmentation} was left out: nothing says on which volume it was drawn. Choose both in the panel, and add "
        "again."
    )
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [
        text.format(segmentation=node.GetName())
        for node in nodes
        if approvedIds(node) and _volumeOf(node, chosen) is None
    ]


def _idOfVolume(volume) -> str:
    return idOf(slicer.util.arrayFromVolume(volume), ijkToRas(volume))


def _slices(voxels: np.ndarray) -> int:
    """With something on them, along the axis where most have."""
    others = [tuple(other for other in range(3) if other != along) for along in range(3)]
    return max(int(np.count_nonzero(voxels.any(axis=axes))) for axes in others)


def _volumeOf(segmentation, chosen):
    """The chosen volume for the chosen segmentation; otherwise the one it was drawn on."""
    if segmentation is chosen.segmentationNode and chosen.volumeNode is not None:
        volume = chosen.volumeNode
    else:
        volume = segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())
    isScalar = volume is not None and volume.IsA("vtkMRMLScalarVolumeNode") and volume.GetImageData() is not None
    return volume if isScalar else None


def _whyNot(volume, segmentation) -> str:
    if volume.GetImageData().GetNumberOfScalarComponents() != 1:
        return _("{volume} has several values per voxel").format(volume=volume.GetName())
    try:
        ijkToSegmentation(volume, segmentation)
    except NotALattice:
        return _("a transform bends it against {volume}; harden that first").format(volume=volume.GetName())
    return ""
