"""``slicer.app``: a QApplication with a real scene and real application logic.

What Slicer's start-up does around the scene (qSlicerCoreApplication) is done here, as far as MRML needs it: colour
nodes, slice orientations, the data IO manager without which a .mrb cannot be read, and the subject hierarchy. The
application is in testing mode, as under ``Slicer --testing``: ``slicer.util``'s
dialogs do not wait for anyone.
"""

import os
import shutil
import stat
import sys
import tempfile
import types
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from ..ctkwidgets.settings import ctkSettingsDialog
from ..pythonqt.cpp_widget import cpp_class
from ..views.layout_manager import qSlicerLayoutManager
from . import subject_hierarchy
from .io_manager import qSlicerIOManager
from .main_window import qSlicerMainWindow
from .modules import Module, qSlicerModuleManager


@cpp_class("startupCompleted()")
class qSlicerApplication(QtWidgets.QApplication):
    """One per process. Its folders, settings and temporary files are its own and go with it."""

    startupCompleted = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__(["SlicerHost"])
        self._temporary_path = tempfile.mkdtemp(prefix="slicerhost-")
        self.setStyle("Fusion")
        self._settings = self._make_settings()
        self._put_python_slicer_on_path()
        self._scene = slicer.vtkMRMLScene()
        self._logic = slicer.vtkSlicerApplicationLogic()
        self._prepare_scene()
        self._remote_io, self._data_io = self._prepare_io()
        self._module_manager = qSlicerModuleManager()
        self._io_manager = qSlicerIOManager(self._scene, self._logic)
        self._layout_manager: qSlicerLayoutManager | None = None
        self._main_window: qSlicerMainWindow | None = None
        self._settings_dialog: ctkSettingsDialog | None = None

    def start(self, views: bool = True, mainWindow: bool = True) -> "qSlicerApplication":
        """Load the modules' logics, then make the views and the main window."""
        share = os.path.join(self._temporary_path, "share")
        self._module_manager.hostLoadLogics(self._logic, self._scene, share)
        subject_hierarchy.follow(self._scene)
        if views:
            self._layout_manager = qSlicerLayoutManager(self._logic, self._scene)
            if mainWindow:
                self._main_window = qSlicerMainWindow(self._layout_manager.viewport())
        self.startupCompleted.emit()
        return self

    def loadScriptedModule(self, path: str) -> Module:
        """Not in Slicer, which finds modules by its settings: load the module in this file."""
        return self._module_manager.hostLoadScript(path)

    def unloadScriptedModule(self, name: str) -> None:
        """Not in Slicer: leave and unload one module, as the application does with all when it quits."""
        if self._main_window is not None and self._main_window.moduleSelector().selectedModule == name:
            self._main_window.moduleSelector().selectModule("")
        self._module_manager.hostUnload(name)

    def shutDown(self) -> None:
        """Not in Slicer: what quitting does there. Leave the module, unload all, remove the temporary files."""
        if self._main_window is not None:
            self._main_window.close()
        self._module_manager.factoryManager().unloadModules()
        self.processEvents()
        shutil.rmtree(self._temporary_path, ignore_errors=True)

    def mrmlScene(self) -> Any:
        return self._scene

    def applicationLogic(self) -> Any:
        return self._logic

    def moduleLogic(self, name: str) -> Any:
        return self._logic.GetModuleLogic(name)

    def layoutManager(self) -> qSlicerLayoutManager | None:
        return self._layout_manager

    def mainWindow(self) -> qSlicerMainWindow | None:
        return self._main_window

    def moduleManager(self) -> qSlicerModuleManager:
        return self._module_manager

    def coreIOManager(self) -> qSlicerIOManager:
        return self._io_manager

    def ioManager(self) -> qSlicerIOManager:
        return self._io_manager

    def settings(self) -> QtCore.QSettings:
        return self._settings

    def userSettings(self) -> QtCore.QSettings:
        return self._settings

    def revisionUserSettings(self) -> QtCore.QSettings:
        return self._settings

    def settingsDialog(self) -> ctkSettingsDialog:
        if self._settings_dialog is None:
            self._settings_dialog = ctkSettingsDialog()
        return self._settings_dialog

    def openSettingsDialog(self, settingsPanel: str = "") -> None:
        """In Slicer it waits until the dialog is closed."""
        if settingsPanel:
            self.settingsDialog().setCurrentPanel(settingsPanel)
        self.settingsDialog().show()

    def testingEnabled(self) -> bool:
        return True

    def commandOptions(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(noMainWindow=False, runPythonAndExit=True, testingEnabled=True)

    def environment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment.systemEnvironment()

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment.systemEnvironment()

    def pauseRender(self) -> None:
        self.setRenderPaused(True)

    def resumeRender(self) -> None:
        self.setRenderPaused(False)

    def setRenderPaused(self, paused: bool) -> None:
        if self._layout_manager is not None:
            self._layout_manager.setRenderPaused(paused)

    def pythonConsole(self) -> None:
        return None

    def extensionsManagerModel(self) -> None:
        return None

    def errorLogModel(self) -> types.SimpleNamespace:
        return types.SimpleNamespace(postEntry=lambda *entry: None)

    def moduleDocumentationUrl(self, name: str) -> str:
        return self.documentationBaseUrl + name

    def restart(self) -> None:
        raise RuntimeError("host: restart requested")

    def translate(self, context: str, text: str) -> str:
        return text

    def _make_settings(self) -> QtCore.QSettings:
        """Also what ``qt.QSettings()`` opens, so that no test ever sees the user's settings."""
        self.setOrganizationName("slicerhost")
        self.setApplicationName("Slicer")
        ini, user = QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope
        for file_format in (ini, QtCore.QSettings.Format.NativeFormat):
            QtCore.QSettings.setPath(file_format, user, self._temporary_path)
        QtCore.QSettings.setDefaultFormat(ini)
        return QtCore.QSettings()

    def _put_python_slicer_on_path(self) -> None:
        """``PythonSlicer``, which ``slicer.util`` looks for on PATH, is this interpreter."""
        folder = os.path.join(self._temporary_path, "bin")
        os.makedirs(folder)
        launcher = os.path.join(folder, "PythonSlicer")
        with open(launcher, "w", encoding="utf-8") as script:
            script.write(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        os.chmod(launcher, os.stat(launcher).st_mode | stat.S_IXUSR)
        os.environ["PATH"] = folder + os.pathsep + os.environ["PATH"]

    def _prepare_scene(self) -> None:
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self._scene.AddNode(crosshair)
        self._logic.SetMRMLScene(self._scene)
        self._logic.SetSliceLogics(vtk.vtkCollection())
        self._logic.SetViewLogics(vtk.vtkCollection())
        self._logic.GetColorLogic().SetMRMLScene(self._scene)
        self._logic.GetColorLogic().AddDefaultColorNodes()
        self._logic.SetTemporaryPath(self._temporary_path)
        self._logic.SetHomeDirectory(self._temporary_path)
        self._logic.SetShareDirectory("share")
        os.makedirs(os.path.join(self._temporary_path, "share", "ColorFiles"))  # MRML warns where there is none
        for factory in (
            slicer.vtkMRMLThreeDViewDisplayableManagerFactory,
            slicer.vtkMRMLSliceViewDisplayableManagerFactory,
        ):
            factory.GetInstance().SetMRMLApplicationLogic(self._logic)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self._scene, True)

    def _prepare_io(self) -> Any:
        remote_io = slicer.vtkMRMLRemoteIOLogic()
        remote_io.SetMRMLScene(self._scene)
        remote_io.SetMRMLApplicationLogic(self._logic)
        remote_io.GetCacheManager().SetRemoteCacheDirectory(self._make_cache())
        data_io = slicer.vtkDataIOManagerLogic()
        data_io.SetMRMLScene(self._scene)
        data_io.SetMRMLApplicationLogic(self._logic)
        data_io.SetAndObserveDataIOManager(remote_io.GetDataIOManager())
        remote_io.AddDataIOToScene()
        return remote_io, data_io

    def _make_cache(self) -> str:
        """The cache manager deletes nothing in a folder without this mark, and says so."""
        os.makedirs(self.cachePath)
        with open(os.path.join(self.cachePath, ".slicer-cache"), "w", encoding="utf-8"):
            return self.cachePath

    temporaryPath = property(lambda self: self._temporary_path)
    cachePath = property(lambda self: os.path.join(self._temporary_path, "cache"))
    slicerHome = property(lambda self: self._temporary_path)
    extensionsInstallPath = property(lambda self: self._temporary_path)
    slicerSharePath = property(lambda self: "share/Slicer-5.12")
    slicerUserSettingsFilePath = property(lambda self: self._settings.fileName())
    documentationBaseUrl = property(lambda self: "https://slicer.readthedocs.io/")
    majorVersion = property(lambda self: 5)
    minorVersion = property(lambda self: 12)
    revision = property(lambda self: "0")
    os = property(lambda self: "linux")
    arch = property(lambda self: "amd64")
    platform = property(lambda self: "linux-amd64")
    mainApplicationName = property(lambda self: "Slicer")
    isInstalled = property(lambda self: True)
