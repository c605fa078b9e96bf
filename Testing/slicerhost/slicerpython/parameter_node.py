"""Stands for ``slicer.parameterNodeWrapper``: typed attributes stored in a vtkMRMLScriptedModuleNode.

A subset, with Slicer's contract: str, int, float, bool, Path, Enum, ``list`` of these, Optional of these, and MRML
node classes; ``Annotated`` with Default, WithinRange, Minimum, Maximum or Choice. Values are stored as Slicer stores
them (bools as True/False, lists as name.len, name.0, ...; nodes as references), so scenes agree. As in Slicer a value
of the wrong type is a TypeError: an int may stand for a float, nothing else for anything. Missing values are written
with their default when the wrapper is made, and when they are missed later: closing the scene empties the node. As in
Slicer a wrapper keeps what it has read, but for lists, until the node says that it was modified.
"""

import enum
import pathlib
import types
import typing
import weakref
from typing import Annotated, Any

import slicer
import vtk
from PySide6 import QtWidgets

from .annotations import Choice, Decimals, Default, Maximum, Minimum, SingleStep, WithinRange
from .gui_connectors import GuiConnector, connector_for

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Maximum",
    "Minimum",
    "SingleStep",
    "WithinRange",
    "parameterNodeWrapper",
]


def parameterNodeWrapper(wrapped: type | None = None) -> Any:
    """Class decorator: the annotated members become attributes stored in the node the instance is made with."""
    return _wrap if wrapped is None else _wrap(wrapped)


class Parameter:
    """One member: its type, its annotations, and how it is written into the node."""

    def __init__(self, name: str, hint: Any, default: Any) -> None:
        self.name = name
        self.type, self.annotations, self.optional = _taken_apart(hint)
        self.is_node = isinstance(self.type, type) and issubclass(self.type, slicer.vtkMRMLNode)
        self.is_list = typing.get_origin(self.type) is list
        self.default = self._default_value(default)

    def annotation(self, kind: type) -> Any:
        """The annotation of exactly this kind, or None."""
        return next((annotation for annotation in self.annotations if type(annotation) is kind), None)

    def exists(self, node: Any) -> bool:
        if self.is_node:
            return True
        return bool(node.HasParameter(self.name + ".len" if self.is_list else self.name))

    def read(self, node: Any) -> Any:
        if not self.exists(node):
            self.write(node, self.default)
        if self.is_node:
            return node.GetNodeReference(self.name)
        if self.is_list:
            (element,) = typing.get_args(self.type)
            count = int(node.GetParameter(self.name + ".len"))
            return [_decoded(node.GetParameter(f"{self.name}.{index}"), element) for index in range(count)]
        text = node.GetParameter(self.name)
        return None if self.optional and text == "" else _decoded(text, self.type)

    def write(self, node: Any, value: Any) -> None:
        self._refuse_wrong(value)
        if self.is_node:
            node.SetNodeReferenceID(self.name, None if value is None else value.GetID())
        elif self.is_list:
            with slicer.util.NodeModify(node):
                for index, element in enumerate(value):
                    node.SetParameter(f"{self.name}.{index}", _encoded(element))
                node.SetParameter(self.name + ".len", str(len(value)))
        else:
            node.SetParameter(self.name, "" if value is None else _encoded(value))

    def _default_value(self, default: Any) -> Any:
        annotated = self.annotation(Default)
        if annotated is not None:
            return annotated.value
        if default is not None or self.optional or self.is_node:
            return default
        choice = self.annotation(Choice)
        if choice is not None:
            return choice.choices[0]
        return next(iter(self.type)) if _is_enum(self.type) else (typing.get_origin(self.type) or self.type)()

    def _refuse_wrong(self, value: Any) -> None:
        if value is None and (self.optional or self.is_node):
            return
        accepted = (int, float) if self.type is float else typing.get_origin(self.type) or self.type
        if not isinstance(value, accepted):
            raise TypeError(f"{self.name} must be of type {self.type}, not {value!r}")
        for annotation in self.annotations:
            if hasattr(annotation, "validate"):
                annotation.validate(value)


def _taken_apart(hint: Any) -> tuple[Any, list[Any], bool]:
    """A type hint as (type, annotations, may be None)."""
    annotations: list[Any] = []
    while typing.get_origin(hint) is Annotated:
        annotations = list(hint.__metadata__) + annotations
        hint = hint.__origin__
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    if union:
        (hint,) = (member for member in typing.get_args(hint) if member is not type(None))
    return hint, annotations, union


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def _encoded(value: Any) -> str:
    return value.name if isinstance(value, enum.Enum) else str(value)


def _decoded(text: str, kind: Any) -> Any:
    if kind is bool:
        return text == "True"
    return kind[text] if _is_enum(kind) else pathlib.Path(text) if kind is pathlib.Path else kind(text)


def _wrap(cls: type) -> type:
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {name: Parameter(name, hint, getattr(cls, name, None)) for name, hint in hints.items()}
    members = {name: _attribute(parameter) for name, parameter in parameters.items()}
    return type(cls.__name__, (_ParameterNodeWrapper, cls), {**members, "allParameters": parameters})


def _attribute(parameter: Parameter) -> property:
    return property(lambda self: self._read(parameter), lambda self, value: self._write(parameter, value))


def _keep_again(wrapper: Any) -> None:
    if wrapper is not None:
        wrapper._keep()


class _ParameterNodeWrapper:
    """What the decorator adds to a class."""

    allParameters: dict[str, Parameter]
    _is_parameter_node_wrapper = True

    def __init__(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._connections: dict[int, tuple[list[GuiConnector], int]] = {}
        self._last_tag = 0
        self._updating_gui = False
        self._kept: dict[str, Any] = {}
        self._keep()
        this = weakref.ref(self)
        self._tag = parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: _keep_again(this()))

    def __del__(self) -> None:
        self.parameterNode.RemoveObserver(self._tag)

    def _keep(self) -> None:
        for name, parameter in self.allParameters.items():
            if not parameter.is_list:
                self._kept[name] = parameter.read(self.parameterNode)
            elif not parameter.exists(self.parameterNode):
                parameter.write(self.parameterNode, parameter.default)

    def _read(self, parameter: Parameter) -> Any:
        return parameter.read(self.parameterNode) if parameter.is_list else self._kept[parameter.name]

    def _write(self, parameter: Parameter, value: Any) -> None:
        with slicer.util.NodeModify(self.parameterNode):
            parameter.write(self.parameterNode, value)
            if not parameter.is_list:
                self._kept[parameter.name] = parameter.read(self.parameterNode)

    def getValue(self, name: str) -> Any:
        return getattr(self, name)

    def setValue(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def connectGui(self, gui: Any) -> None:
        """Keep values and widgets the same, both ways. A widget names its value in ``SlicerParameterName``.

        Slicer 5.8 returns no tag here, only from `connectParametersToGui`: what was connected so stays connected.
        """
        widgets = gui.findChildren(QtWidgets.QWidget) if hasattr(gui, "findChildren") else vars(gui).values()
        named = [(widget.property("SlicerParameterName"), widget) for widget in widgets]
        self.connectParametersToGui({name: widget for name, widget in named if name})

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        connectors = [connector_for(widget, self.allParameters[name]) for name, widget in mapping.items()]
        for connector in connectors:
            connector.write(self.getValue(connector.parameter.name))
            connector.connect(self._on_widget_changed)
        event = vtk.vtkCommand.ModifiedEvent
        observer = self.parameterNode.AddObserver(event, lambda *_: self._update_gui())
        self._last_tag += 1
        self._connections[self._last_tag] = (connectors, observer)
        return self._last_tag

    def disconnectGui(self, tag: int) -> None:
        if tag in self._connections:
            connectors, observer = self._connections.pop(tag)
            self.parameterNode.RemoveObserver(observer)
            for connector in connectors:
                connector.disconnect()

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def StartModify(self) -> int:
        return self.parameterNode.StartModify()

    def EndModify(self, wasModified: int) -> int:
        return self.parameterNode.EndModify(wasModified)

    def Modified(self) -> None:
        self.parameterNode.Modified()

    def _on_widget_changed(self, connector: GuiConnector) -> None:
        if not self._updating_gui:
            self.setValue(connector.parameter.name, connector.read())

    def _update_gui(self) -> None:
        if self._updating_gui:
            return
        self._updating_gui = True
        try:
            for connectors, _observer in list(self._connections.values()):
                for connector in connectors:
                    connector.write(self.getValue(connector.parameter.name))
        finally:
            self._updating_gui = False
