"""``slicer.app.coreIOManager()``: picks a reader by file name; real storage nodes and module logics do the work.

``slicer.util.loadVolume``, ``loadScene``, ``saveNode``, ``saveScene`` and ``exportNode`` end here.
"""

import os
from collections.abc import Callable
from typing import Any

import slicer
import vtk
from PySide6 import QtCore

from ..pythonqt.cpp_widget import cpp_class

_FILE_TYPES = (
    (("seg.nrrd", "seg.nhdr"), "SegmentationFile"),
    (("mrml", "mrb"), "SceneFile"),
    (("mrk.json", "fcsv", "acsv"), "MarkupsFile"),
    (("h5", "tfm", "mat"), "TransformFile"),
    (("stl", "vtk", "vtp", "ply", "obj"), "ModelFile"),
    (("txt", "json"), "TextFile"),
    (("csv", "tsv"), "TableFile"),
)
# slicer-core's MRML does not see the image formats of its own ImageIO factories, so these are listed here.
_VOLUME_FORMATS = (
    "NRRD (.nrrd)",
    "NRRD (.nhdr)",
    "NIfTI (.nii.gz)",
    "NIfTI (.nii)",
    "MetaImage (.mha)",
    "MetaImage (.mhd)",
    "TIFF (.tif)",
)
# Property of a volume file to the name of its bit in vtkSlicerVolumesLogic::LoadingOptions.
_LOADING_OPTIONS = {
    "labelmap": "LabelMap",
    "center": "CenterImage",
    "singleFile": "SingleFile",
    "autoWindowLevel": "AutoWindowLevel",
    "discardOrientation": "DiscardOrientation",
}


@cpp_class("newFileLoaded(qSlicerIO::IOProperties)", "fileSaved(qSlicerIO::IOProperties)")
class qSlicerIOManager(QtCore.QObject):
    """Reads and writes nodes and scenes."""

    newFileLoaded = QtCore.Signal(object)
    fileSaved = QtCore.Signal(object)

    def __init__(self, scene: Any, application_logic: Any) -> None:
        super().__init__()
        self._scene = scene
        self._application_logic = application_logic

    def fileType(self, file_name: str) -> str:
        file_name = str(file_name).lower()
        for suffixes, file_type in _FILE_TYPES:
            if file_name.endswith(tuple("." + suffix for suffix in suffixes)):
                return file_type
        return "VolumeFile"

    def loadNodes(self, file_type: str, properties: dict[str, Any], loaded: Any = None, messages: Any = None) -> bool:
        """Read ``properties["fileName"]``; the new node goes into the vtkCollection ``loaded``."""
        path = properties["fileName"]
        if not os.path.isfile(path):
            if messages is not None:
                messages.AddMessage(vtk.vtkCommand.ErrorEvent, "File not found: " + path)
            return False
        if file_type == "SceneFile":
            return self.loadScene(path, properties.get("clear", False))
        node = self._reader(file_type)(path, properties)
        if node is None:
            return False
        if loaded is not None:
            loaded.AddItem(node)
        self.newFileLoaded.emit(properties)
        return True

    def loadScene(self, path: str, clear: bool = True, messages: Any = None) -> bool:
        if str(path).endswith(".mrb"):
            return bool(self._scene.ReadFromMRB(path, clear))
        self._scene.SetURL(path)
        return bool(self._scene.Connect() if clear else self._scene.Import())

    def saveNodes(self, file_type: str, properties: dict[str, Any], messages: Any = None) -> bool:
        path = properties["fileName"]
        if file_type == "SceneFile":
            return self._save_scene(path)
        node = self._scene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode(path)
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        if "useCompression" in properties:
            storage.SetUseCompression(properties["useCompression"])
        return bool(storage.WriteData(node))

    def exportNodes(
        self,
        node_ids: list[str],
        paths: list[str],
        properties: dict[str, Any],
        harden_transforms: bool,
        messages: Any = None,
    ) -> bool:
        """Write nodes without touching their storage nodes. Hardening is not done here, so it is refused."""
        if harden_transforms:
            raise NotImplementedError("host: exportNodes does not harden transforms")
        written = [self._export(self._scene.GetNodeByID(i), str(path)) for i, path in zip(node_ids, paths, strict=True)]
        return all(written)

    def fileWriterFileType(self, node: Any, extension: str = "") -> str:
        return node.GetClassName()

    def fileWriterExtensions(self, node: Any) -> list[str]:
        """Formats such as 'NRRD (.nrrd)'."""
        types = _new_storage_node(node).GetSupportedWriteFileTypes()
        if types.GetNumberOfValues() == 0 and node.IsA("vtkMRMLVolumeNode"):
            return list(_VOLUME_FORMATS)
        return [types.GetValue(index) for index in range(types.GetNumberOfValues())]

    def extractKnownExtension(self, file_name: str, node: Any) -> str:
        """The longest extension the node's writers know that ``file_name`` ends with; '' for none."""
        formats = self.fileWriterExtensions(node)
        extensions = (text.rpartition("(")[2].rstrip(")").lstrip("*") for text in formats)
        return max((e for e in extensions if e and str(file_name).endswith(e)), key=len, default="")

    def stripKnownExtension(self, file_name: str, node: Any) -> str:
        extension = self.extractKnownExtension(file_name, node)
        return file_name[: -len(extension)] if extension else file_name

    def _reader(self, file_type: str) -> Callable[[str, dict[str, Any]], Any]:
        readers = {
            "VolumeFile": self._read_volume,
            "SegmentationFile": self._read_segmentation,
            "MarkupsFile": self._read_markups,
            "ModelFile": lambda path, properties: slicer.modules.models.logic().AddModel(path),
            "TransformFile": lambda path, properties: slicer.modules.transforms.logic().AddTransform(path, self._scene),
        }
        if file_type not in readers:
            raise NotImplementedError("host: no reader for " + file_type)
        return readers[file_type]

    def _read_volume(self, path: str, properties: dict[str, Any]) -> Any:
        logic = slicer.modules.volumes.logic()
        options = 0
        for key, name in _LOADING_OPTIONS.items():
            options |= getattr(logic, name) if properties.get(key) else 0
        node = logic.AddArchetypeVolume(path, _node_name(path, properties), options)
        if node is not None and properties.get("show", True):
            self._show(node)
        return node

    def _show(self, volume_node: Any) -> None:
        selection = self._application_logic.GetSelectionNode()
        if volume_node.IsA("vtkMRMLLabelMapVolumeNode"):
            selection.SetActiveLabelVolumeID(volume_node.GetID())
        else:
            selection.SetActiveVolumeID(volume_node.GetID())
        self._application_logic.PropagateVolumeSelection(1)

    def _read_segmentation(self, path: str, properties: dict[str, Any]) -> Any:
        logic = slicer.modules.segmentations.logic()
        return logic.LoadSegmentationFromFile(path, properties.get("autoOpacities", True), properties.get("name") or "")

    def _read_markups(self, path: str, properties: dict[str, Any]) -> Any | None:
        node_id = slicer.modules.markups.logic().LoadMarkups(path, _node_name(path, properties))
        return self._scene.GetNodeByID(node_id) if node_id else None

    def _save_scene(self, path: str) -> bool:
        self._scene.SetRootDirectory(os.path.dirname(os.path.abspath(path)))
        self._scene.SetURL(path)
        return bool(self._scene.WriteToMRB(path) if path.endswith(".mrb") else self._scene.Commit(path))

    def _export(self, node: Any, path: str) -> bool:
        storage = _new_storage_node(node)
        storage.SetScene(self._scene)
        storage.SetFileName(path)
        return bool(storage.WriteData(node))


def _node_name(path: str, properties: dict[str, Any]) -> str:
    return properties.get("name") or os.path.basename(path).split(".")[0]


def _new_storage_node(node: Any) -> Any:
    """A storage node that belongs to nobody else."""
    storage = node.CreateDefaultStorageNode()
    storage.UnRegister(None)
    return storage
