"""``slicer.app.layoutManager()``: which views exist is Slicer's own layout logic; they are arranged in a plain grid."""

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from ..pythonqt.cpp_widget import cpp_class
from .slice_view import qMRMLSliceWidget
from .threed_view import qMRMLThreeDWidget


@cpp_class("layoutChanged(int)")
class qSlicerLayoutManager(QtCore.QObject):
    """The views of the application, created as layouts ask for them and kept."""

    layoutChanged = QtCore.Signal(int)

    def __init__(self, application_logic: Any, scene: Any) -> None:
        super().__init__()
        self._application_logic = application_logic
        self._scene = scene
        self._slice_widgets: dict[str, qMRMLSliceWidget] = {}
        self._threed_widgets: dict[str, qMRMLThreeDWidget] = {}
        self._viewport = QtWidgets.QWidget()
        self._grid = QtWidgets.QGridLayout(self._viewport)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(1)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(scene)
        self._logic.GetLayoutNode().AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._arrange())
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def viewport(self) -> QtWidgets.QWidget:
        return self._viewport

    def layoutLogic(self) -> Any:
        return self._logic

    def mrmlScene(self) -> Any:
        return self._scene

    def sliceViewNames(self) -> list[str]:
        """Hidden ones too. Slicer has them in a hash table, so their order means nothing."""
        return list(reversed(self._slice_widgets))

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        return self._slice_widgets.get(name)

    def threeDWidget(self, which: int | str) -> qMRMLThreeDWidget | None:
        """By number, or by the name of its layout."""
        if isinstance(which, str):
            return self._threed_widgets.get(which)
        widgets = list(self._threed_widgets.values())
        return widgets[which] if 0 <= which < len(widgets) else None

    def viewWidget(self, node: Any) -> QtWidgets.QWidget | None:
        return self._widgets().get(node.GetLayoutName())

    def mrmlSliceLogics(self) -> Any:
        return self._application_logic.GetSliceLogics()

    def mrmlViewLogics(self) -> Any:
        return self._application_logic.GetViewLogics()

    def setLayout(self, layout: int) -> None:
        self._logic.GetLayoutNode().SetViewArrangement(layout)
        self.layoutChanged.emit(int(layout))

    def resetSliceViews(self) -> None:
        for widget in self._slice_widgets.values():
            widget.sliceLogic().FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        for widget in self._threed_widgets.values():
            widget.threeDView().resetFocalPoint()

    def pauseRender(self) -> None:
        for widget in self._widgets().values():
            widget.viewWidget().pauseRender()

    def resumeRender(self) -> None:
        for widget in self._widgets().values():
            widget.viewWidget().resumeRender()

    def setRenderPaused(self, paused: bool) -> None:
        if paused:
            self.pauseRender()
        else:
            self.resumeRender()

    def _widgets(self) -> dict[str, QtWidgets.QWidget]:
        return {**self._slice_widgets, **self._threed_widgets}

    def _arrange(self) -> None:
        """Create what the layout wants, and show just that: two views a row."""
        while self._grid.count():
            self._grid.takeAt(0).widget().hide()
        for widget in self._widgets().values():
            widget.mrmlAbstractViewNode().SetMappedInLayout(0)
        nodes = self._logic.GetViewNodes()
        shown = [self._widget_for(nodes.GetItemAsObject(i)) for i in range(nodes.GetNumberOfItems())]
        shown = [widget for widget in shown if widget is not None]
        columns = 2 if len(shown) > 1 else 1
        for position, widget in enumerate(shown):
            self._grid.addWidget(widget, position // columns, position % columns)
            widget.mrmlAbstractViewNode().SetMappedInLayout(1)
            widget.show()

    def _widget_for(self, node: Any) -> QtWidgets.QWidget | None:
        """The widget of a view node; None for the kinds of view the host does not have."""
        for class_name, widgets, widget_class in (
            ("vtkMRMLSliceNode", self._slice_widgets, qMRMLSliceWidget),
            ("vtkMRMLViewNode", self._threed_widgets, qMRMLThreeDWidget),
        ):
            if node.IsA(class_name):
                name = node.GetLayoutName()
                if name not in widgets:
                    widgets[name] = widget_class(self._application_logic, self._scene, node)
                return widgets[name]
        return None

    layout = property(lambda self: self._logic.GetLayoutNode().GetViewArrangement(), setLayout)
    threeDViewCount = property(lambda self: len(self._threed_widgets))
    tableViewCount = property(lambda self: 0)
    plotViewCount = property(lambda self: 0)
