"""The base widgets of Slicer: something with a scene."""

from typing import Any

from PySide6 import QtCore, QtWidgets

from ..pythonqt.cpp_widget import cpp_class


@cpp_class("mrmlSceneChanged(vtkMRMLScene*)")
class qMRMLWidget(QtWidgets.QWidget):
    """Hands its scene on by ``mrmlSceneChanged``, once per change (golden line ``mrmlSceneChanged once``)."""

    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@cpp_class()
class qSlicerWidget(qMRMLWidget):
    """A widget that knows the application; nothing to add here."""


@cpp_class("currentItemChanged(vtkIdType)")
class qMRMLSubjectHierarchyTreeView(qMRMLWidget):
    """Placeholder: shows nothing."""

    currentItemChanged = QtCore.Signal(object)


@cpp_class("currentItemChanged(vtkIdType)")
class qMRMLSubjectHierarchyComboBox(qMRMLWidget):
    """Placeholder: shows nothing."""

    currentItemChanged = QtCore.Signal(object)
