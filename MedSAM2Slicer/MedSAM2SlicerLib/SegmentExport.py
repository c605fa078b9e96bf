"""Lesions to a file that other programs read: .seg.nrrd with names, colours and overlaps, or a labelmap in NIfTI.

Copies are written from nodes of our own, which go again; the user's segmentation and its storage stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import slicer
import vtk
from slicer.i18n import tr as _

from MedSAM2SlicerLib.SegmentSlices import readBox

SEGMENTATION, LABELMAP = ".seg.nrrd", ".nii.gz"


class CannotExport(RuntimeError):
    """Nothing was written; the sentence says why and what to do."""


def exportSegments(volumeNode, segmentationNode, segmentIds: Sequence[str], path: str) -> None:
    """Write these segments on the volume's voxels. The end of `path` chooses the form.

    Raises:
        CannotExport: another ending, lesions that overlap in a form that cannot hold it, or a file that cannot
            be written.
    """
    if path.endswith(SEGMENTATION):
        node = _copy(volumeNode, segmentationNode, segmentIds)
    elif path.endswith((LABELMAP, ".nii", ".nrrd")):
        node = _labelmap(volumeNode, segmentationNode, segmentIds)
    else:
        raise CannotExport(_("Choose a name that ends in .seg.nrrd or in .nii.gz."))
    isSaved = slicer.util.saveNode(node, path)
    _remove(node)
    if not isSaved:
        raise CannotExport(_("{path} could not be written. Choose another folder.").format(path=path))


def _copy(volumeNode, segmentationNode, segmentIds: Sequence[str]):
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", segmentationNode.GetName())
    copy.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    copy.SetAndObserveTransformNodeID(segmentationNode.GetTransformNodeID())
    for segmentId in segmentIds:
        copy.GetSegmentation().CopySegmentFromSegmentation(segmentationNode.GetSegmentation(), segmentId)
    return copy


def _labelmap(volumeNode, segmentationNode, segmentIds: Sequence[str]):
    ids = vtk.vtkStringArray()
    for segmentId in segmentIds:
        ids.InsertNextValue(segmentId)
    labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", segmentationNode.GetName())
    logic = slicer.modules.segmentations.logic()
    if not logic.ExportSegmentsToLabelmapNode(segmentationNode, ids, labelmap, volumeNode):
        _remove(labelmap)
        raise CannotExport(
            _("The lesions could not be brought onto the voxels of {volume}.").format(volume=volumeNode.GetName())
        )
    if _count(labelmap) < sum(_voxels(volumeNode, segmentationNode, one) for one in segmentIds):
        _remove(labelmap)
        raise CannotExport(_("Lesions overlap, which a labelmap cannot hold. Choose a name that ends in .seg.nrrd."))
    return labelmap


def _count(labelmap) -> int:
    return int((slicer.util.arrayFromVolume(labelmap) > 0).sum())


def _voxels(volumeNode, segmentationNode, segmentId: str) -> int:
    return int(readBox(volumeNode, segmentationNode, segmentId)[1].sum())


def _remove(node) -> None:
    """With all that came with it: Slicer makes a colour table for an exported labelmap."""
    display = node.GetDisplayNode()
    table = display.GetColorNode() if display is not None and node.IsA("vtkMRMLLabelMapVolumeNode") else None
    isOwnTable = table is not None and table.GetType() == table.User
    for one in (node.GetStorageNode(), display, node, table if isOwnTable else None):
        if one is not None:
            slicer.mrmlScene.RemoveNode(one)
