"""The panel's part for how far a propagation goes, and for what came of one that did not reach its end."""

from __future__ import annotations

from slicer.i18n import tr as _

from medsam2_protocol.messages import BOTH, DOWN, UP
from MedSAM2SlicerLib.PropagationOptions import marksText

DIRECTIONS = (BOTH, UP, DOWN)


class PropagationPanel:
    """`update` may be called as often as one likes."""

    def __init__(self, ui, controller) -> None:
        self._ui = ui
        self._controller = controller
        self._parameters = None
        for title in (_("Both ways"), _("Up only (higher slices)"), _("Down only (lower slices)")):
            ui.directionSelector.addItem(title)
        ui.rangeButton.collapsed = True
        ui.directionSelector.connect("currentIndexChanged(int)", self.onDirectionChosen)
        ui.fromHereButton.connect("clicked()", lambda: controller.markSlice(True))
        ui.toHereButton.connect("clicked()", lambda: controller.markSlice(False))
        ui.clearMarksButton.connect("clicked()", controller.clearMarks)
        ui.progressiveCheckBox.connect("toggled(bool)", self.onProgressiveToggled)
        ui.keepButton.connect("clicked()", controller.keepWhatCame)

    def setParameters(self, parameters) -> None:
        self._parameters = parameters

    def update(self) -> None:
        ui, parameters, controller = self._ui, self._parameters, self._controller
        isFree = parameters is not None and not controller.isPropagating
        for widget in (ui.directionSelector, ui.fromHereButton, ui.toHereButton, ui.clearMarksButton):
            widget.setEnabled(isFree)
        ui.progressiveCheckBox.setEnabled(isFree)
        ui.keepButton.setVisible(controller.canKeep)
        if parameters is None:
            return
        ui.progressiveCheckBox.setChecked(parameters.progressive)
        ui.rangeLabel.text = marksText(parameters)
        ui.rangeButton.text = self._summary()
        index = DIRECTIONS.index(parameters.direction) if parameters.direction in DIRECTIONS else 0
        if ui.directionSelector.currentIndex != index:
            ui.directionSelector.setCurrentIndex(index)

    def _summary(self) -> str:
        """What the folded section says of itself."""
        marks, direction = marksText(self._parameters), self._parameters.direction
        if direction not in (UP, DOWN):
            return _("Range: {marks}").format(marks=marks)
        way = _("up only") if direction == UP else _("down only")
        return _("Range: {marks}, {way}").format(marks=marks, way=way)

    def onProgressiveToggled(self, isChecked: bool) -> None:
        if self._parameters is not None and self._parameters.progressive != isChecked:
            self._parameters.progressive = isChecked

    def onDirectionChosen(self, index: int) -> None:
        if self._parameters is not None and index >= 0 and self._parameters.direction != DIRECTIONS[index]:
            self._parameters.direction = DIRECTIONS[index]
