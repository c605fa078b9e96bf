"""A slice view: real slice logic, displayable managers and interactor style in a home-made widget."""

from collections.abc import Sequence
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from ..pythonqt.cpp_widget import cpp_class
from .vtk_view import ctkVTKAbstractView

# Those a qMRMLSliceView asks for, and those the Markups, Segmentations and Transforms modules add.
DISPLAYABLE_MANAGERS = [
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
]


@cpp_class("resized(QSize)")
class qMRMLSliceView(ctkVTKAbstractView):
    """The picture of one slice."""

    resized = QtCore.Signal(QtCore.QSize)

    def __init__(self, application_logic: Any, logic: Any, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._logic = logic
        self._renderer.GetActiveCamera().ParallelProjectionOn()
        self._add_overlay()
        self._image_mapper = vtk.vtkImageMapper()
        self._image_mapper.SetColorWindow(255)
        self._image_mapper.SetColorLevel(127.5)
        self._image_actor = vtk.vtkActor2D()
        self._image_actor.SetMapper(self._image_mapper)
        self._image_actor.GetProperty().SetDisplayLocationToBackground()
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._initialize_managers(factory, DISPLAYABLE_MANAGERS, application_logic)
        self._managers.SetMRMLDisplayableNode(logic.GetSliceNode())
        self._style = slicer.vtkMRMLSliceViewInteractorStyle()
        self._style.SetSliceLogic(logic)
        self._style.SetDisplayableManagers(self._managers)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._style.SetInteractor(self._interactor)
        logic.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._show_slice())

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def sliceViewInteractorStyle(self) -> Any:
        return self._style

    def interactorObserver(self) -> Any:
        return self._style

    def convertDeviceToXYZ(self, xy: Sequence[int]) -> list[float]:
        """As Slicer computes it: beside the view the third coordinate is another slice's of a light box."""
        width, height = self._render_window.GetSize()
        node = self.mrmlSliceNode()
        columns, rows = node.GetLayoutGridColumns(), node.GetLayoutGridRows()
        row, column = ((height - 1 - xy[1]) * rows) // height, (xy[0] * columns) // width
        return [xy[0], xy[1], float(row * columns + column)]

    def convertXYZToRAS(self, xyz: Sequence[float]) -> list[float]:
        return list(self.mrmlSliceNode().GetXYToRAS().MultiplyPoint((*xyz, 1))[:3])

    def convertRASToXYZ(self, ras: Sequence[float]) -> list[float]:
        ras_to_xyz = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.mrmlSliceNode().GetXYToRAS(), ras_to_xyz)
        return list(ras_to_xyz.MultiplyPoint((*ras, 1))[:3])

    def _add_overlay(self) -> None:
        overlay = vtk.vtkRenderer()
        overlay.GetActiveCamera().ParallelProjectionOn()
        overlay.SetLayer(1)
        self._render_window.SetNumberOfLayers(2)
        self._render_window.AddRenderer(overlay)
        self._render_window.SetAlphaBitPlanes(1)

    def _show_slice(self) -> None:
        connection = self._logic.GetImageDataConnection()
        self._image_mapper.SetInputConnection(connection)
        if not self._renderer.HasViewProp(self._image_actor):
            self._renderer.AddViewProp(self._image_actor)
        self._image_actor.SetVisibility(bool(connection))
        self.scheduleRender()

    def _on_resized(self, width: int, height: int) -> None:
        self._logic.ResizeSliceNode(width, height)
        self.resized.emit(QtCore.QSize(width, height))


@cpp_class()
class qMRMLSliceControllerWidget(QtWidgets.QLabel):
    """The coloured bar above a slice view; its controls exist as methods only."""

    def __init__(self, logic: Any) -> None:
        super().__init__()
        self._logic = logic
        node = logic.GetSliceNode()
        red, green, blue = (int(255 * channel) for channel in node.GetLayoutColor())
        self.setText(f" {node.GetLayoutLabel()}  {node.GetOrientation()}")
        self.setStyleSheet(f"background: rgb({red},{green},{blue}); color: white;")
        self.setFixedHeight(16)

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def sliceLogic(self) -> Any:
        return self._logic

    def setSliceOffsetValue(self, offset_mm: float) -> None:
        self._logic.SetSliceOffset(offset_mm)

    def setSliceVisible(self, visible: bool) -> None:
        self._logic.GetSliceNode().SetSliceVisible(visible)

    def setSliceLink(self, linked: bool) -> None:
        self._logic.GetSliceCompositeNode().SetLinkedControl(linked)

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()
        self._logic.SnapSliceOffsetToIJK()


@cpp_class()
class qMRMLSliceWidget(QtWidgets.QWidget):
    """A slice view with its controller bar."""

    def __init__(self, application_logic: Any, scene: Any, node: Any) -> None:
        super().__init__()
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(scene)
        self._logic.SetSliceNode(node)
        application_logic.GetSliceLogics().AddItem(self._logic)
        self._view = qMRMLSliceView(application_logic, self._logic)
        self._controller = qMRMLSliceControllerWidget(self._logic)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._controller)
        layout.addWidget(self._view, 1)

    def sliceLogic(self) -> Any:
        return self._logic

    def sliceView(self) -> qMRMLSliceView:
        return self._view

    def viewWidget(self) -> qMRMLSliceView:
        return self._view

    def sliceController(self) -> qMRMLSliceControllerWidget:
        return self._controller

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlAbstractViewNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def interactorStyle(self) -> Any:
        return self._view.interactorStyle()

    def overlayCornerAnnotation(self) -> Any:
        return self._view.cornerAnnotation()

    def fitSliceToBackground(self) -> None:
        self._controller.fitSliceToBackground()

    def setSliceOrientation(self, orientation: str) -> None:
        self._logic.GetSliceNode().SetOrientation(orientation)

    sliceViewName = QtCore.Property(str, lambda self: self._logic.GetSliceNode().GetLayoutName())
    sliceOrientation = QtCore.Property(str, lambda self: self.mrmlSliceNode().GetOrientation(), setSliceOrientation)
