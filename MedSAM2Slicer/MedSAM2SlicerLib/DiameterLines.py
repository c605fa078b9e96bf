"""The two diameters of a lesion as line markups: drawn on demand, locked, saved with the scene, and removed on demand.

They are known by attributes, whose names are part of the saved scene; lines of anybody else are never touched. The
lines are in world: a transform of the segmentation is in their positions.
"""

from __future__ import annotations

from typing import Optional

import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.Measures import Diameter, Measures
from MedSAM2SlicerLib.PromptMarkups import SEGMENT_ATTRIBUTE, SEGMENTATION_ROLE, addToScene

DIAMETER_ATTRIBUTE = "MedSAM2Slicer.Diameter"
LONG, SHORT = "long", "short"
END_SIZE_PERCENT, TEXT_SIZE_PERCENT = 1.5, 2.5


def linesOf(segmentationNode, segmentId: str) -> dict[str, object]:
    """Those that are drawn: LONG, SHORT or both → node."""
    found = {}
    for node in slicer.util.getNodesByClass("vtkMRMLMarkupsLineNode"):
        isOurs = node.GetAttribute(DIAMETER_ATTRIBUTE) and node.GetAttribute(SEGMENT_ATTRIBUTE) == segmentId
        if isOurs and node.GetNodeReference(SEGMENTATION_ROLE) is segmentationNode:
            found[node.GetAttribute(DIAMETER_ATTRIBUTE)] = node
    return found


def drawLines(segmentationNode, segmentId: str, measures: Optional[Measures]) -> None:
    """Draw the diameters, or bring those that are drawn up to date. Without measures there is nothing to draw."""
    if measures is None:
        removeLines(segmentationNode, segmentId)
        return
    drawn = linesOf(segmentationNode, segmentId)
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    for kind, diameter in ((LONG, measures.longAxis), (SHORT, measures.shortAxis)):
        node = drawn.get(kind) or _newLine(segmentationNode, segmentId, kind)
        _place(node, _name(segment.GetName(), kind), diameter)
        node.GetDisplayNode().SetSelectedColor(*[(1.0 + value) / 2 for value in segment.GetColor()])


def removeLines(segmentationNode, segmentId: str) -> None:
    for node in linesOf(segmentationNode, segmentId).values():
        node.GetScene().RemoveNode(node)


def drawnSegments(segmentationNode) -> set[str]:
    """Ids of the segments that have lines; of segments that are gone, too."""
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsLineNode")
    return {
        node.GetAttribute(SEGMENT_ATTRIBUTE)
        for node in nodes
        if node.GetAttribute(DIAMETER_ATTRIBUTE) and node.GetNodeReference(SEGMENTATION_ROLE) is segmentationNode
    }


def _newLine(segmentationNode, segmentId: str, kind: str):
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLMarkupsLineNode")
    node.UnRegister(None)
    node.SetAttribute(DIAMETER_ATTRIBUTE, kind)
    node.SetAttribute(SEGMENT_ATTRIBUTE, segmentId)
    addToScene(node)
    node.SetNodeReferenceID(SEGMENTATION_ROLE, segmentationNode.GetID())
    node.CreateDefaultDisplayNodes()
    node.SetLocked(True)
    display = node.GetDisplayNode()
    display.SetPropertiesLabelVisibility(False)
    display.SetPointLabelsVisibility(True)
    display.SetGlyphScale(END_SIZE_PERCENT)
    display.SetTextScale(TEXT_SIZE_PERCENT)
    display.SetVisibility3D(False)
    return node


def _place(node, name: str, diameter: Diameter) -> None:
    """Nothing is written where nothing changes, so that nobody is told of it. The length stands at the second end."""
    if node.GetName() != name:
        node.SetName(name)
    ends = (diameter.start_world, diameter.end_world)
    if node.GetNumberOfControlPoints() != len(ends):
        node.RemoveAllControlPoints()
        for end in ends:
            node.AddControlPointWorld(*end)
    for number, end in enumerate(ends):
        position = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(number, position)
        if max(abs(one - other) for one, other in zip(position, end)) > 1e-6:
            node.SetNthControlPointPositionWorld(number, *end)
    for number, text in enumerate(("", _("{length} mm").format(length=f"{diameter.length_mm:.1f}"))):
        if node.GetNthControlPointLabel(number) != text:
            node.SetNthControlPointLabel(number, text)


def _name(lesion: str, kind: str) -> str:
    text = {LONG: _("{lesion} long axis"), SHORT: _("{lesion} short axis")}[kind]
    return text.format(lesion=lesion)
