"""Slicer's variants of CTK widgets that know the scene's units."""

from typing import Any

from ..ctkwidgets.collapsible import ctkCollapsibleButton
from ..ctkwidgets.numbers import ctkDoubleSpinBox, ctkRangeWidget, ctkSliderWidget
from ..pythonqt.cpp_widget import cpp_class, stored_property


class _WithScene:
    """Units are not followed here; the scene is accepted and kept."""

    _scene = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        self._scene = scene


@cpp_class()
class qMRMLSliderWidget(_WithScene, ctkSliderWidget):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._quantity = ""

    quantity = stored_property(str, "_quantity")


@cpp_class()
class qMRMLSpinBox(_WithScene, ctkDoubleSpinBox):
    pass


@cpp_class()
class qMRMLRangeWidget(_WithScene, ctkRangeWidget):
    pass


@cpp_class()
class qMRMLCollapsibleButton(_WithScene, ctkCollapsibleButton):
    pass
