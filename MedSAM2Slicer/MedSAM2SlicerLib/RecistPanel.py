"""From a RECIST line to a 3D segment in one click: the line becomes a prompt, and the prompt is propagated.

A lesion that holds something already is left alone: the line then is a new lesion.
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.LesionTable import LesionTable
from MedSAM2SlicerLib.RecistLine import LineOnSlice, NoRecistLine, lineOnSlice
from MedSAM2SlicerLib.RecistPrompts import promptsOfLine

LINE_CLASS = "vtkMRMLMarkupsLineNode"


class RecistPanel:
    """`uiFile` is Resources/UI/RecistPanel.ui."""

    def __init__(self, uiFile: str, controller) -> None:
        self.widget = slicer.util.loadUI(uiFile)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self._controller = controller
        self.ui.drawLineButton.connect("clicked()", self.onDrawClicked)
        self.ui.segmentLineButton.connect("clicked()", self.onSegmentClicked)

    def setParameters(self, parameters) -> None:
        """Without them there is no scene to choose a line from."""
        self.ui.lineSelector.setMRMLScene(slicer.mrmlScene if parameters is not None else None)

    def onDrawClicked(self) -> None:
        """A new line; the next two clicks in a view are its ends, so no tool of ours may take them."""
        self._controller.setToolArmed(self._controller.armedTool, False)
        node = slicer.mrmlScene.AddNewNodeByClass(LINE_CLASS, slicer.mrmlScene.GenerateUniqueName(_("RECIST")))
        node.CreateDefaultDisplayNodes()
        self.ui.lineSelector.setCurrentNode(node)
        selection = slicer.app.applicationLogic().GetSelectionNode()
        selection.SetReferenceActivePlaceNodeClassName(LINE_CLASS)
        selection.SetActivePlaceNodeID(node.GetID())
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        interaction.SetPlaceModePersistence(0)
        interaction.SetCurrentInteractionMode(interaction.Place)
        self._controller.news.say(_("Click both ends of the longest diameter on one slice, then “Segment”."))

    def onSegmentClicked(self) -> None:
        controller, choice = self._controller, self._controller.choice
        if choice.volumeNode is None:
            controller.news.say(_("Choose a volume first."), isError=True)
            return
        try:
            line = lineOnSlice(self.ui.lineSelector.currentNode(), choice.volumeNode)
        except NoRecistLine as reason:
            controller.news.say(str(reason), isError=True)
            return
        if not controller.isPropagating:
            self._segment(line)

    def _segment(self, line: LineOnSlice) -> None:
        controller, choice = self._controller, self._controller.choice
        controller.previewing.stop()
        if _isUsed(choice):
            controller.addSegment()
        volumeNode = choice.volumeNode
        spacing, shape = volumeNode.GetSpacing(), volumeNode.GetImageData().GetDimensions()
        for prompt in promptsOfLine(line.ends_ijk, line.axis, spacing, shape):
            controller.onPromptPlaced(prompt, line.axis)
        controller.propagate()


def _isUsed(choice) -> bool:
    """Whether the chosen lesion has prompts or voxels."""
    segmentationNode = choice.segmentationNode
    if segmentationNode is None or segmentationNode.GetSegmentation().GetSegment(choice.segmentId) is None:
        return False
    return bool(choice.promptNodes()) or bool(LesionTable().volumeMl(segmentationNode, choice.segmentId))
