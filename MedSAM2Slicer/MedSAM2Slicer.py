"""The module as Slicer loads it: thin shells around MedSAM2SlicerLib, and the self test."""

from __future__ import annotations

import sys
from pathlib import Path

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from MedSAM2SlicerLib.EngineProcess import EngineProcess
from MedSAM2SlicerLib.EngineSection import EngineSection
from MedSAM2SlicerLib.EngineVolume import EngineVolume
from MedSAM2SlicerLib.Environment import EngineEnvironment
from MedSAM2SlicerLib.LesionPanel import LesionPanel
from MedSAM2SlicerLib.ModuleDescription import acknowledgementText, helpText
from MedSAM2SlicerLib.Panel import Panel
from MedSAM2SlicerLib.PanelSelfTest import runPanelSelfTest
from MedSAM2SlicerLib.ParameterNode import MedSAM2SlicerParameterNode
from MedSAM2SlicerLib.PromptKinds import BOX, LASSO, NEGATIVE, POSITIVE, SCRIBBLE
from MedSAM2SlicerLib.SampleCases import registerSampleCases
from MedSAM2SlicerLib.SegmentationController import SegmentationController
from MedSAM2SlicerLib.SelfTest import runParts, runSelfTest
from MedSAM2SlicerLib.Shortcuts import Shortcuts
from MedSAM2SlicerLib.ShortcutsPanel import SETTINGS_TITLE, ShortcutsPanel
from MedSAM2SlicerLib.ShortcutsSettings import addShortcutsSettings
from MedSAM2SlicerLib.SliceStripPanel import SliceStripPanel
from MedSAM2SlicerLib.UnfinishedChange import takeBackUnfinished
from MedSAM2SlicerLib.WindowChoice import promptNodes, windowOfRequest
from MedSAM2SlicerLib.WindowPanel import WindowPanel

OWN_PACKAGES = ("MedSAM2SlicerLib", "medsam2_protocol")
# Before the node selectors: they would go on to a neighbour of the node that disappears.
BEFORE_SELECTORS = 10.0


class MedSAM2Slicer(ScriptedLoadableModule):
    """What the module list shows. `shortcutsSettings` is the module's page of Slicer's settings."""

    shortcutsSettings = None

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("MedSAM2Slicer")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "Markups"]
        self.parent.contributors = ["MedSAM2Slicer developers"]
        self.parent.helpText = helpText()
        self.parent.acknowledgementText = acknowledgementText()
        callOnceStarted(onStartupCompleted)


class MedSAM2SlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Puts the parts together and tells them of the scene's and the module's life."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.uiWidget = None
        self.ui = None
        self.engine = None
        self.engineVolume = None
        self.engineSection = None
        self.controller = None
        self.panel = None
        self.windowPanel = None
        self.lesionPanel = None
        self.sliceStripPanel = None
        self.shortcuts = None
        self.shortcutsPanel = None
        self._parameters = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.uiWidget = slicer.util.loadUI(self.resourcePath("UI/MedSAM2Slicer.ui"))
        self.layout.addWidget(self.uiWidget)
        self.ui = slicer.util.childWidgetVariables(self.uiWidget)
        self.uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = MedSAM2SlicerLogic()
        self.engine = EngineProcess(EngineEnvironment(Path(__file__).resolve().parent))
        self.engineVolume = EngineVolume(self.engine, slicer.app.temporaryPath)
        self.controller = SegmentationController(self.engine, self.engineVolume)
        self.panel = Panel(self.ui, self.controller, self.engine)
        self.engineSection = EngineSection(
            self.ui, self.controller, self.engine, Path(__file__).resolve().parent, self.resourcePath
        )
        self.engineSection.choice.onChosen = self.engineSection.zoom.onChosen = self.previewAgain
        self._embedWindowPanel()
        self._embedLesionPanel()
        self._embedSliceStrip()
        self.controller.news.onChanged = self.updatePanels
        self.engine.onChanged = self.controller.news.changed
        self.engine.together = self.controller.news.afterViews
        self._embedShortcuts()
        self._observeScene()
        self.initializeParameterNode()
        # After a reload nobody calls enter().
        if self.parent.isEntered:
            self.enter()

    def cleanup(self):
        self.controller.readiness.end()
        self.sliceStripPanel.exit()
        self.shortcuts.remove()
        self.setParameterNode(None)
        self.engineSection.stop()
        self.engine.kill()
        self.controller.news.stop()
        self.engineVolume.removeFiles()
        self.removeObservers()
        # Slicer keeps the widgets of before a reload, hidden; they need not follow the scene for ever.
        self.uiWidget.setMRMLScene(None)

    def enter(self):
        self.initializeParameterNode()
        self.shortcuts.install()
        self.lesionPanel.onEntered()
        self.controller.enter()
        self.sliceStripPanel.enter()
        self.controller.readiness.begin()
        self.panel.update()

    def exit(self):
        self.controller.readiness.end()
        self.sliceStripPanel.exit()
        self.shortcuts.remove()
        self.controller.leave()

    def onReload(self):
        """Slicer reloads this file only; our packages must be read again as well."""
        for name in [name for name in sys.modules if name.partition(".")[0] in OWN_PACKAGES]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def initializeParameterNode(self):
        node = self.logic.getParameterNode()
        if self._parameters is None or self._parameters.parameterNode is not node.parameterNode:
            self.setParameterNode(node)
        if self._parameters.volume is None:
            self._parameters.volume = displayedVolume()

    def setParameterNode(self, parameters):
        if self._parameters is not None:
            self._unobserveParameters()
        self._parameters = parameters
        self.controller.setParameters(parameters)
        self.panel.setParameters(parameters)
        self.engineSection.setParameters(parameters)
        self.windowPanel.setParameters(parameters)
        self.lesionPanel.setParameters(parameters)
        if parameters is not None:
            self._observeParameters()

    def onParametersModified(self, _caller, _event):
        with self.controller.news.together():
            self.controller.onParametersModified()
            self.controller.news.changed()
        self.controller.readiness.later()

    def updatePanels(self):
        self.panel.update()
        self.engineSection.update()
        self.windowPanel.update()
        self.lesionPanel.update()
        self.sliceStripPanel.update()

    def cancel(self):
        """The name that is being edited, or whatever the controller is busy with."""
        if self.lesionPanel.isEditingName:
            self.lesionPanel.cancelEditing()
        else:
            self.controller.cancel()

    def previewAgain(self):
        """Another window, model or device was chosen."""
        nodes = promptNodes(self._parameters)
        if nodes and self.controller.hasPreview and not self.controller.isPropagating:
            self.controller.predict(nodes[-1])

    def onSceneStartClose(self, _caller, _event):
        self.setParameterNode(None)

    def onSceneEndClose(self, _caller, _event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneStartImport(self, _caller, _event):
        self.panel.setParameters(None)
        self.engineSection.setParameters(None)
        self.windowPanel.setParameters(None)
        self.lesionPanel.setParameters(None)

    def onSceneEndImport(self, _caller, _event):
        """The parameter node was read before the nodes it refers to, and the wrapper keeps what it saw then: none."""
        if self._parameters is not None:
            # Observers are told in the order of their age, and the wrapper has to hear of a change before we ask it.
            self._unobserveParameters()
            self._parameters = self.logic.getParameterNode()
            self._observeParameters()
            self.controller.onSceneImported(self._parameters)
        else:
            takeBackUnfinished()
        self.panel.setParameters(self._parameters)
        self.engineSection.setParameters(self._parameters)
        self.windowPanel.setParameters(self._parameters)
        self.lesionPanel.setParameters(self._parameters)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAboutToBeRemoved(self, _caller, _event, node):
        self.controller.onNodeAboutToBeRemoved(node)
        if self._parameters is not None and node is self._parameters.volume:
            self._parameters.volume = None
        if self._parameters is not None and node is self._parameters.segmentation:
            self._parameters.segmentation = None

    def onNodeRemoved(self, _caller, _event):
        """A prompt may have been deleted in another module."""
        if self._parameters is not None:
            self.panel.update()

    def _observeParameters(self):
        self.addObserver(self._parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)

    def _unobserveParameters(self):
        self.removeObserver(self._parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParametersModified)

    def _embedWindowPanel(self):
        self.windowPanel = WindowPanel(self.resourcePath("UI/WindowPanel.ui"))
        self.windowPanel.onChosen = self.previewAgain
        self.controller.runs.windowFor = lambda prompts, index: windowOfRequest(self._parameters, index)
        self.ui.inputsButton.layout().addRow(_("Window:"), self.windowPanel.widget)

    def _embedLesionPanel(self):
        self.lesionPanel = LesionPanel(self.resourcePath("UI/LesionPanel.ui"), self.controller)
        self.ui.lesionsButton.layout().addWidget(self.lesionPanel.widget)

    def _embedSliceStrip(self):
        """Under the buttons that it is used with, above the list of prompts."""
        self.sliceStripPanel = SliceStripPanel(self.resourcePath("UI/SliceStripPanel.ui"), self.controller)
        self.ui.segmentButton.layout().insertWidget(1, self.sliceStripPanel.widget)
        self.lesionPanel.tidying.keptSlices = self.controller.approval.keptSlices

    def _embedShortcuts(self):
        self.shortcuts = Shortcuts(
            {
                "box": lambda: self.controller.toggleTool(BOX),
                "positive": lambda: self.controller.toggleTool(POSITIVE),
                "negative": lambda: self.controller.toggleTool(NEGATIVE),
                "scribble": lambda: self.controller.toggleTool(SCRIBBLE),
                "lasso": lambda: self.controller.toggleTool(LASSO),
                "propagate": self.controller.propagate,
                "cancel": self.cancel,
                "undo": self.controller.undo,
                "redo": self.controller.redo,
                "nextDoubtful": self.sliceStripPanel.showNext,
                "lockSlice": self.controller.approval.toggleLock,
                "removePrompt": self.panel.removeSelectedPrompt,
                "addSegment": self.controller.addSegment,
                "nextLesion": self.lesionPanel.showNext,
                "previousLesion": self.lesionPanel.showPrevious,
                "rename": self.lesionPanel.rename,
            }
        )
        buttons = {
            "box": [self.ui.boxButton],
            "positive": [self.ui.positiveButton],
            "negative": [self.ui.negativeButton],
            "scribble": [self.ui.scribbleButton],
            "lasso": [self.ui.lassoButton],
            "propagate": [self.ui.propagateButton],
            "cancel": [self.ui.cancelButton],
            "undo": [
                self.ui.undoButton,
                self.lesionPanel.ui.deleteButton,
                self.lesionPanel.ui.confirmationLabel,
            ],
            "redo": [self.ui.redoButton],
            "nextDoubtful": [self.sliceStripPanel.ui.nextButton],
            "lockSlice": [self.sliceStripPanel.ui.lockButton],
            "removePrompt": [self.ui.removePromptButton],
            "addSegment": [self.ui.addSegmentButton],
            "nextLesion": [self.lesionPanel.ui.nextButton],
            "previousLesion": [self.lesionPanel.ui.previousButton],
        }
        self.shortcutsPanel = ShortcutsPanel(self.resourcePath("UI/ShortcutsPanel.ui"), self.shortcuts, buttons)
        self.ui.shortcutsButton.layout().addWidget(self.shortcutsPanel.widget)

    def _observeScene(self):
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.StartImportEvent, self.onSceneStartImport)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        self.addObserver(scene, scene.NodeAboutToBeRemovedEvent, self.onNodeAboutToBeRemoved, priority=BEFORE_SELECTORS)


class MedSAM2SlicerLogic(ScriptedLoadableModuleLogic):
    """Only what Slicer wants a logic for: the parameter node of the scene."""

    def getParameterNode(self):
        return MedSAM2SlicerParameterNode(super().getParameterNode())


class MedSAM2SlicerTest(ScriptedLoadableModuleTest):
    """The same in any Slicer and in the headless host."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        runParts(self, (self.test_the_panel_works_without_an_engine, self.test_a_box_becomes_a_segment))

    def test_the_panel_works_without_an_engine(self):
        runPanelSelfTest(self)

    def test_a_box_becomes_a_segment(self):
        runSelfTest(self)


def callOnceStarted(slot):
    """Not before: the Sample Data module may be loaded after this one. In a Slicer that runs already, at once."""
    slicer.app.connect("startupCompleted()", slot)
    # Slicer makes its window after the modules.
    if slicer.util.mainWindow() is not None:
        slot()


def onStartupCompleted():
    registerSampleCases(str(Path(__file__).resolve().parent / "Resources" / "Icons"))
    slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, onSceneImported)
    if MedSAM2Slicer.shortcutsSettings is None:
        MedSAM2Slicer.shortcutsSettings = addShortcutsSettings(SETTINGS_TITLE, onKeysChosen, installedShortcuts)


def onSceneImported(_scene, _event):
    """Before anybody edits what a scene holds. Once there is a panel, it sees to that."""
    if moduleWidget() is None:
        takeBackUnfinished()


def onKeysChosen():
    """In Slicer's settings, with or without a panel of the module."""
    if moduleWidget() is not None:
        moduleWidget().shortcuts.onKeysChosen()


def installedShortcuts():
    return moduleWidget().shortcuts.installed if moduleWidget() is not None else []


def moduleWidget():
    """The panel, or None as long as the module was not opened."""
    widget = getattr(slicer.modules, "MedSAM2SlicerWidget", None)
    return widget if widget is not None and widget.shortcuts is not None else None


def displayedVolume():
    """The volume in the background of the slice views: what the user is looking at, or None."""
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    shown = {composite.GetBackgroundVolumeID() for composite in composites} - {None, ""}
    node = slicer.mrmlScene.GetNodeByID(shown.pop()) if len(shown) == 1 else None
    return node if node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode" else None
