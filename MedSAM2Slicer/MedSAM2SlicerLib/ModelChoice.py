"""The part of the panel that chooses model and device, each with one line on what the choice is for.

The choice is an id in the parameter node, saved with the scene; it stays what it is where the engine does not offer it.
What is not installed can be seen and not be chosen.
"""

from __future__ import annotations

from typing import Callable

import qt
from slicer.i18n import tr as _

from medsam2_protocol.messages import DeviceInfo, ModelInfo
from MedSAM2SlicerLib.EngineLists import AUTOMATIC, EMBEDDED, EngineLists, shortTitle
from MedSAM2SlicerLib.ErrorStyle import showError


class ModelChoice:
    """`onChosen` is called after the person has chosen something else. `update` may be called as often as one likes."""

    def __init__(self, ui, lists: EngineLists) -> None:
        self.onChosen: Callable[[], None] = lambda: None
        self._ui = ui
        self._lists = lists
        self._parameters = None
        self._shown: tuple = ()
        ui.modelSelector.connect("currentIndexChanged(int)", self.onModelSelected)
        ui.deviceSelector.connect("currentIndexChanged(int)", self.onDeviceSelected)

    @property
    def model(self) -> str:
        return self._parameters.model if self._parameters is not None else EMBEDDED

    @property
    def device(self) -> str:
        return self._parameters.device if self._parameters is not None else AUTOMATIC

    def setParameters(self, parameters) -> None:
        self._parameters = parameters
        self.update()

    def update(self) -> None:
        lists, model, device = self._lists, self.model, self.device
        state = (lists.models, lists.devices, model, device, self._parameters is not None)
        if state == self._shown:
            return
        self._shown = state
        models = sorted(lists.models, key=lambda one: not one.installed)
        _fill(
            self._ui.modelSelector, [(shortTitle(one.title), one.id, one.installed, _tip(one)) for one in models], model
        )
        _fill(self._ui.deviceSelector, [(one.title, one.id, True, deviceLine(one)) for one in lists.devices], device)
        for selector in (self._ui.modelSelector, self._ui.deviceSelector):
            selector.setEnabled(self._parameters is not None)
        self._showLines(lists.model(model), lists.device(device))

    def choose(self, modelId: str) -> None:
        """As if the person had chosen it from the list."""
        if self._parameters is not None and modelId != self.model:
            self._parameters.model = modelId
            self.update()
            self.onChosen()

    def chooseDevice(self, deviceId: str) -> None:
        if self._parameters is not None and deviceId != self.device:
            self._parameters.device = deviceId
            self.update()
            self.onChosen()

    # ---- slots

    def onModelSelected(self, index: int) -> None:
        if index >= 0:
            self.choose(str(self._ui.modelSelector.itemData(index)))

    def onDeviceSelected(self, index: int) -> None:
        if index >= 0:
            self.chooseDevice(str(self._ui.deviceSelector.itemData(index)))

    # ---- private

    def _showLines(self, model, device) -> None:
        ui = self._ui
        ui.modelLineLabel.text = modelLine(model) if model is not None else _unknown(self.model)
        showError(ui.modelLineLabel, model is None or not model.installed)
        ui.deviceLineLabel.text = deviceLine(device) if device is not None else _unknown(self.device)
        showError(ui.deviceLineLabel, device is None)
        ui.modelSelector.toolTip, ui.deviceSelector.toolTip = ui.modelLineLabel.text, ui.deviceLineLabel.text
        ui.modelNoticeLabel.setVisible(self.model == EMBEDDED)


def modelLine(model: ModelInfo) -> str:
    """What it is for, and under which licence; how to get it, if it is not there."""
    line = _("{purpose} Licence: {licence}.").format(purpose=model.purpose, licence=model.licence.rstrip("."))
    return line if model.installed else line + " " + _("Not installed: get it under Models below.")


def _tip(model: ModelInfo) -> str:
    return f"{model.title}. {modelLine(model)}"


def deviceLine(device: DeviceInfo) -> str:
    purpose = _DEVICES.get(device.id, lambda: _("Fast, and needs free memory of its own."))()
    return f"{purpose} {device.note}".strip()


_DEVICES = {
    AUTOMATIC: lambda: _("The fastest that works here."),
    "cpu": lambda: _("Works everywhere, slower than a GPU."),
}


def _unknown(name: str) -> str:
    text = _("The engine here does not know {name}, which was chosen with another one. Choose another.")
    return text.format(name=name)


def _fill(selector, offers, chosen: str) -> None:
    """`offers`: (title, id, can be chosen, tool tip). An id that is not offered stays: it was chosen elsewhere."""
    if chosen not in [one_id for _title, one_id, _canBe, _tip in offers]:
        offers = [*offers, (chosen, chosen, False, _unknown(chosen))]
    wasBlocked = selector.blockSignals(True)
    selector.clear()
    for row, (title, one_id, canBe, tip) in enumerate(offers):
        selector.addItem(title, one_id)
        selector.setItemData(row, tip, qt.Qt.ToolTipRole)
        if not canBe:
            # Where a standard item keeps its flags: 0 is neither enabled nor selectable.
            selector.setItemData(row, 0, qt.Qt.UserRole - 1)
    selector.setCurrentIndex(selector.findData(chosen))
    selector.blockSignals(wasBlocked)
