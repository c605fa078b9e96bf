"""A small scripted module of the usual kind: what a module may expect of Slicer, the host has to give it.

A parameter node bound to a .ui panel, node selectors, a segments table, a box placed by mouse, and a background
process that thresholds the volume and reports its progress.
"""

import os
import sys
from typing import Annotated

import numpy as np
import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

THRESHOLD_SCRIPT = """
import sys
import numpy as np
source, result, threshold = sys.argv[1:]
volume = np.load(source)
for percent in (50, 100):
    print(percent, flush=True)
np.save(result, (volume > float(threshold)).astype("uint8"))
"""


class HostSample(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Host sample")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.helpText = _("Thresholds a volume in a process of its own.")


@parameterNodeWrapper
class HostSampleParameterNode:
    inputVolume: vtkMRMLScalarVolumeNode
    segmentation: vtkMRMLSegmentationNode
    threshold: Annotated[float, WithinRange(0, 500)] = 200


class HostSampleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.parameterNode = None
        self.parameterNodeGuiTag = None
        self.process = qt.QProcess()
        self.folder = ""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/HostSample.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = HostSampleLogic()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.ui.segmentationSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.ui.segments.setSegmentationNode)
        self.ui.placeWidget.setPlaceMultipleMarkups(slicer.qSlicerMarkupsPlaceWidget.ForcePlaceSingleMarkup)
        self.process.connect("readyReadStandardOutput()", self.onProgress)
        self.process.connect("finished(int,QProcess::ExitStatus)", self.onFinished)
        self.initializeParameterNode()

    def cleanup(self):
        self.process.kill()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(self.logic.getParameterNode())
        if not self.parameterNode.inputVolume:
            self.parameterNode.inputVolume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")

    def setParameterNode(self, parameterNode):
        if self.parameterNode:
            self.parameterNode.disconnectGui(self.parameterNodeGuiTag)
            self.removeObserver(self.parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateApplyButton)
        self.parameterNode = parameterNode
        if parameterNode:
            # connectGui gives no tag in Slicer 5.8, and what it connects stays so, also to widgets that are gone.
            widgets = {
                "inputVolume": self.ui.inputSelector,
                "segmentation": self.ui.segmentationSelector,
                "threshold": self.ui.threshold,
            }
            self.parameterNodeGuiTag = parameterNode.connectParametersToGui(widgets)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateApplyButton)
        self.updateApplyButton()

    def updateApplyButton(self, caller=None, event=None):
        idle = self.process.state() == qt.QProcess.NotRunning
        self.ui.applyButton.enabled = bool(idle and self.parameterNode and self.parameterNode.inputVolume)

    def onApply(self, checked=False):
        with slicer.util.tryWithErrorDisplay(_("Failed to start."), waitCursor=True):
            self.ui.status.text = _("Running")
            self.logic.ensureSegmentation(self.parameterNode)
            self.folder = slicer.util.tempDirectory()
            np.save(self.file("volume.npy"), slicer.util.arrayFromVolume(self.parameterNode.inputVolume))
            arguments = [self.file("volume.npy"), self.file("mask.npy"), str(self.parameterNode.threshold)]
            self.process.start(sys.executable, ["-c", THRESHOLD_SCRIPT, *arguments])
            self.updateApplyButton()

    def onProgress(self):
        lines = self.process.readAllStandardOutput().data().decode().split()
        self.ui.progress.value = int(lines[-1])

    def onFinished(self, exitCode, exitStatus):
        succeeded = exitCode == 0 and exitStatus == qt.QProcess.NormalExit
        if succeeded:
            self.logic.writeMask(np.load(self.file("mask.npy")), self.parameterNode)
        self.ui.status.text = _("Done") if succeeded else _("Failed")
        self.updateApplyButton()

    def file(self, name):
        return os.path.join(self.folder, name)


class HostSampleLogic(ScriptedLoadableModuleLogic):
    def getParameterNode(self):
        return HostSampleParameterNode(super().getParameterNode())

    def ensureSegmentation(self, parameterNode):
        if not parameterNode.segmentation:
            segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Result")
            segmentation.CreateDefaultDisplayNodes()
            segmentation.SetReferenceImageGeometryParameterFromVolumeNode(parameterNode.inputVolume)
            parameterNode.segmentation = segmentation

    def writeMask(self, mask_kji, parameterNode):
        node = parameterNode.segmentation
        segmentation = node.GetSegmentation()
        segment_id = segmentation.GetSegmentIdBySegmentName("bright") or segmentation.AddEmptySegment("", "bright")
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask_kji, node, segment_id, parameterNode.inputVolume)


class HostSampleTest(ScriptedLoadableModuleTest):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_writtenMaskIsReadBack(self):
        volume = slicer.util.addVolumeFromArray(np.arange(60, dtype="int16").reshape(3, 4, 5))
        logic = HostSampleLogic()
        parameterNode = logic.getParameterNode()
        parameterNode.inputVolume = volume
        logic.ensureSegmentation(parameterNode)
        logic.writeMask((slicer.util.arrayFromVolume(volume) > 30).astype("uint8"), parameterNode)
        node = parameterNode.segmentation
        segment_id = node.GetSegmentation().GetNthSegmentID(0)
        assert slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume).sum() == 29
