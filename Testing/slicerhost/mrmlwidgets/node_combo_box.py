"""``qMRMLNodeComboBox``: picks a node of the scene.

Facts a module meets (recorded answers, ``conformance/golden_qmrml_581.tsv``): disabled without a scene; takes the
first node when the scene is set, but not a node added later to an empty box; moves to the neighbour when its node is
removed, even with ``noneEnabled``; emits None when an empty scene is set, with ``noneEnabled`` twice;
``setCurrentNode`` refuses an ID; ``setNodeTypes`` and ``setNoneEnabled`` cannot be called, only the properties exist.
"""

from typing import Any

import vtk
from PySide6 import QtCore, QtWidgets

from ..pythonqt.cpp_widget import cpp_class, stored_property
from .observations import Observations

_CREATE, _DELETE, _RENAME = "create:", "delete", "rename"


@cpp_class(
    "currentNodeChanged(vtkMRMLNode*)",
    "currentNodeChanged(bool)",
    "currentNodeIDChanged(QString)",
    "currentNodeRenamed(QString)",
    "nodeActivated(vtkMRMLNode*)",
    "nodeAdded(vtkMRMLNode*)",
    "nodeAddedByUser(vtkMRMLNode*)",
    "nodeAddedByUserAction(vtkMRMLNode*)",
    "nodeAboutToBeRemoved(vtkMRMLNode*)",
    "nodeAboutToBeEdited(vtkMRMLNode*)",
)
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """A combo box over the nodes of some classes, with entries to create, rename and delete."""

    currentNodeChanged = QtCore.Signal((object,), (bool,))
    currentNodeIDChanged = QtCore.Signal(str)
    currentNodeRenamed = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAddedByUserAction = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    nodeAboutToBeEdited = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = None
        self._node = None
        self._node_name = ""
        self._known_nodes: list[Any] = []
        self._scene_observations = Observations(self)
        self._node_observations = Observations(self)
        self._node_types: list[str] = []
        self._hidden_child_types: list[str] = []
        self._attributes: list[tuple[str, str, str | None]] = []
        self._none_enabled = False
        self._add_enabled = True
        self._remove_enabled = True
        self._edit_enabled = False
        self._rename_enabled = False
        self._show_hidden = False
        self._show_child_types = True
        self._select_upon_creation = True
        self._none_display = "None"
        self._base_name = ""
        self._singleton_tag = "Singleton"
        self._combo_box = QtWidgets.QComboBox()
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo_box)
        self._combo_box.activated.connect(self._on_activated)
        self._refill()
        self.setEnabled(False)

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._scene = scene
        self._watch_scene()
        self.setEnabled(scene is not None)
        self._refill()
        if scene is None:
            self.setCurrentNode(None)
        elif self._none_enabled:
            for _twice in range(2):
                self._emit_current_node()
        elif self._known_nodes:
            self.setCurrentNode(self._known_nodes[0])
        else:
            self._emit_current_node()

    def currentNode(self) -> Any:
        return self._node

    def setCurrentNode(self, node: Any) -> None:
        if isinstance(node, str):
            raise TypeError("setCurrentNode: PythonQt picks the vtkMRMLNode* overload; use setCurrentNodeID")
        if node is not None and node not in self._nodes():
            node = None
        changed = node is not self._node
        if changed:
            self._hold(node)
        self._refill()
        if changed:
            self._emit_current_node()
            self.currentNodeIDChanged.emit(self._node_id())

    def setCurrentNodeID(self, node_id: str) -> None:
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if self._scene and node_id else None)

    def setCurrentNodeIndex(self, index: int) -> None:
        self.setCurrentNode(self.nodeFromIndex(index))

    def nodeCount(self) -> int:
        return len(self._nodes())

    def nodeFromIndex(self, index: int) -> Any:
        nodes = self._nodes()
        return nodes[index] if 0 <= index < len(nodes) else None

    def addNode(self, node_type: str | None = None) -> Any:
        """Create a node of the first type, or of ``node_type``, and select it unless told otherwise."""
        node_type = node_type or self._node_types[0]
        name = self._scene.GenerateUniqueName(self._base_name or self._scene.GetTagByClassName(node_type))
        node = self._scene.AddNewNodeByClass(node_type, name)
        for class_name, attribute, value in self._attributes:
            if node.IsA(class_name):
                node.SetAttribute(attribute, "" if value is None else str(value))
        if self._select_upon_creation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        if self._node is not None:
            self.nodeAboutToBeRemoved.emit(self._node)
            self._scene.RemoveNode(self._node)

    def addAttribute(self, node_type: str, name: str, value: str | None = None) -> None:
        """Show only nodes of ``node_type`` that carry this attribute (of this value, unless it is None)."""
        self._attributes.append((node_type, name, value))
        self._refill()

    def removeAttribute(self, node_type: str, name: str) -> None:
        self._attributes = [entry for entry in self._attributes if entry[:2] != (node_type, name)]
        self._refill()

    def setNodeTypeLabel(self, label: str, node_type: str) -> None:
        pass

    def nodeTypeLabel(self, node_type: str) -> str:
        return node_type

    def addMenuAction(self, action: Any) -> None:
        pass

    def _watch_scene(self) -> None:
        self._scene_observations.clear()
        scene = self._scene
        if scene is not None:
            events = [scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent]
            events += [scene.EndImportEvent, scene.EndCloseEvent, scene.EndRestoreEvent]
            self._scene_observations.add(scene, events, self._on_scene_changed)

    def _on_scene_changed(self) -> None:
        if self._scene.IsBatchProcessing():
            return
        before, nodes = self._known_nodes, self._nodes()
        if nodes == before:
            return
        self._refill()
        for node in nodes:
            if node not in before:
                self.nodeAdded.emit(node)
        if self._node is not None and self._node not in nodes:
            position = before.index(self._node) if self._node in before else 0
            self.setCurrentNode(nodes[min(position, len(nodes) - 1)] if nodes else None)

    def _nodes(self) -> list[Any]:
        """The nodes on offer, in the order of the scene."""
        if self._scene is None:
            return []
        if len(self._node_types) == 1:
            every = self._scene.GetNodesByClass(self._node_types[0])
            every.UnRegister(None)
        else:
            every = self._scene.GetNodes()
        return [node for node in every if self._offers(node)]

    def _offers(self, node: Any) -> bool:
        class_name = node.GetClassName()
        if self._show_child_types:
            fits = any(node.IsA(node_type) for node_type in self._node_types)
        else:
            fits = class_name in self._node_types
        if not fits or class_name in self._hidden_child_types:
            return False
        if node.GetHideFromEditors() and not self._show_hidden:
            return False
        return all(self._has_attribute(node, *entry) for entry in self._attributes if node.IsA(entry[0]))

    @staticmethod
    def _has_attribute(node: Any, _node_type: str, name: str, value: str | None) -> bool:
        present = node.GetAttribute(name)
        return present is not None and value in (None, present)

    def _hold(self, node: Any) -> None:
        self._node_observations.clear()
        self._node = node
        self._node_name = node.GetName() if node is not None else ""
        if node is not None:
            self._node_observations.add(node, vtk.vtkCommand.ModifiedEvent, self._on_node_modified)

    def _on_node_modified(self) -> None:
        if self._node.GetName() != self._node_name:
            self._node_name = self._node.GetName()
            self._refill()

    def _emit_current_node(self) -> None:
        self.currentNodeChanged[object].emit(self._node)
        self.currentNodeChanged[bool].emit(self._node is not None)

    def _node_id(self) -> str:
        return self._node.GetID() if self._node is not None else ""

    def _refill(self) -> None:
        self._known_nodes = self._nodes()
        box = self._combo_box
        box.blockSignals(True)
        box.clear()
        if self._none_enabled:
            box.addItem(self._none_display, None)
        elif not self._known_nodes:
            box.addItem("Select a " + (self._node_types[0] if self._node_types else "node"), None)
        for node in self._known_nodes:
            box.addItem(node.GetName(), node.GetID())
        for text, action in self._actions():
            box.addItem(text, action)
        box.setCurrentIndex(max(0, box.findData(self._node_id()) if self._node is not None else 0))
        box.blockSignals(False)

    def _actions(self) -> list[tuple[str, str]]:
        actions = []
        if self._add_enabled:
            actions += [("Create new " + node_type, _CREATE + node_type) for node_type in self._node_types]
        if self._remove_enabled and self._node is not None:
            actions.append(("Delete current node", _DELETE))
        if self._rename_enabled and self._node is not None:
            actions.append(("Rename current node", _RENAME))
        return actions

    def _on_activated(self, index: int) -> None:
        choice = self._combo_box.itemData(index) or ""
        if choice.startswith(_CREATE):
            self.nodeAddedByUserAction.emit(self.addNode(choice[len(_CREATE) :]))
        elif choice == _DELETE:
            self.removeCurrentNode()
        elif choice != _RENAME:
            self.setCurrentNodeID(choice)
            self.nodeActivated.emit(self._node)

    nodeTypes = stored_property("QStringList", "_node_types", "_refill")
    hideChildNodeTypes = stored_property("QStringList", "_hidden_child_types", "_refill")
    currentNodeID = QtCore.Property(str, _node_id, setCurrentNodeID)
    noneEnabled = stored_property(bool, "_none_enabled", "_refill")
    addEnabled = stored_property(bool, "_add_enabled", "_refill")
    removeEnabled = stored_property(bool, "_remove_enabled", "_refill")
    editEnabled = stored_property(bool, "_edit_enabled")
    renameEnabled = stored_property(bool, "_rename_enabled", "_refill")
    showHidden = stored_property(bool, "_show_hidden", "_refill")
    showChildNodeTypes = stored_property(bool, "_show_child_types", "_refill")
    selectNodeUponCreation = stored_property(bool, "_select_upon_creation")
    noneDisplay = stored_property(str, "_none_display", "_refill")
    baseName = stored_property(str, "_base_name")
    interactionNodeSingletonTag = stored_property(str, "_singleton_tag")
