"""Widgets that place markups.

The work is done by the real interaction and selection nodes; these only set them and follow them, as
qSlicerMarkupsPlaceWidget does: place mode belongs to the application, so it ends here when it ends in a view. Not
compared with the real widgets: use ``setCurrentNode``, ``setPlaceModeEnabled`` and ``activeMarkupsPlaceModeChanged``.
"""

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from ..pythonqt.cpp_widget import cpp_class, stored_property
from .base import qSlicerWidget
from .node_combo_box import qMRMLNodeComboBox
from .observations import Observations


@cpp_class("activeMarkupsPlaceModeChanged(bool)", "activeMarkupsFiducialPlaceModeChanged(bool)")
class qSlicerMarkupsPlaceWidget(qSlicerWidget):
    """Place and delete buttons for one markups node."""

    (
        ShowPlaceMultipleMarkupsOption,
        HidePlaceMultipleMarkupsOption,
        ForcePlaceSingleMarkup,
        ForcePlaceMultipleMarkups,
    ) = range(4)

    activeMarkupsPlaceModeChanged = QtCore.Signal(bool)
    activeMarkupsFiducialPlaceModeChanged = QtCore.Signal(bool)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._node = None
        self._multiple = self.ShowPlaceMultipleMarkupsOption
        self._signaled_place_mode = False
        self._buttons_visible = True
        self._delete_all_option = True
        self._application_observations = Observations(self)
        self._node_observations = Observations(self)
        self._place_button = QtWidgets.QToolButton()
        self._place_button.setText("Place")
        self._place_button.setCheckable(True)
        self._delete_button = QtWidgets.QToolButton()
        self._delete_button.setText("Delete")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._place_button)
        layout.addWidget(self._delete_button)
        layout.addStretch()
        self._place_button.toggled.connect(self.setPlaceModeEnabled)
        self._delete_button.clicked.connect(self.deleteLastPoint)

    def interactionNode(self) -> Any:
        return slicer.app.applicationLogic().GetInteractionNode() if self._scene is not None else None

    def selectionNode(self) -> Any:
        return slicer.app.applicationLogic().GetSelectionNode() if self._scene is not None else None

    def setMRMLScene(self, scene: Any) -> None:
        super().setMRMLScene(scene)
        self._application_observations.clear()
        for node in (self.interactionNode(), self.selectionNode()):
            if node is not None:
                self._application_observations.add(node, vtk.vtkCommand.AnyEvent, self._update)
        self._update()

    def currentNode(self) -> Any:
        return self._node

    def currentMarkupsNode(self) -> Any:
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        if node is self._node:
            return
        self._node_observations.clear()
        self._node = node
        if node is not None:
            events = [vtk.vtkCommand.ModifiedEvent, node.PointAddedEvent, node.PointRemovedEvent]
            self._node_observations.add(node, events, self._update)
        self._update()

    def setCurrentNodeActive(self, active: bool) -> None:
        if self._node is None or self.interactionNode() is None or active == self._is_active():
            return
        slicer.modules.markups.logic().SetActiveList(self._node if active else None)
        if not active:
            self._leave_place_mode()

    def setPlaceModeEnabled(self, enabled: bool) -> None:
        interaction = self.interactionNode()
        if self._node is None or interaction is None:
            return
        if not enabled:
            self._leave_place_mode()
            return
        self.setCurrentNodeActive(True)
        if self._multiple in (self.ForcePlaceSingleMarkup, self.ForcePlaceMultipleMarkups):
            interaction.SetPlaceModePersistence(int(self._multiple == self.ForcePlaceMultipleMarkups))
        interaction.SetCurrentInteractionMode(interaction.Place)

    def setPlaceModePersistency(self, persistent: bool) -> None:
        if self.interactionNode() is not None:
            self.interactionNode().SetPlaceModePersistence(int(persistent))

    def setPlaceMultipleMarkups(self, option: int) -> None:
        self._multiple = int(option)

    def deleteLastPoint(self) -> None:
        if self._node is not None and self._node.GetNumberOfControlPoints():
            self._node.RemoveNthControlPoint(self._node.GetNumberOfControlPoints() - 1)

    def deleteAllPoints(self) -> None:
        if self._node is not None:
            self._node.RemoveAllControlPoints()

    def placeButton(self) -> QtWidgets.QToolButton:
        return self._place_button

    def deleteButton(self) -> QtWidgets.QToolButton:
        return self._delete_button

    def setDeleteAllControlPointsOptionVisible(self, visible: bool) -> None:
        self._delete_all_option = bool(visible)

    def setDefaultNodeColor(self, color: QtGui.QColor) -> None:
        pass

    def setNodeColor(self, color: QtGui.QColor) -> None:
        if self._node is not None and self._node.GetDisplayNode():
            self._node.GetDisplayNode().SetSelectedColor(color.redF(), color.greenF(), color.blueF())

    def _leave_place_mode(self) -> None:
        interaction = self.interactionNode()
        if interaction.GetCurrentInteractionMode() == interaction.Place:
            interaction.SetCurrentInteractionMode(interaction.ViewTransform)

    def _is_active(self) -> bool:
        selection = self.selectionNode()
        if self._node is None or selection is None:
            return False
        same_class = selection.GetActivePlaceNodeClassName() == self._node.GetClassName()
        return same_class and selection.GetActivePlaceNodeID() == self._node.GetID()

    def _is_placing(self) -> bool:
        interaction = self.interactionNode()
        return self._is_active() and interaction.GetCurrentInteractionMode() == interaction.Place

    def _is_persistent(self) -> bool:
        return bool(self.interactionNode() and self.interactionNode().GetPlaceModePersistence())

    def _update(self) -> None:
        placing = self._is_placing()
        has_node = self._node is not None
        self._place_button.blockSignals(True)
        self._place_button.setChecked(placing)
        self._place_button.blockSignals(False)
        self._place_button.setEnabled(has_node and not self._node.GetControlPointPlacementComplete())
        self._delete_button.setEnabled(has_node and self._node.GetNumberOfControlPoints() > 0)
        if placing != self._signaled_place_mode:
            self._signaled_place_mode = placing
            self.activeMarkupsFiducialPlaceModeChanged.emit(placing)
            self.activeMarkupsPlaceModeChanged.emit(placing)

    def _show_buttons(self) -> None:
        for button in (self._place_button, self._delete_button):
            button.setVisible(self._buttons_visible)

    placeModeEnabled = QtCore.Property(bool, _is_placing, setPlaceModeEnabled)
    currentNodeActive = QtCore.Property(bool, _is_active, setCurrentNodeActive)
    placeMultipleMarkups = QtCore.Property(int, lambda self: self._multiple, setPlaceMultipleMarkups)
    placeModePersistency = QtCore.Property(bool, _is_persistent, setPlaceModePersistency)
    buttonsVisible = stored_property(bool, "_buttons_visible", "_show_buttons")
    deleteAllControlPointsOptionVisible = stored_property(bool, "_delete_all_option")


@cpp_class(
    "markupsNodeChanged()",
    "markupsFiducialNodeChanged()",
    "activeMarkupsPlaceModeChanged(bool)",
    "activeMarkupsFiducialPlaceModeChanged(bool)",
    "updateFinished()",
    "currentMarkupsControlPointSelectionChanged(int)",
)
class qSlicerSimpleMarkupsWidget(qSlicerWidget):
    """A node selector, a place widget and a table of control points."""

    markupsNodeChanged = QtCore.Signal()
    markupsFiducialNodeChanged = QtCore.Signal()
    activeMarkupsPlaceModeChanged = QtCore.Signal(bool)
    activeMarkupsFiducialPlaceModeChanged = QtCore.Signal(bool)
    updateFinished = QtCore.Signal()
    currentMarkupsControlPointSelectionChanged = QtCore.Signal(int)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._observations = Observations(self)
        self._selector = qMRMLNodeComboBox()
        self._selector.nodeTypes = ["vtkMRMLMarkupsFiducialNode"]
        self._place_widget = qSlicerMarkupsPlaceWidget()
        self._table = QtWidgets.QTableWidget(0, 4)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._selector, self._place_widget, self._table):
            layout.addWidget(widget)
        self._selector.currentNodeChanged[object].connect(self._on_node_changed)
        self._place_widget.activeMarkupsPlaceModeChanged.connect(self.activeMarkupsPlaceModeChanged)

    def setMRMLScene(self, scene: Any) -> None:
        super().setMRMLScene(scene)
        self._place_widget.setMRMLScene(scene)
        self._selector.setMRMLScene(scene)

    def currentNode(self) -> Any:
        return self._selector.currentNode()

    def setCurrentNode(self, node: Any) -> None:
        self._selector.setCurrentNode(node)

    def tableWidget(self) -> QtWidgets.QTableWidget:
        return self._table

    def markupsPlaceWidget(self) -> qSlicerMarkupsPlaceWidget:
        return self._place_widget

    def markupsSelectorComboBox(self) -> qMRMLNodeComboBox:
        return self._selector

    def setNodeBaseName(self, name: str) -> None:
        self._selector.baseName = name

    def _on_node_changed(self, node: Any) -> None:
        self._observations.clear()
        if node is not None:
            self._observations.add(node, vtk.vtkCommand.ModifiedEvent, self._fill)
        self._place_widget.setCurrentNode(node)
        self._fill()
        self.markupsNodeChanged.emit()

    def _fill(self) -> None:
        node = self._selector.currentNode()
        count = node.GetNumberOfControlPoints() if node is not None else 0
        self._table.setRowCount(count)
        for row in range(count):
            for column, text in enumerate(_cells(node, row)):
                self._table.setItem(row, column, QtWidgets.QTableWidgetItem(text))
        self.updateFinished.emit()

    nodeSelectorVisible = QtCore.Property(
        bool, lambda self: not self._selector.isHidden(), lambda self, shown: self._selector.setVisible(shown)
    )


def _cells(node: Any, index: int) -> list[str]:
    position_ras = node.GetNthControlPointPositionWorld(index)
    return [node.GetNthControlPointLabel(index)] + [f"{coordinate:.1f}" for coordinate in position_ras]
