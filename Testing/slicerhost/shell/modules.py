"""``slicer.modules``: loadable modules as real logics, scripted modules as Slicer loads them.

Rules of Slicer followed here:

* A scripted module ``X.py`` is executed as Python module ``X``; its class ``X`` gets the module object as parent and
  becomes ``slicer.modules.XInstance``; the module itself is ``slicer.modules.x``.
* The panel is made on the first ``widgetRepresentation()``: class ``XWidget`` gets a parent with a layout and the
  scene, becomes ``slicer.modules.XWidget``, and its ``setup()`` is called.
* Before a module is unloaded the module manager emits ``moduleAboutToBeUnloaded(QString)``, on which the widget calls
  its ``cleanup()``. Slicer unloads all modules when it quits.

Stricter than Slicer: an exception in ``setup``, ``enter`` or ``exit`` is raised, not only printed.
"""

import importlib.util
import os
import sys
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from ..mrmlwidgets.base import qSlicerWidget
from ..pythonqt.cpp_widget import cpp_class

LOADABLE_MODULES = {
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Colors": "vtkSlicerColorLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Data": "vtkSlicerDataModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Reformat": "vtkSlicerReformatLogic",
    "SceneViews": "vtkSlicerSceneViewsModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "ViewControllers": "vtkSlicerViewControllersLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}
"""Module name to the class of its logic, as far as the slicer-core wheel has it."""


class Module:
    """``slicer.modules.x``. The attributes are those a scripted module's class sets on its parent."""

    def __init__(self, name: str, logic: Any = None, path: str = "") -> None:
        self.name = name
        self.title = name
        self.path = path
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.contributors: list[str] = []
        self.associatedNodeTypes: list[str] = []
        self.helpText = ""
        self.acknowledgementText = ""
        self.defaultDocumentationLink = ""
        self.icon = None
        self.hidden = False
        self._logic = logic
        self._representation: qSlicerScriptedLoadableModuleWidget | None = None

    def logic(self) -> Any:
        return self._logic

    def widgetRepresentation(self) -> "qSlicerScriptedLoadableModuleWidget":
        """The panel, made on the first call."""
        if self._representation is None:
            self._representation = self.createNewWidgetRepresentation()
        return self._representation

    def createNewWidgetRepresentation(self) -> "qSlicerScriptedLoadableModuleWidget":
        return qSlicerScriptedLoadableModuleWidget(self)


@cpp_class()
class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """What a scripted module's widget class gets as ``parent``."""

    def __init__(self, module: Module) -> None:
        super().__init__()
        self._module = module
        self._is_entered = False
        self._python_widget: Any = None
        self.setObjectName(module.name + "ModuleWidget")
        self.setWindowTitle(module.title)
        self.setLayout(QtWidgets.QVBoxLayout())
        self.setMRMLScene(slicer.mrmlScene)
        self.reload()

    def reload(self) -> None:
        """Make a new widget of the class as it now is; ``slicer.util.reloadScriptedModule`` calls this."""
        name = self._module.name
        widget_class = getattr(sys.modules[name], name + "Widget")
        self._python_widget = widget_class(self)
        setattr(slicer.modules, name + "Widget", self._python_widget)
        self._python_widget.setup()

    def self(self) -> Any:
        """The Python widget, as PythonQt hands it out."""
        return self._python_widget

    def enter(self) -> None:
        self._is_entered = True
        self._call("enter")

    def exit(self) -> None:
        self._is_entered = False
        self._call("exit")

    def _call(self, name: str) -> None:
        """The methods a module may leave out."""
        method = getattr(self._python_widget, name, None)
        if method is not None:
            method()

    isEntered = property(lambda self: self._is_entered)
    moduleName = property(lambda self: self._module.name)


@cpp_class("moduleLoaded(QString)", "moduleAboutToBeUnloaded(QString)")
class qSlicerModuleManager(QtCore.QObject):
    """``slicer.app.moduleManager()``."""

    moduleLoaded = QtCore.Signal(str)
    moduleAboutToBeUnloaded = QtCore.Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, Module] = {}
        self._factory_manager = qSlicerModuleFactoryManager(self)

    def factoryManager(self) -> "qSlicerModuleFactoryManager":
        return self._factory_manager

    def module(self, name: str) -> Module | None:
        return self._modules.get(name)

    def modulesNames(self) -> list[str]:
        return list(self._modules)

    def hostLoadLogics(self, application_logic: Any, scene: Any, share_directory: str) -> None:
        """Make every loadable module's logic, as its C++ module would at start-up."""
        for name, logic_class in LOADABLE_MODULES.items():
            logic = getattr(slicer, logic_class)()
            if hasattr(logic, "SetModuleShareDirectory"):
                share = os.path.join(share_directory, name)
                os.makedirs(share, exist_ok=True)
                logic.SetModuleShareDirectory(share)
            logic.SetMRMLApplicationLogic(application_logic)
            logic.SetMRMLScene(scene)
            application_logic.SetModuleLogic(name, logic)
            self._register(Module(name, logic))

    def hostLoadScript(self, path: str) -> Module:
        """Load a scripted module from its file."""
        path = os.path.abspath(path)
        folder, file_name = os.path.split(path)
        name = os.path.splitext(file_name)[0]
        if folder not in sys.path:
            sys.path.insert(0, folder)
        spec = importlib.util.spec_from_file_location(name, path)
        script = importlib.util.module_from_spec(spec)
        sys.modules[name] = script
        spec.loader.exec_module(script)
        module = Module(name, path=path)
        setattr(slicer.modules, name + "Instance", getattr(script, name)(module))
        self._register(module)
        self.moduleLoaded.emit(name)
        return module

    def hostUnload(self, name: str) -> None:
        """Tell the module, so that it can clean up, and forget it."""
        self.moduleAboutToBeUnloaded.emit(name)
        module = self._modules.pop(name)
        for attribute in (name.lower(), name + "Instance", name + "Widget"):
            slicer.modules.__dict__.pop(attribute, None)
        if module._representation is not None:
            module._representation.deleteLater()

    def _register(self, module: Module) -> None:
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)
        setattr(slicer.moduleNames, module.name, module.name)


@cpp_class()
class qSlicerModuleFactoryManager(QtCore.QObject):
    """``slicer.app.moduleManager().factoryManager()``."""

    def __init__(self, module_manager: qSlicerModuleManager) -> None:
        super().__init__()
        self._module_manager = module_manager

    def loadedModuleNames(self) -> list[str]:
        return self._module_manager.modulesNames()

    def registeredModuleNames(self) -> list[str]:
        return self._module_manager.modulesNames()

    def isRegistered(self, name: str) -> bool:
        return self._module_manager.module(name) is not None

    def isLoaded(self, name: str) -> bool:
        return self._module_manager.module(name) is not None

    def loadedModule(self, name: str) -> Module | None:
        return self._module_manager.module(name)

    def unloadModules(self) -> None:
        """All of them, the last loaded first."""
        for name in reversed(self.loadedModuleNames()):
            self._module_manager.hostUnload(name)
