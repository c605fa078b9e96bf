"""The word "Preview" in every slice view that shows the slice of the preview. Nothing of it is in the scene.

It stands in the middle of the upper edge: each corner is somebody else's (Slicer's annotations, orientation marker).
"""

from __future__ import annotations

import slicer
import vtk
from slicer.i18n import tr as _

from MedSAM2SlicerLib.PropagationOptions import sliceShownBy
from MedSAM2SlicerLib.ShownSlices import ShownSlices
from MedSAM2SlicerLib.SliceViews import SliceView

FONT_SIZE = 18
UPPER_EDGE = (0.5, 0.985)


class PreviewLabel:
    """Between `show` and `hide` it follows the views to other slices, and layouts to other views."""

    def __init__(self, volumeNode, axis: str, index: int) -> None:
        self._volumeNode = volumeNode
        self._place = (axis, index)
        self._actors: dict[str, tuple[SliceView, vtk.vtkTextActor]] = {}  # by the name of the view
        self._shownSlices = ShownSlices(self.update)

    def show(self) -> None:
        layoutManager = slicer.app.layoutManager()
        if layoutManager is not None:
            self._shownSlices.start()
            layoutManager.connect("layoutChanged(int)", self.onLayoutChanged)
            self.update()

    def hide(self) -> None:
        layoutManager = slicer.app.layoutManager()
        if layoutManager is not None:
            layoutManager.disconnect("layoutChanged(int)", self.onLayoutChanged)
        self._shownSlices.stop()
        for name in list(self._actors):
            self._remove(name)

    def onLayoutChanged(self, _layout: int) -> None:
        self._shownSlices.start()
        self.update()

    def update(self) -> None:
        layoutManager = slicer.app.layoutManager()
        for name in layoutManager.sliceViewNames():
            view = SliceView(layoutManager.sliceWidget(name))
            if self._isShownBy(view):
                self._add(name, view)
            else:
                self._remove(name)

    def _isShownBy(self, view: SliceView) -> bool:
        if self._volumeNode.GetScene() is None or not view.shows(self._volumeNode):
            return False
        return sliceShownBy(view.sliceNode, self._volumeNode) == self._place

    def _add(self, name: str, view: SliceView) -> None:
        if name not in self._actors:
            actor = _actorOf(_("Preview"))
            view.renderer.AddViewProp(actor)
            self._actors[name] = (view, actor)
            view.render()

    def _remove(self, name: str) -> None:
        if name in self._actors:
            view, actor = self._actors.pop(name)
            view.renderer.RemoveViewProp(actor)
            view.render()


def _actorOf(text: str) -> vtk.vtkTextActor:
    actor, style = vtk.vtkTextActor(), vtk.vtkTextProperty()
    actor.SetInput(f" {text} ")
    style.SetFontSize(FONT_SIZE)
    style.BoldOn()
    style.SetColor(1.0, 1.0, 1.0)
    style.SetBackgroundColor(0.0, 0.0, 0.0)
    style.SetBackgroundOpacity(0.7)
    style.SetJustificationToCentered()
    style.SetVerticalJustificationToTop()
    slicer.app.applicationLogic().UseCustomFontFile(style)  # Slicer's own, with more than Latin letters
    actor.SetTextProperty(style)
    actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
    actor.GetPositionCoordinate().SetValue(*UPPER_EDGE)
    actor.PickableOff()
    return actor
