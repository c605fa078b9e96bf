"""The measures of all lesions of a segmentation as a table of the scene, one row each, with units in the titles."""

from __future__ import annotations

import slicer
import vtk
from slicer.i18n import tr as _

from MedSAM2SlicerLib.LesionTable import EMPTY, stateOf, stateTitle
from MedSAM2SlicerLib.SegmentMeasures import SegmentMeasures

SOURCE_ROLE = "medsam2MeasuredSegmentation"


def writeTable(segmentationNode, known: SegmentMeasures):
    """The table node of this segmentation, made if it is missing, written anew if not."""
    node = _tableOf(segmentationNode)
    modifying = node.StartModify()
    node.RemoveAllColumns()
    for column in _columns(segmentationNode, known):
        node.AddColumn(column)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    node.EndModify(modifying)
    return node


def showTable(tableNode) -> None:
    """In a table view beside the pictures, as Slicer's own modules show theirs."""
    layout = slicer.app.layoutManager()
    layout.setLayout(slicer.modules.tables.logic().GetLayoutWithTable(layout.layout))
    slicer.app.applicationLogic().GetSelectionNode().SetActiveTableID(tableNode.GetID())
    slicer.app.applicationLogic().PropagateTableSelection()


def _tableOf(segmentationNode):
    for node in slicer.util.getNodesByClass("vtkMRMLTableNode"):
        if node.GetNodeReference(SOURCE_ROLE) is segmentationNode:
            return node
    name = _("{segmentation} measures").format(segmentation=segmentationNode.GetName())
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", slicer.mrmlScene.GenerateUniqueName(name))
    node.SetNodeReferenceID(SOURCE_ROLE, segmentationNode.GetID())
    return node


def _columns(segmentationNode, known: SegmentMeasures) -> list:
    """An empty lesion has zeros and no slice."""
    texts = {title: _text(title) for title in (_("Lesion"), _("State"))}
    numbers = {title: _number(title) for title in _numberTitles()}
    slices = _text(_("Slice of the diameters"))
    segmentation = segmentationNode.GetSegmentation()
    for segmentId in segmentation.GetSegmentIDs():
        segment, found = segmentation.GetSegment(segmentId), known.of(segmentationNode, segmentId)
        state = stateTitle(stateOf(segment) if found is not None else EMPTY)
        for column, value in zip(texts.values(), (segment.GetName(), state)):
            column.InsertNextValue(value)
        for column, value in zip(numbers.values(), _numbers(found)):
            column.InsertNextValue(value)
        slices.InsertNextValue(f"{found.axis}{found.slice}" if found is not None else "")
    return [*texts.values(), *numbers.values(), slices]


def _numberTitles() -> tuple[str, ...]:
    return (
        _("Volume (ml)"),
        _("Long axis (mm)"),
        _("Short axis (mm)"),
        _("Right-left (mm)"),
        _("Anterior-posterior (mm)"),
        _("Superior-inferior (mm)"),
    )


def _numbers(found) -> tuple[float, ...]:
    if found is None:
        return (0.0,) * len(_numberTitles())
    numbers = (found.volume_ml, found.longAxis.length_mm, found.shortAxis.length_mm, *found.extent_mm)
    return tuple(round(number, 3) for number in numbers)


def _text(title: str):
    column = vtk.vtkStringArray()
    column.SetName(title)
    return column


def _number(title: str):
    column = vtk.vtkDoubleArray()
    column.SetName(title)
    return column
