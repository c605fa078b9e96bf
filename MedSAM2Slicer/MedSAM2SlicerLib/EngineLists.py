"""The models and devices that the engine offers: as it told last, kept in Slicer's settings for before it runs."""

from __future__ import annotations

import json
import re
from typing import Optional

import slicer
from slicer.i18n import tr as _

from medsam2_protocol.messages import DeviceInfo, Hello, ModelInfo
from medsam2_protocol.tagged import from_jsonable, to_jsonable

SETTING = "MedSAM2Slicer/EngineLists"
EMBEDDED, AUTOMATIC = "embedded", "auto"
CLEARLY_SMALLER = 2 / 3


class EngineLists:
    """`models` and `devices` in the engine's order; what ships is among them from the first start on."""

    def __init__(self) -> None:
        self.models: tuple[ModelInfo, ...] = (_embedded(),)
        self.devices: tuple[DeviceInfo, ...] = (DeviceInfo(AUTOMATIC, _("Automatic"), ""),)
        self._hello: Optional[Hello] = None
        self._recall()

    def takeHello(self, hello: Optional[Hello]) -> None:
        """What a worker said when it started; the same one again changes nothing."""
        if hello is None or hello is self._hello:
            return
        self._hello = hello
        self.models, self.devices = tuple(hello.models), tuple(hello.devices)
        self._remember()

    def takeModels(self, models: tuple[ModelInfo, ...]) -> None:
        """After a model came or went."""
        if models:
            self.models = models
            self._remember()

    def model(self, modelId: str) -> Optional[ModelInfo]:
        return next((one for one in self.models if one.id == modelId), None)

    def titleOf(self, modelId: str) -> str:
        """For people; the id itself of a model that nobody knows."""
        model = self.model(modelId)
        return shortTitle(model.title) if model is not None else modelId

    def smaller(self, modelId: str) -> Optional[ModelInfo]:
        """The next installed model that needs clearly less memory, or else the embedded one, which is always there."""
        model = self.model(modelId)
        most = CLEARLY_SMALLER * model.weights_bytes if model is not None else 0
        found = [one for one in self.models if one.installed and 0 < one.weights_bytes <= most]
        return max(found, key=lambda one: one.weights_bytes) if found else self.model(EMBEDDED)

    def device(self, deviceId: str) -> Optional[DeviceInfo]:
        return next((one for one in self.devices if one.id == deviceId), None)

    def isInstalled(self, modelId: str) -> bool:
        model = self.model(modelId)
        return model is not None and model.installed

    def _remember(self) -> None:
        data = {"models": to_jsonable(self.models), "devices": to_jsonable(self.devices)}
        slicer.app.settings().setValue(SETTING, json.dumps(data))

    def _recall(self) -> None:
        """Nothing is recalled from settings of another version that cannot be read."""
        try:
            data = json.loads(str(slicer.app.settings().value(SETTING, "") or "{}"))
            models = tuple(from_jsonable(one, ModelInfo) for one in data.get("models", []))
            devices = tuple(from_jsonable(one, DeviceInfo) for one in data.get("devices", []))
        except (ValueError, AttributeError, TypeError):
            return
        self.models = models or self.models
        self.devices = devices or self.devices


def shortTitle(title: str) -> str:
    """Without what a narrow panel has no room for: the number of parameters."""
    return re.sub(r" \([^()]*parameters\)", "", title)


def _embedded() -> ModelInfo:
    return ModelInfo(EMBEDDED, _("Embedded model"), _("Works at once, offline and on any CPU."), "Apache-2.0", True)
