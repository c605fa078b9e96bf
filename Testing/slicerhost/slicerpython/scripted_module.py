"""Stands for ``slicer.ScriptedLoadableModule``: the base classes of a scripted module.

Written against the documented contract (Slicer developer guide, "Scripted modules"): what ``parent`` gets, when
``cleanup`` is called, which parameter node belongs to a logic, how ``slicer.selfTests`` is filled.
"""

import importlib
import os
import unittest
from typing import Any

import qt
import slicer
import slicer.util

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
    "ScriptedLoadableModuleWidget",
]

_UNLOADED = "moduleAboutToBeUnloaded(QString)"


def _without(suffix: str, name: str) -> str:
    return name[: -len(suffix)] if name.endswith(suffix) else name


class ScriptedLoadableModule:
    """The module itself: fills in what ``slicer.modules.x`` tells about it, and registers its self test."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        parent.title = ""
        parent.categories = []
        parent.dependencies = []
        parent.contributors = []
        parent.helpText = ""
        parent.acknowledgementText = ""
        for suffix in (".svg", ".png"):
            icon = self.resourcePath("Icons/" + self.moduleName + suffix)
            if os.path.isfile(icon):
                parent.icon = qt.QIcon(icon)
                break
        if not hasattr(slicer, "selfTests"):
            slicer.selfTests = {}
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename: str) -> str:
        return os.path.join(os.path.dirname(self.parent.path), "Resources", filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        return ""

    def runTest(self, msec: int = 100, **keywords: Any) -> None:
        """Run class ``<Module>Test`` of the module's file."""
        test_class = getattr(importlib.import_module(type(self).__module__), self.moduleName + "Test")
        test = test_class()
        test.messageDelay = msec
        test.runTest(**keywords)


class ScriptedLoadableModuleWidget:
    """The panel. Without a parent it makes its own window, as Slicer's does."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = _without("Widget", type(self).__name__)
        self.developerMode = False
        self.parent = parent or self._top_level_parent()
        self.layout = self.parent.layout()
        if not parent:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect(_UNLOADED, self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", filename)

    def setup(self) -> None:
        """To be overridden."""

    def cleanup(self) -> None:
        """To be overridden."""

    def onReload(self) -> None:
        slicer.util.reloadScriptedModule(self.moduleName)

    def _onModuleAboutToBeUnloaded(self, moduleName: str) -> None:
        """``slicer.util.reloadScriptedModule`` disconnects this by its name."""
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect(_UNLOADED, self._onModuleAboutToBeUnloaded)

    @staticmethod
    def _top_level_parent() -> Any:
        parent = slicer.qMRMLWidget()
        parent.setLayout(qt.QVBoxLayout())
        parent.setMRMLScene(slicer.mrmlScene)
        return parent


class ScriptedLoadableModuleLogic:
    """Gives a module its parameter node: one per scene, unless ``isSingletonParameterNode`` is switched off."""

    def __init__(self, parent: Any = None) -> None:
        self.moduleName = _without("Logic", type(self).__name__)
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        else:
            node = next(iter(self.getAllParameterNodes()), None)
        if node is None:
            return slicer.mrmlScene.AddNode(self.createParameterNode())
        node.SetAttribute("ModuleName", self.moduleName)
        return node

    def getAllParameterNodes(self) -> list[Any]:
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> Any:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A module's self test; ``runTest`` runs every test method unless it is overridden."""

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self.moduleTestNames = [name for name in dir(self) if name.startswith("test")]

    def delayDisplay(self, message: str, *_delay: Any, **_keywords: Any) -> None:
        slicer.util.delayDisplay(message, 0)

    def runTest(self) -> None:
        for name in self.moduleTestNames:
            self.setUp()
            getattr(self, name)()
            self.tearDown()
