"""Keeps the subject hierarchy in step with the scene; in Slicer a Qt plugin logic does.

Its rules: every visible data node added outside an import gets an item; a node that goes takes its item along unless
the scene is closing; after an import, and after closing, there is one hierarchy again and every node has its item.
"""

from collections.abc import Callable
from typing import Any

import slicer
import vtk

_DATA_NODES = ("vtkMRMLDisplayableNode", "vtkMRMLTableNode", "vtkMRMLTextNode", "vtkMRMLSequenceNode")


def follow(scene: Any) -> None:
    """Observe ``scene`` for as long as it lives."""
    scene.AddObserver(scene.NodeAddedEvent, _with_node(_on_node_added))
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, _with_node(_on_node_about_to_be_removed))
    scene.AddObserver(scene.EndImportEvent, lambda *_: _add_all(scene))
    scene.AddObserver(scene.EndCloseEvent, lambda *_: _add_all(scene))


def _with_node(handler: Callable[[Any, Any], None]) -> Callable[..., None]:
    @vtk.calldata_type(vtk.VTK_OBJECT)
    def observe(scene: Any, _event: str, node: Any) -> None:
        handler(scene, node)

    return observe


def _on_node_added(scene: Any, node: Any) -> None:
    if not scene.IsImporting() and _is_data(node):
        _add(_hierarchy(scene), node)


def _on_node_about_to_be_removed(scene: Any, node: Any) -> None:
    if scene.IsClosing() or not _is_data(node):
        return
    item = _hierarchy(scene).GetItemByDataNode(node)
    if item:
        _hierarchy(scene).RemoveItem(item, False, False)


def _add_all(scene: Any) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
    for index in range(scene.GetNumberOfNodes()):
        if _is_data(scene.GetNthNode(index)):
            _add(hierarchy, scene.GetNthNode(index))


def _is_data(node: Any) -> bool:
    if node.GetHideFromEditors() or node.IsA("vtkMRMLCameraNode"):
        return False
    return any(node.IsA(class_name) for class_name in _DATA_NODES)


def _hierarchy(scene: Any) -> Any:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def _add(hierarchy: Any, node: Any) -> None:
    if not hierarchy.GetItemByDataNode(node):
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
