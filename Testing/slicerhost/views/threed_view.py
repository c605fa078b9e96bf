"""A 3D view: real displayable managers and interactor style in a home-made widget. No volume rendering."""

from typing import Any

import slicer
import vtk
from PySide6 import QtWidgets

from ..pythonqt.cpp_widget import cpp_class
from .vtk_view import ctkVTKAbstractView

DISPLAYABLE_MANAGERS = [
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
]


@cpp_class()
class qMRMLThreeDView(ctkVTKAbstractView):
    """The 3D scene."""

    def __init__(self, application_logic: Any, node: Any, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._node = node
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        self._initialize_managers(factory, DISPLAYABLE_MANAGERS, application_logic)
        self._style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self._style.SetDisplayableManagers(self._managers)
        self._style.SetInteractor(self._interactor)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyle3D())
        self._managers.SetMRMLDisplayableNode(node)

    def mrmlViewNode(self) -> Any:
        return self._node

    def interactorObserver(self) -> Any:
        return self._style

    def resetFocalPoint(self) -> None:
        self.resetCamera()

    def resetCamera(self, _rotation: bool = True, _translation: bool = True, _distance: bool = True) -> None:
        self._renderer.ResetCamera()
        self.scheduleRender()

    def rotateToViewAxis(self, axis: int) -> None:
        """Placeholder: the camera stays."""


@cpp_class()
class qMRMLThreeDViewControllerWidget(QtWidgets.QWidget):
    """The controls of a 3D view, without a face."""

    def __init__(self, view: qMRMLThreeDView) -> None:
        super().__init__()
        self._view = view

    def resetFocalPoint(self) -> None:
        self._view.resetFocalPoint()


@cpp_class()
class qMRMLThreeDWidget(QtWidgets.QWidget):
    """A 3D view with its controller."""

    def __init__(self, application_logic: Any, scene: Any, node: Any) -> None:
        super().__init__()
        self._logic = slicer.vtkMRMLViewLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(scene)
        self._logic.AddViewNode(node.GetLayoutName())
        application_logic.GetViewLogics().AddItem(self._logic)
        self._view = qMRMLThreeDView(application_logic, node)
        self._controller = qMRMLThreeDViewControllerWidget(self._view)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view, 1)

    def threeDView(self) -> qMRMLThreeDView:
        return self._view

    def viewWidget(self) -> qMRMLThreeDView:
        return self._view

    def threeDController(self) -> qMRMLThreeDViewControllerWidget:
        return self._controller

    def viewLogic(self) -> Any:
        return self._logic

    def mrmlViewNode(self) -> Any:
        return self._view.mrmlViewNode()

    def mrmlAbstractViewNode(self) -> Any:
        return self._view.mrmlViewNode()
