"""The menu "From segment": what a segment holds on the shown slice, or on all its slices, becomes mask prompts."""

from __future__ import annotations

from typing import Optional

import qt
import slicer
from slicer.i18n import tr as _

from MedSAM2SlicerLib.Geometry import VolumeFrame, viewNormal
from MedSAM2SlicerLib.PromptMarkups import axisOf
from MedSAM2SlicerLib.SegmentMasks import NoMask, SegmentOnVolume
from MedSAM2SlicerLib.SliceViews import sliceViewNodes


class FromSegment:
    """A submenu for every segment of the scene, those of the chosen segmentation first. Filled when it is opened."""

    def __init__(self, button, controller) -> None:
        self._controller = controller
        self._menu = qt.QMenu(button)
        button.setMenu(self._menu)
        self._menu.connect("aboutToShow()", self.fill)

    def fill(self) -> None:
        self._menu.clear()
        volumeNode = self._controller.choice.volumeNode
        shown = shownSlices(volumeNode) if volumeNode is not None else []
        for segmentationNode, segmentId, title in segmentsOfScene(self._controller.choice.segmentationNode):
            self._addSegment(self._menu.addMenu(title), segmentationNode, segmentId, shown)
        if self._menu.isEmpty():
            self._menu.addAction(_("There is no segment in the scene")).setEnabled(False)

    def useSlice(self, segmentationNode, segmentId: str, axis: str, index: int) -> None:
        """That slice's mask as a prompt of the chosen segment."""
        segment = self._read(segmentationNode, segmentId)
        if segment is None:
            return
        try:
            prompt = segment.prompt(axis, index)
        except NoMask as reason:
            self._controller.news.say(str(reason), isError=True)
            return
        self._controller.addMasks((prompt,))

    def useAll(self, segmentationNode, segmentId: str) -> None:
        """The masks of all its slices, along the axis of the prompts there are, or on which it was painted."""
        segment = self._read(segmentationNode, segmentId)
        if segment is None:
            return
        nodes = self._controller.promptNodes()
        axis = axisOf(nodes[-1]) if nodes else segment.paintedAxis()
        indices = segment.slices(axis)
        note = _("{count} slices of {segment} along {axis} are prompts now.")
        self._controller.addMasks(
            tuple(segment.prompt(axis, index) for index in indices),
            note.format(count=len(indices), segment=segment.name, axis=axis),
        )

    def _addSegment(self, menu, segmentationNode, segmentId: str, shown) -> None:
        for viewName, axis, index in shown:
            title = _("Slice {axis}{index} ({view})").format(axis=axis, index=index, view=viewName)
            self._addSlice(menu.addAction(title), segmentationNode, segmentId, axis, index)
        everything = menu.addAction(_("All its slices"))
        everything.connect("triggered(bool)", lambda isChecked: self.useAll(segmentationNode, segmentId))

    def _addSlice(self, action, segmentationNode, segmentId: str, axis: str, index: int) -> None:
        action.connect("triggered(bool)", lambda isChecked: self.useSlice(segmentationNode, segmentId, axis, index))

    def _read(self, segmentationNode, segmentId: str) -> Optional[SegmentOnVolume]:
        """None, and a sentence, if there is nothing to use. A preview is no part of the segment."""
        controller = self._controller
        if controller.choice.volumeNode is None:
            controller.news.say(_("Choose a volume first."), isError=True)
            return None
        if controller.isPropagating:
            controller.news.say(_("Wait for the propagation, or cancel it, before you use a segment."))
            return None
        controller.previewing.stop()
        try:
            return SegmentOnVolume(controller.choice.volumeNode, segmentationNode, segmentId)
        except NoMask as reason:
            controller.news.say(str(reason), isError=True)
            return None


def segmentsOfScene(chosenNode) -> list[tuple[object, str, str]]:
    """Segmentation, id and title of every segment; those of other segmentations say where they are from."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    nodes.sort(key=lambda node: node is not chosenNode)
    found = []
    for node in nodes:
        segmentation = node.GetSegmentation()
        for segmentId in segmentation.GetSegmentIDs():
            name = segmentation.GetSegment(segmentId).GetName()
            title = name if node is chosenNode else f"{name} ({node.GetName()})"
            found.append((node, segmentId, title.replace("&", "&&")))
    return found


def shownSlices(volumeNode) -> list[tuple[str, str, int]]:
    """View, axis and index of the slices of the volume that the slice views show, each slice once."""
    if volumeNode.GetImageData() is None:
        return []
    frame, found = VolumeFrame(volumeNode), []
    for node in sliceViewNodes():
        matrix = node.GetSliceToRAS()
        middle_world = [matrix.GetElement(row, 3) for row in range(3)]
        axis = frame.sliceAxisAlong(viewNormal(node), middle_world)
        index = frame.sliceAt(middle_world, axis) if axis is not None else None
        if index is not None and (axis, index) not in [one[1:] for one in found]:
            found.append((node.GetName(), axis, index))
    return found
