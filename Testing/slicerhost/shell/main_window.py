"""``slicer.util.mainWindow()``: a module panel beside the views."""

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from ..pythonqt.cpp_widget import cpp_class
from .modules import Module


@cpp_class()
class qSlicerModulePanel(QtWidgets.QScrollArea):
    """Shows one module at a time: the old one's ``exit`` comes before the new one's ``enter``."""

    def __init__(self) -> None:
        super().__init__()
        self._module: Module | None = None
        self.setObjectName("ModulePanel")
        self.setWidgetResizable(True)

    def setModule(self, name: str) -> None:
        """Nothing happens for the module already shown; '' leaves the panel empty."""
        module = getattr(slicer.modules, name.lower()) if name else None
        if module is self._module:
            return
        if self._module is not None:
            self.takeWidget().hide()
            self._module.widgetRepresentation().exit()
        self._module = module
        if module is not None:
            panel = module.widgetRepresentation()
            self.setWidget(panel)
            panel.show()
            panel.enter()

    def currentModuleName(self) -> str:
        return self._module.name if self._module is not None else ""


@cpp_class("moduleSelected(QString)")
class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    """``mainWindow().moduleSelector()``, without a face."""

    moduleSelected = QtCore.Signal(str)

    def __init__(self, panel: qSlicerModulePanel) -> None:
        super().__init__()
        self._panel = panel

    def selectModule(self, name: str) -> None:
        self._panel.setModule(name)
        self.moduleSelected.emit(name)

    selectedModule = QtCore.Property(str, lambda self: self._panel.currentModuleName(), selectModule)


class qSlicerMainWindow(QtWidgets.QMainWindow):
    """Panel left, views right."""

    def __init__(self, views: QtWidgets.QWidget) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer (test host)")
        self.resize(1200, 800)
        self._module_panel = qSlicerModulePanel()
        self._module_selector = qSlicerModuleSelectorToolBar(self._module_panel)
        splitter = QtWidgets.QSplitter()
        splitter.addWidget(self._module_panel)
        splitter.addWidget(views)
        splitter.setSizes([400, 800])
        self.setCentralWidget(splitter)

    def moduleSelector(self) -> qSlicerModuleSelectorToolBar:
        return self._module_selector

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """Closing leaves the current module first."""
        self._module_selector.selectModule("")
        event.accept()
