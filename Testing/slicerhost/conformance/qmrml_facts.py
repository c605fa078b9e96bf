"""What do qMRMLNodeComboBox, qMRMLWidget and qMRMLSliderWidget answer from Python? See ``answers`` on running it."""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import qt
import slicer
from answers import Answers, after, assigned

Ask = Callable[[str, Callable[[], Any]], None]

VOLUME, MODEL, LABELMAP = "vtkMRMLScalarVolumeNode", "vtkMRMLModelNode", "vtkMRMLLabelMapVolumeNode"
CHANGED = "currentNodeChanged(vtkMRMLNode*)"


class Box:
    """A node combo box on a scene of its own, and what it told."""

    def __init__(self, scene: Any, types: tuple[str, ...] = (VOLUME,), **properties: Any) -> None:
        self.heard: list[Any] = []
        self.widget = slicer.qMRMLNodeComboBox()
        self.widget.nodeTypes = list(types)
        for name, value in properties.items():
            setattr(self.widget, name, value)
        self.widget.connect(CHANGED, lambda node: self.heard.append(node))
        self.widget.setMRMLScene(scene)

    @property
    def node(self) -> Any:
        return self.widget.currentNode()

    @property
    def count(self) -> int:
        return self.widget.nodeCount()


def ask_all(ask: Ask) -> None:
    without_scene(ask)
    scene = slicer.vtkMRMLScene()
    box = existing_nodes(ask, scene)
    nodes_added_later(ask, scene, box)
    box = none_enabled(ask, scene)
    child_types_and_hidden_nodes(ask, scene, box)
    created_nodes(ask, scene)
    attributes(ask, scene)
    closing_the_scene(ask, scene)
    widgets_with_a_scene(ask, scene)
    two_types(ask)


def added(scene: Any, name: str, node_class: str = VOLUME) -> Any:
    return scene.AddNewNodeByClass(node_class, name)


def settle() -> None:
    for _ in range(5):
        qt.QApplication.processEvents()
        time.sleep(0.002)


def without_scene(ask: Ask) -> None:
    box = slicer.qMRMLNodeComboBox()
    names = "nodeTypes noneEnabled addEnabled removeEnabled editEnabled renameEnabled showHidden showChildNodeTypes"
    names += " hideChildNodeTypes selectNodeUponCreation noneDisplay baseName currentNodeID enabled"
    names += " interactionNodeSingletonTag"
    for name in names.split():
        ask("default." + name, lambda name=name: getattr(box, name))
    ask("nodes before scene", lambda: box.nodeCount())
    ask("currentNode none", lambda: box.currentNode())
    ask("mrmlScene none", lambda: box.mrmlScene())
    ask("setNodeTypes callable", lambda: box.setNodeTypes(["x"]))
    ask("setNoneEnabled callable", lambda: box.setNoneEnabled(True))
    ask("nodes()", lambda: box.nodes())
    ask("model()", lambda: box.model() is not None)
    ask("addAttribute", lambda: box.addAttribute(VOLUME, "k", "1"))


def existing_nodes(ask: Ask, scene: Any) -> Box:
    a, b = added(scene, "A"), added(scene, "B")
    box = Box(scene)
    settle()
    ask("existing nodes: current", lambda: box.node)
    ask("existing: emitted", lambda: box.heard)
    ask("nodeCount", lambda: box.count)
    ask("nodeFromIndex(1)", lambda: box.widget.nodeFromIndex(1))
    ask("setCurrentNode B", lambda: after(box.widget.setCurrentNode(b), box.node))
    ask("emitted B", lambda: box.heard[-1:])
    before = len(box.heard)
    ask("setCurrentNode same", lambda: after(box.widget.setCurrentNode(b), len(box.heard) - before))
    ask("currentNodeID", lambda: box.widget.currentNodeID == b.GetID())
    ask("setCurrentNodeID", lambda: after(box.widget.setCurrentNodeID(a.GetID()), box.node))
    ask("setCurrentNode(None)", lambda: after(box.widget.setCurrentNode(None), box.node))
    ask("setCurrentNode(id)", lambda: after(box.widget.setCurrentNode(b.GetID()), box.node))
    ask("currentNodeID=", lambda: after(setattr(box.widget, "currentNodeID", a.GetID()), box.node))
    ask("bad id", lambda: after(box.widget.setCurrentNodeID("nope"), box.node))
    box.widget.setCurrentNode(a)
    for node, name in ((a, "remove current"), (b, "remove last")):
        box.heard.clear()
        scene.RemoveNode(node)
        settle()
        ask(name + " -> current", lambda: box.node)
        ask(name + " emitted", lambda: box.heard)
    return box


def nodes_added_later(ask: Ask, scene: Any, box: Box) -> None:
    box.heard.clear()
    added(scene, "D")
    settle()
    ask("add to empty -> current", lambda: box.node)
    ask("add to empty emitted", lambda: box.heard)
    added(scene, "E")
    settle()
    ask("add second -> current", lambda: box.node)


def none_enabled(ask: Ask, scene: Any) -> Box:
    d = scene.GetFirstNodeByName("D")
    box = Box(scene, noneEnabled=True)
    settle()
    ask("none: current", lambda: box.node)
    ask("none: emitted", lambda: box.heard)
    box.widget.setCurrentNode(d)
    ask("none: set", lambda: box.node)
    scene.RemoveNode(d)
    settle()
    ask("none: remove current", lambda: box.node)
    ask("none emitted", lambda: len(box.heard))
    return box


def child_types_and_hidden_nodes(ask: Ask, scene: Any, box: Box) -> None:
    added(scene, "LM", LABELMAP)
    settle()
    ask("child type shown", lambda: box.count)
    box.widget.showChildNodeTypes = False
    settle()
    ask("child types hidden", lambda: box.count)
    box.widget.showChildNodeTypes = True
    box.widget.hideChildNodeTypes = [LABELMAP]
    settle()
    ask("hideChildNodeTypes", lambda: box.count)
    added(scene, "H").SetHideFromEditors(1)
    settle()
    ask("hidden node", lambda: box.count)
    box.widget.showHidden = True
    settle()
    ask("showHidden", lambda: box.count)
    ask("setCurrentNode other type", lambda: after(box.widget.setCurrentNode(added(scene, "M", MODEL)), box.node))


def created_nodes(ask: Ask, scene: Any) -> None:
    box = Box(scene, baseName="Out", noneEnabled=True)
    told: list[Any] = []
    box.widget.connect("nodeAddedByUser(vtkMRMLNode*)", lambda node: told.append(node))
    box.widget.connect("nodeAdded(vtkMRMLNode*)", lambda node: told.append(("added", node.GetName())))
    ask("addNode()", lambda: box.widget.addNode())
    settle()
    ask("addNode current", lambda: box.node)
    ask("addNode signals", lambda: told)
    ask("removeCurrentNode", lambda: after((box.widget.removeCurrentNode(), settle()), box.node))
    other = Box(scene, selectNodeUponCreation=False, noneEnabled=True)
    ask("addNode no select", lambda: after((other.widget.addNode(), settle()), other.node))
    renamed = Box(scene)
    node = scene.GetFirstNodeByName("E")
    renamed.widget.setCurrentNode(node)
    names: list[str] = []
    renamed.widget.connect("currentNodeRenamed(QString)", lambda name: names.append(name))
    node.SetName("New")
    settle()
    ask("renamed signal", lambda: names)


def attributes(ask: Ask, scene: Any) -> None:
    box = Box(scene)
    box.widget.addAttribute(VOLUME, "k", "1")
    settle()
    ask("attribute filter", lambda: box.count)
    added(scene, "Q").SetAttribute("k", "1")
    settle()
    ask("attribute match", lambda: box.count)
    ask("connect bool", lambda: box.widget.connect("currentNodeChanged(bool)", lambda valid: 0))
    ask("connect id", lambda: box.widget.connect("currentNodeIDChanged(QString)", lambda node_id: 0))
    ask("sig.connect", lambda: box.widget.currentNodeChanged.connect(lambda node: 0))


def closing_the_scene(ask: Ask, scene: Any) -> None:
    box = Box(scene, noneEnabled=True)
    box.widget.setCurrentNode(scene.GetFirstNodeByName("New"))
    box.heard.clear()
    scene.Clear(0)
    settle()
    ask("scene clear current", lambda: box.node)
    ask("scene clear emitted", lambda: box.heard)
    ask("scene clear count", lambda: box.count)
    silent = Box(scene)
    silent.widget.blockSignals(True)
    silent.widget.setCurrentNode(added(scene, "Z"))
    silent.widget.blockSignals(False)
    ask("blockSignals set", lambda: (silent.node, len(silent.heard)))
    ask("setMRMLScene(None)", lambda: after((silent.widget.setMRMLScene(None), settle()), silent.node))
    ask("nodeCount no scene", lambda: silent.count)


def widgets_with_a_scene(ask: Ask, scene: Any) -> None:
    widget = slicer.qMRMLWidget()
    told: list[bool] = []
    widget.connect("mrmlSceneChanged(vtkMRMLScene*)", lambda new: told.append(new is not None))
    widget.setMRMLScene(scene)
    ask("qMRMLWidget.mrmlScene", lambda: widget.mrmlScene() == scene)
    ask("mrmlSceneChanged", lambda: told)
    widget.setMRMLScene(scene)
    ask("mrmlSceneChanged once", lambda: len(told))
    widget.setMRMLScene(None)
    ask("mrmlSceneChanged None", lambda: told)
    slider = slicer.qMRMLSliderWidget()
    ask("qMRMLSliderWidget", lambda: [slider.minimum, slider.maximum, slider.value, slider.quantity])
    ask("slider.value", lambda: assigned(slider, "value", 12.25))


def two_types(ask: Ask) -> None:
    scene = slicer.vtkMRMLScene()
    added(scene, "m1", MODEL)
    added(scene, "v1")
    added(scene, "m2", MODEL)
    box = Box(scene, (VOLUME, MODEL))
    settle()
    ask("two types order", lambda: [box.widget.nodeFromIndex(index) for index in range(box.count)])
    ask("two types current", lambda: box.node)
    ask("enabled set", lambda: assigned(box.widget, "enabled", False))
    ask("toolTip", lambda: assigned(box.widget, "toolTip", "x"))
    ask("wrong attr", lambda: assigned(box.widget, "foo", 1))
    ask("currentNode attr", lambda: callable(box.widget.currentNode))
    ask("set none via index", lambda: after(box.widget.setCurrentNodeIndex(-1), box.node))


if __name__ == "__main__":
    answers = Answers()
    ask_all(answers.ask)
    sys.stdout.write(answers.lines())
