"""Widgets over the segments of a segmentation.

Written from Slicer's documentation and headers; unlike the node combo box they were never compared with the real
ones, so a panel should use little of them: ``setSegmentationNode``, ``selectedSegmentIDs``, ``setCurrentNode``,
``currentSegmentID`` and their signals.
"""

from typing import Any

import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from ..pythonqt.cpp_widget import cpp_class, stored_property
from .base import qMRMLWidget
from .node_combo_box import qMRMLNodeComboBox
from .observations import Observations

_ID_ROLE = QtCore.Qt.ItemDataRole.UserRole
_VISIBILITY, _COLOR, _NAME = range(3)


@cpp_class("selectionChanged(QItemSelection,QItemSelection)", "segmentAboutToBeModified(QString)")
class qMRMLSegmentsTableView(qMRMLWidget):
    """A table of segments: visibility, colour and name."""

    selectionChanged = QtCore.Signal(object, object)
    segmentAboutToBeModified = QtCore.Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._segmentation_node = None
        self._observations = Observations(self)
        self._header_visible = self._visibility_visible = self._color_visible = True
        self._opacity_visible = self._terminology = True
        self._status_visible = self._layer_visible = False
        self._read_only = self._filter_bar = self._jump = False
        self._table = QtWidgets.QTableWidget(0, 3, self)
        self._table.setHorizontalHeaderLabels(["Vis", "Color", "Name"])
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.verticalHeader().hide()
        self._table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)
        self._table.itemSelectionChanged.connect(self._on_selection_changed)
        self._table.itemChanged.connect(self._on_item_changed)

    def segmentationNode(self) -> Any:
        return self._segmentation_node

    def setSegmentationNode(self, node: Any) -> None:
        self._observations.clear()
        self._segmentation_node = node
        if node is not None:
            segmentation = node.GetSegmentation()
            events = [segmentation.SegmentAdded, segmentation.SegmentRemoved]
            events += [segmentation.SegmentModified, segmentation.SegmentsOrderModified]
            self._observations.add(node, events, self._fill)
            if node.GetDisplayNode():
                self._observations.add(node.GetDisplayNode(), vtk.vtkCommand.ModifiedEvent, self._fill)
        self._fill()

    def selectedSegmentIDs(self) -> list[str]:
        rows = sorted({index.row() for index in self._table.selectionModel().selectedRows()})
        return [self.segmentIDForRow(row) for row in rows]

    def setSelectedSegmentIDs(self, segment_ids: list[str]) -> None:
        mode = QtWidgets.QAbstractItemView.SelectionMode
        self._table.clearSelection()
        self._table.setSelectionMode(mode.MultiSelection)
        for row in range(self._table.rowCount):
            if self.segmentIDForRow(row) in segment_ids:
                self._table.selectRow(row)
        self._table.setSelectionMode(mode.ExtendedSelection)

    def clearSelection(self) -> None:
        self._table.clearSelection()

    def displayedSegmentIDs(self) -> list[str]:
        return self._segment_ids()

    def rowForSegmentID(self, segment_id: str) -> int:
        segment_ids = self._segment_ids()
        return segment_ids.index(segment_id) if segment_id in segment_ids else -1

    def segmentIDForRow(self, row: int) -> str:
        return self._table.item(row, _VISIBILITY).data(_ID_ROLE)

    def tableWidget(self) -> QtWidgets.QTableWidget:
        return self._table

    def setSelectionMode(self, mode: int) -> None:
        self._table.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode(mode))

    def _segment_ids(self) -> list[str]:
        node = self._segmentation_node
        return list(node.GetSegmentation().GetSegmentIDs()) if node is not None else []

    def _fill(self) -> None:
        selected = self.selectedSegmentIDs()
        self._table.blockSignals(True)
        self._table.setRowCount(0)
        for row, segment_id in enumerate(self._segment_ids()):
            self._table.insertRow(row)
            self._fill_row(row, segment_id)
            if segment_id in selected:
                self._table.selectRow(row)
        self._table.blockSignals(False)

    def _fill_row(self, row: int, segment_id: str) -> None:
        display = self._segmentation_node.GetDisplayNode()
        visible = display is None or display.GetSegmentVisibility(segment_id)
        check = QtCore.Qt.CheckState.Checked if visible else QtCore.Qt.CheckState.Unchecked
        segment = self._segmentation_node.GetSegmentation().GetSegment(segment_id)
        visibility = QtWidgets.QTableWidgetItem()
        visibility.setCheckState(check)
        visibility.setData(_ID_ROLE, segment_id)
        color = QtWidgets.QTableWidgetItem()
        color.setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
        self._table.setItem(row, _VISIBILITY, visibility)
        self._table.setItem(row, _COLOR, color)
        self._table.setItem(row, _NAME, QtWidgets.QTableWidgetItem(segment.GetName()))

    def _on_selection_changed(self) -> None:
        self.selectionChanged.emit(QtCore.QItemSelection(), QtCore.QItemSelection())

    def _on_item_changed(self, item: QtWidgets.QTableWidgetItem) -> None:
        segment_id = self.segmentIDForRow(item.row())
        node = self._segmentation_node
        if item.column() == _VISIBILITY and node.GetDisplayNode():
            checked = item.checkState() == QtCore.Qt.CheckState.Checked
            node.GetDisplayNode().SetSegmentVisibility(segment_id, checked)
        if item.column() == _NAME:
            self.segmentAboutToBeModified.emit(segment_id)
            node.GetSegmentation().GetSegment(segment_id).SetName(item.text())

    def _show_columns(self) -> None:
        self._table.horizontalHeader().setVisible(self._header_visible)
        self._table.setColumnHidden(_VISIBILITY, not self._visibility_visible)
        self._table.setColumnHidden(_COLOR, not self._color_visible)

    selectionMode = QtCore.Property(int, lambda self: int(self._table.selectionMode), setSelectionMode)
    segmentCount = QtCore.Property(int, lambda self: len(self._segment_ids()))
    headerVisible = stored_property(bool, "_header_visible", "_show_columns")
    visibilityColumnVisible = stored_property(bool, "_visibility_visible", "_show_columns")
    colorColumnVisible = stored_property(bool, "_color_visible", "_show_columns")
    opacityColumnVisible = stored_property(bool, "_opacity_visible")
    statusColumnVisible = stored_property(bool, "_status_visible")
    layerColumnVisible = stored_property(bool, "_layer_visible")
    readOnly = stored_property(bool, "_read_only")
    filterBarVisible = stored_property(bool, "_filter_bar")
    jumpToSelectedSegmentEnabled = stored_property(bool, "_jump")
    useTerminologySelector = stored_property(bool, "_terminology")


@cpp_class(
    "currentNodeChanged(vtkMRMLNode*)",
    "currentNodeChanged(bool)",
    "currentSegmentChanged(QString)",
    "segmentSelectionChanged(QStringList)",
    "nodeAboutToBeEdited(vtkMRMLNode*)",
)
class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """A segmentation, and one of its segments.

    A segment stays current while it exists; when it goes, the first segment becomes current. With ``noneEnabled``
    both parts offer None. Emptying the segmentation emits nothing.
    """

    currentNodeChanged = QtCore.Signal((object,), (bool,))
    currentSegmentChanged = QtCore.Signal(str)
    segmentSelectionChanged = QtCore.Signal(list)
    nodeAboutToBeEdited = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._observations = Observations(self)
        self._segment_id = ""
        self._node_selector = qMRMLNodeComboBox()
        self._node_selector.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._segment_selector = QtWidgets.QComboBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._node_selector)
        layout.addWidget(self._segment_selector)
        self._node_selector.currentNodeChanged[object].connect(self._on_node_changed)
        self._segment_selector.currentIndexChanged.connect(self._on_segment_changed)

    def setMRMLScene(self, scene: Any) -> None:
        super().setMRMLScene(scene)
        self._node_selector.setMRMLScene(scene)

    def currentNode(self) -> Any:
        return self._node_selector.currentNode()

    def setCurrentNode(self, node: Any) -> None:
        self._node_selector.setCurrentNode(node)

    def currentNodeID(self) -> str:
        return self._node_selector.currentNodeID

    def setCurrentNodeID(self, node_id: str) -> None:
        self._node_selector.setCurrentNodeID(node_id)

    def currentSegmentID(self) -> str:
        return self._segment_id

    def setCurrentSegmentID(self, segment_id: str) -> None:
        index = self._segment_selector.findData(segment_id)
        if index >= 0:
            self._segment_selector.setCurrentIndex(index)

    def _on_node_changed(self, node: Any) -> None:
        self._observations.clear()
        if node is not None:
            segmentation = node.GetSegmentation()
            events = [segmentation.SegmentAdded, segmentation.SegmentRemoved, segmentation.SegmentModified]
            self._observations.add(node, events, self._fill)
        self._fill()
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)

    def _fill(self) -> None:
        node = self.currentNode()
        segment_ids = list(node.GetSegmentation().GetSegmentIDs()) if node is not None else []
        box = self._segment_selector
        box.blockSignals(True)
        box.clear()
        if segment_ids and self.noneEnabled:
            box.addItem("None", "")
        for segment_id in segment_ids:
            box.addItem(node.GetSegmentation().GetSegment(segment_id).GetName(), segment_id)
        kept = box.findData(self._segment_id)
        box.setCurrentIndex(kept)
        box.blockSignals(False)
        if segment_ids and kept < 0:
            box.setCurrentIndex(box.findData(segment_ids[0]))

    def _on_segment_changed(self, index: int) -> None:
        self._segment_id = self._segment_selector.itemData(index) or ""
        self.currentSegmentChanged.emit(self._segment_id)

    def _set_none_enabled(self, enabled: bool) -> None:
        self._node_selector.noneEnabled = enabled
        self._fill()

    noneEnabled = QtCore.Property(bool, lambda self: self._node_selector.noneEnabled, _set_none_enabled)
    editEnabled = QtCore.Property(
        bool,
        lambda self: self._node_selector.editEnabled,
        lambda self, on: setattr(self._node_selector, "editEnabled", on),
    )
    selectNodeUponCreation = QtCore.Property(
        bool,
        lambda self: self._node_selector.selectNodeUponCreation,
        lambda self, on: setattr(self._node_selector, "selectNodeUponCreation", on),
    )
    segmentationNodeSelectorVisible = QtCore.Property(
        bool,
        lambda self: self._node_selector.isVisible(),
        lambda self, shown: self._node_selector.setVisible(shown),
    )


@cpp_class()
class qMRMLSegmentationShow3DButton(QtWidgets.QToolButton):
    """Placeholder: remembers its node."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._segmentation_node = None
        self.setText("Show 3D")
        self.setCheckable(True)

    def segmentationNode(self) -> Any:
        return self._segmentation_node

    def setSegmentationNode(self, node: Any) -> None:
        self._segmentation_node = node

    def setMRMLScene(self, scene: Any) -> None:
        pass
